"""Float arrays to image files, with the recipe inside a PNG.

A PNG carries one text chunk with the key `METADATA_KEY`, which holds a JSON object.
To write another format, add a row to `WRITERS`.
"""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image, PngImagePlugin

from jnst.base import check_one_of
from jnst.files import StrPath, as_json, atomic_write
from jnst.image.opening import open_image

METADATA_KEY = "jnst"
METADATA_BYTES = 1 << 20
METADATA_DEPTH = 50
"""Lists in lists in metadata that is read; ours has six, Python's stack holds 1000."""


ROUNDING = 1e-6
"""How far beyond [0, 1] arithmetic in floats may leave a pixel."""


def check_image(what: str, array: Any) -> None:
    """Raise unless an array can be an image: float, [height, width, 3] and finite.

    Args:
      what: What to call it in the message.
      array: Of NumPy or JAX; values outside [0, 1] are allowed.

    Raises:
      ValueError: If it is none, saying why.
    """
    if not isinstance(array, np.ndarray | jax.Array):
        raise ValueError(f"{what} must be an array, got {type(array).__name__}")
    if array.ndim != 3 or array.shape[-1] != 3 or 0 in array.shape:
        shape = list(array.shape)
        raise ValueError(f"{what} must have shape [height, width, 3], got {shape}")
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise ValueError(
            f"{what} must be floats in [0, 1], got {array.dtype}; divide 8-bit by 255"
        )
    with np.errstate(over="ignore"):  # beyond float32's range, which all is kept in
        bad = int(np.size(array) - np.isfinite(np.asarray(array, np.float32)).sum())
    if bad:
        raise ValueError(f"{what} has {bad} values that are not finite")


def clip_rounding(what: str, pixels: np.ndarray) -> np.ndarray:
    """Return pixels in [0, 1], rounding errors taken off.

    Args:
      what: What to call them in the message.
      pixels: Of any shape, finite.

    Raises:
      ValueError: If they were meant to be beyond, by more than `ROUNDING`.
    """
    low, high = float(pixels.min()), float(pixels.max())
    if low < -ROUNDING or high > 1 + ROUNDING:
        raise ValueError(f"{what} must be in [0, 1], got {low:.9g} to {high:.9g}")
    return np.clip(pixels, 0, 1) if low < 0 or high > 1 else pixels


def is_image_array(array: Any) -> bool:
    """Whether `check_image` accepts it."""
    try:
        check_image("image", array)
    except ValueError:
        return False
    return True


class Writer(NamedTuple):
    """How images of one ending are written.

    Attributes:
      format: Pillow's name of the format.
      max_side_px: The longest side the format can hold.
      options: What Pillow's encoder is told.
      alpha: Whether it holds transparency.
    """

    format: str
    max_side_px: int
    options: dict[str, Any]
    alpha: bool = True


_JPEG = Writer("JPEG", 65500, {"subsampling": 0}, alpha=False)
_TIFF = Writer("TIFF", 2**31 - 1, {"compression": "tiff_lzw"})
WRITERS = {
    ".png": Writer("PNG", 2**31 - 1, {}),
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".webp": Writer("WEBP", 16383, {}),
    ".tif": _TIFF,
    ".tiff": _TIFF,
}
IMAGE_SUFFIXES = tuple(WRITERS)


def check_holds_alpha(path: StrPath) -> None:
    """Raise unless files of an ending, a key of `WRITERS`, hold transparency.

    Raises:
      ValueError: If they do not, naming those that do.
    """
    if not WRITERS[Path(path).suffix.lower()].alpha:
        known = ", ".join(name for name, writer in WRITERS.items() if writer.alpha)
        raise ValueError(
            f"output {str(path)!r} cannot hold transparency; use one of {known}"
        )


def save_image(
    path: StrPath,
    image: np.ndarray | jax.Array,
    *,
    metadata: Mapping[str, Any] | None = None,
    quality: int = 95,
    alpha: np.ndarray | None = None,
) -> None:
    """Write an image as 8 bits a channel, whole or not at all; replaces a file.

    Args:
      path: The file to write; its ending, a key of `WRITERS`, decides the format.
      image: RGB floats, [height, width, 3]; clipped to [0, 1] and rounded.
      metadata: What `files.as_json` accepts; written to PNG, ignored elsewhere.
      quality: Of JPEG and WebP, 1 to 100.
      alpha: Opacities, [height, width] in [0, 1]; None for none.

    Raises:
      ValueError: If the ending is unknown, the array is no image or too large for
        the format, the metadata is too long, the quality is out of range, or there are
        opacities that do not belong to the image or the format.
    """
    check_image("image", image)
    check_one_of("image suffix", Path(path).suffix.lower(), WRITERS)
    writer = WRITERS[Path(path).suffix.lower()]
    if max(image.shape) > writer.max_side_px:
        raise ValueError(
            f"image of {image.shape[0]}x{image.shape[1]} (height x width) is too large"
            f" for {writer.format}, at most {writer.max_side_px} a side; use PNG"
        )
    if not 1 <= quality <= 100:
        raise ValueError(f"quality must be 1 to 100, got {quality}")
    options = dict(writer.options)
    if writer.format == "PNG":
        options["pnginfo"] = _text_chunk(metadata)
    elif writer.format != "TIFF":
        options["quality"] = quality
    encoded = _eight_bits(image)
    if alpha is not None:
        check_holds_alpha(path)
        encoded.putalpha(_opacities(alpha, image.shape[:2]))
    with atomic_write(path) as temporary:
        encoded.save(temporary, format=writer.format, **options)


def _opacities(alpha: np.ndarray, shape: tuple[int, ...]) -> Image.Image:
    if alpha.shape != shape or not np.isfinite(alpha).all():
        raise ValueError(
            f"alpha must be finite, of the image's shape {list(shape)}, got "
            f"{list(alpha.shape)}"
        )
    return _eight_bits(alpha)


def _eight_bits(image: np.ndarray | jax.Array) -> Image.Image:
    levels = np.rint(np.clip(np.asarray(image, np.float64), 0.0, 1.0) * 255.0)
    return Image.fromarray(levels.astype(np.uint8))


def encode_png(image: np.ndarray | jax.Array) -> bytes:
    """Return an image as a PNG of 8 bits a channel, in memory.

    Raises:
      ValueError: If it is no image.
    """
    check_image("image", image)
    buffer = io.BytesIO()
    _eight_bits(image).save(buffer, format="PNG")
    return buffer.getvalue()


def encode_jpeg(image: np.ndarray | jax.Array, *, quality: int = 88) -> bytes:
    """Return an image as a JPEG, in memory, for pages to embed.

    Raises:
      ValueError: If it is no image.
    """
    check_image("image", image)
    buffer = io.BytesIO()
    _eight_bits(image).save(buffer, format="JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()


def _text_chunk(metadata: Mapping[str, Any] | None) -> PngImagePlugin.PngInfo | None:
    """Metadata as a PNG's text chunk; JSON escapes all that is not ASCII."""
    if metadata is None:
        return None
    text = json.dumps(as_json(metadata), allow_nan=False)
    if len(text) > METADATA_BYTES:
        raise ValueError(
            f"metadata has {len(text)} bytes, more than the {METADATA_BYTES} allowed"
        )
    chunk = PngImagePlugin.PngInfo()
    chunk.add_text(METADATA_KEY, text)
    return chunk


def read_metadata(path: StrPath) -> dict[str, Any]:
    """Read back the metadata that `save_image` wrote into a PNG.

    Args:
      path: A PNG file.

    Returns:
      The JSON object; what is in it is for the caller to check.

    Raises:
      FileNotFoundError: If there is no such file.
      ValueError: If it is no PNG, or carries no valid JSON object of at most 1 MiB
        and `METADATA_DEPTH`.
    """
    with open_image(path, ("PNG",)) as image:
        text = image.info.get(METADATA_KEY)
    what = f"image file {str(path)!r}"
    if not isinstance(text, str):
        raise ValueError(f"{what} carries no metadata of jnst; it was not made by it")
    if len(text) > METADATA_BYTES:
        raise ValueError(f"{what} carries more than {METADATA_BYTES} bytes of metadata")
    try:
        document = json.loads(text, parse_constant=_reject)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{what} carries metadata that is not JSON") from error
    if _is_deeper(document, METADATA_DEPTH):
        raise ValueError(f"{what} carries metadata more than {METADATA_DEPTH} deep")
    if not isinstance(document, dict):
        kind = type(document).__name__
        raise ValueError(f"{what} carries metadata that is a {kind}, not an object")
    return document


def _is_deeper(document: Any, depth: int) -> bool:
    """Whether lists and objects lie in each other more than so many times."""
    level = [document] if isinstance(document, dict | list) else []
    for _ in range(depth + 1):
        inner = (v.values() if isinstance(v, dict) else v for v in level)
        level = [v for each in inner for v in each if isinstance(v, dict | list)]
    return bool(level)


def _reject(constant: str) -> None:
    """Refuse NaN and Infinity, which Python reads although JSON has none."""
    raise ValueError(f"{constant} is not JSON")
