"""One reader a format, and `read_network`, which turns any file into a `Network`.

A reader lists a file's arrays as functions that read them, so that the 100 million
numbers of a classifier's top are never loaded. It checks what keeps memory safe; names,
shapes and finiteness are checked afterwards, alike for all. To add a format, add a row
to `READERS`.
"""

import functools
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jnst.files import StrPath, sha256_of
from jnst.weights import network, recognition
from jnst.weights.h5_files import read_h5, read_keras
from jnst.weights.mat_files import read_mat
from jnst.weights.network import MAX_ELEMENTS, Loader, Network
from jnst.weights.pickles import leaves, numpy_name, unpickle
from jnst.weights.sources import SOURCES, PackagedFile
from jnst.weights.torch_files import read_torch


def _at_hand(array: np.ndarray) -> Loader:
    return Loader(array.shape, lambda: array)


def read_npz(path: Path) -> dict[str, Loader]:
    """List the arrays of a NumPy archive."""
    found: dict[str, Loader] = {}
    with network.refuse_damage(str(path), "not a whole .npz file"):
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                name = entry.filename.removesuffix(".npy")
                with archive.open(entry) as file:
                    shape = _npy_shape(file)
                found[name] = Loader(shape, functools.partial(_load_npz, path, name))
    return found


def _npy_shape(file: Any) -> tuple[int, ...]:
    version = np.lib.format.read_magic(file)
    later = np.lib.format.read_array_header_2_0
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else later
    return read(file)[0]


def _load_npz(path: Path, name: str) -> np.ndarray:
    with network.refuse_damage(str(path), f"array {name!r} cannot be read"):
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(f"{name}.npy").file_size > 8 * MAX_ELEMENTS:
                raise ValueError("too large")
        with np.load(path, allow_pickle=False) as file:
            return file[name]


def read_safetensors(path: Path) -> dict[str, Loader]:
    """List the arrays of a safetensors file."""

    def shapes(file: Any) -> dict[str, tuple[int, ...]]:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}

    return {
        name: Loader(shape, functools.partial(_load_safetensor, path, name))
        for name, shape in _open_safetensors(path, shapes).items()
    }


def safetensors_metadata(path: Path) -> dict[str, str]:
    """Return the strings in a safetensors file's header; reads no numbers."""
    return _open_safetensors(path, lambda file: file.metadata()) or {}


def _load_safetensor(path: Path, name: str) -> np.ndarray:
    return _open_safetensors(path, lambda file: file.get_tensor(name))


def _open_safetensors(path: Path, use: Callable[[Any], Any]) -> Any:
    from safetensors import safe_open

    with network.refuse_damage(str(path), "not a whole safetensors file"):
        with safe_open(path, framework="numpy") as file:
            return use(file)


READERS: dict[str, Callable[[Path], dict[str, Loader]]] = {
    ".bin": read_torch,
    ".ckpt": read_torch,
    ".h5": read_h5,
    ".hdf5": read_h5,
    ".keras": read_keras,
    ".mat": read_mat,
    ".npz": read_npz,
    ".pt": read_torch,
    ".pth": read_torch,
    ".safetensors": read_safetensors,
    ".tar": read_torch,
}
"""Reader of each suffix, in lower case."""


def read_packaged(path: Path, packaged: PackagedFile) -> dict[str, Loader]:
    """List the arrays of a packaged file, once its SHA-256 has been checked.

    Args:
      path: Where the installed package keeps it.
      packaged: What it should be.

    Returns:
      {name: function that reads the array}.

    Raises:
      ValueError: If it is another file.
    """
    found = sha256_of(path)
    if found != packaged.sha256:
        raise ValueError(f"{path} has SHA-256 {found}, not {packaged.sha256}")
    if not packaged.numpy:
        return READERS[path.suffix](path)
    with open(path, "rb") as file:  # a pickled tree of NumPy arrays
        tree = leaves(unpickle(file, str(path), numpy_name))
    return {name: _at_hand(np.asarray(array)) for name, array in tree.items()}


def _read_own(where: str, loaders: Mapping[str, Loader]) -> Network:
    """Read arrays under our own names; the network may be of any width."""
    backbone = (
        "vgg19" if any(f"conv{b}_4.kernel" in loaders for b in "345") else "vgg16"
    )
    arrays = {name: load() for name, load in loaders.items()}
    network.check_arrays(where, arrays, backbone)
    arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
    pixels = arrays["preprocess.kernel"], arrays["preprocess.bias"]
    known = {"backbone": backbone, "title": f"{backbone}, our own format"}
    known["preprocessing"] = network.preprocessing_of(*pixels) or "custom"
    return Network(arrays, known)


def _published_name(sha256: str, found: Network) -> str:
    """Return the key of `SOURCES` that a file's digest or numbers prove it to be."""
    for name, source in SOURCES.items():
        kind, wanted = source.checksum.split(":")
        if kind.startswith("sha256") and sha256.startswith(wanted):
            return name
    return "vgg19" if network.has_original_biases(found.arrays) else ""


def read_network(path: StrPath) -> Network:
    """Read, check and identify a weights file of any format in `READERS`.

    Args:
      path: The file. Published sizes are demanded of others' formats; our own may
        hold narrower networks.

    Returns:
      The network, with its full provenance.

    Raises:
      FileNotFoundError: If there is no such file.
      ValueError: One line naming the array, or the file, that is wrong.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"weights file {str(path)!r} not found")
    if path.suffix.lower() not in READERS:
        raise ValueError(f"{path}: unknown format, not one of {', '.join(READERS)}")
    if path.stat().st_size == 0:
        raise ValueError(f"{path} is empty; fetch it again")
    loaders = READERS[path.suffix.lower()](path)
    own = any(n in loaders for n in ("preprocess.kernel", "conv1_1.kernel"))
    found = (_read_own if own else recognition.assemble)(str(path), loaders)
    ours = path.suffix == ".safetensors" and safetensors_metadata(path)
    if ours and ours.get("format") == network.FORMAT:
        return Network(found.arrays, {**found.provenance, **ours})
    sha256 = sha256_of(path)
    name = _published_name(sha256, found)
    licence = SOURCES[name].licence if name else "unknown"
    known = {"name": name, "licence": licence, "source": path.name}
    provenance = {**found.provenance, **known, "source_sha256": sha256}
    return Network(found.arrays, provenance)
