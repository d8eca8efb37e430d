"""Small whole files of every format, for a fuzzer to begin with."""

import json
import zlib

import numpy as np
import safetensors.numpy
import test_weights_formats as formats
import test_weights_torch_files as torch_files
from bad_pictures import chunk, png
from PIL import Image

from jnst.keep.storage import write_checkpoint
from jnst.recipes.recipe import Recipe
from jnst.recipes.settings import record

NOISE = np.random.default_rng(0).integers(0, 256, (8, 8, 4), np.uint8)
ARRAYS = {"conv1_1.kernel": np.ones((3, 3, 3, 2), np.float32)}
NAMED = {f"features.{n}.weight": np.ones((2, 3), np.float32) for n in (0, 2)}
RECORD = json.dumps({"recipe": record(Recipe())}).encode()
RUN = {
    "kind": "run",
    "step": 2,
    "steps": 4,
    "shape": [8, 8],
    "losses": ["loss"],
    "terms": record(Recipe())["terms"],
    "asked": {},
}
SETTINGS = (
    "style_weight=3",
    "style_layers=relu1_1,relu2_1",
    "style_options=scale=hw,form='paper'",
    "scale_steps=1,2",
    "tile_px=auto",
    "optimizer=adam",
    "@histogram: histogram, layers=relu1_1;relu2_1, weight=balance",
)


def _pictures(folder):
    for kind in ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF"):
        for mode in ("RGB", "L", "RGBA", "P", "I;16", "CMYK", "LA", "1", "I", "F"):
            if (kind, mode) == ("PNG", "I"):
                continue  # Pillow 12 warns, and 13 refuses
            if mode == "I;16":
                image = Image.fromarray(NOISE[..., 0].astype(np.uint16) * 257)
            else:
                image = Image.fromarray(NOISE).convert(mode)
            try:
                image.save(folder / f"{kind}-{mode}", format=kind)
            except (OSError, ValueError):  # not all formats have all modes
                (folder / f"{kind}-{mode}").unlink(missing_ok=True)


def _recipes(folder):
    rows = zlib.compress(bytes(13))
    packed = b"jnst\0\0" + zlib.compress(RECORD)
    for name, data in ((b"tEXt", b"jnst\0" + RECORD), (b"zTXt", packed)):
        whole = png(1, 4, data=rows, more=chunk(name, data))
        (folder / name.decode()).write_bytes(whole)


def _settings(folder):
    for n, text in enumerate(SETTINGS):
        (folder / str(n)).write_text(text)


def _torch(folder):
    torch_files.write_pth_zip(folder / "zip", NAMED)
    torch_files.write_pth_zip(folder / "nested", NAMED, key="state_dict")
    torch_files.write_pth_legacy(folder / "legacy", NAMED)


def _whole(save):
    return lambda folder: save(folder / "whole")


def _npz(path):
    with open(path, "wb") as file:
        np.savez(file, **ARRAYS)


def _mat(path):
    with open(path, "wb") as file:
        layer = {"type": "conv", "name": "conv1_1"}
        weights = np.empty(2, object)
        weights[:] = [np.ones((3, 3, 3, 2), "f4"), np.ones(2, "f4")]
        formats.scipy.io.savemat(file, {"layers": [{**layer, "weights": weights}]})


SEEDS = {
    "pictures": _pictures,
    "recipes": _recipes,
    "metadata": _whole(lambda path: path.write_bytes(RECORD)),
    "settings": _settings,
    "torch": _torch,
    "safetensors": _whole(lambda path: safetensors.numpy.save_file(ARRAYS, path)),
    "h5": _whole(lambda path: formats.write_h5(path, {"a/b": np.ones(3, "f4")})),
    "keras": lambda folder: formats.zipped(
        folder / "whole.keras",
        lambda path, arrays: formats.write_h5(path, arrays),
        {"a/b": np.ones(3, "f4")},
    ),
    "mat": _whole(_mat),
    "npz": _whole(_npz),
    "weights": _whole(lambda path: safetensors.numpy.save_file(ARRAYS, path)),
    "checkpoints": _whole(lambda path: write_checkpoint(path, ARRAYS, RUN)),
}
"""What writes the files of each of `fuzzing.TARGETS` into a folder."""


def write_seeds(name, folder):
    SEEDS[name](folder)
