"""Keras' files: HDF5, whole models and weights alone, and `.keras`, a zip around one.

HDF5 can name other files as the place of its numbers, and can claim shapes of any size;
both are refused before a number is read. Of a `.keras` file only the entry
`model.weights.h5` is looked at, in place: nothing is unpacked, so that the names of its
entries and what they would grow to do not matter.
"""

import contextlib
import functools
import io
import math
import struct
import types
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jnst.weights.network import MAX_ELEMENTS, Loader, refuse_damage

KERAS_WEIGHTS = "model.weights.h5"
CHUNK_BYTES = 2**20
LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature, lengths of name and extra field

Open = Callable[[], Any]
"""Returns a context manager that gives an open `h5py.File`."""


def _part_of(file: io.BufferedReader, start: int, size: int) -> Any:
    """Return a part of an open file as a file of its own, as far as HDF5 needs one."""

    def seek(offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: start, io.SEEK_END: start + size}[whence]
        return file.seek(max(origin + offset, start)) - start

    def tell() -> int:
        return file.tell() - start

    def readinto(buffer: Any) -> int:
        left = max(0, start + size - file.tell())
        return file.readinto(buffer[:left])

    def read(count: int) -> bytes:
        return file.read(min(count, max(0, start + size - file.tell())))

    return types.SimpleNamespace(seek=seek, tell=tell, readinto=readinto, read=read)


def read_h5(path: Path) -> dict[str, Loader]:
    """List the arrays of a Keras file, with or without the classifier's top.

    Args:
      path: HDF5: a whole model's `.h5`, or the `.weights.h5` of any version.

    Returns:
      {name: function that reads the array}.

    Raises:
      ValueError: For a damaged file.
    """
    import h5py

    return _list_h5(str(path), functools.partial(h5py.File, path, "r"))


def read_keras(path: Path) -> dict[str, Loader]:
    """List the arrays of a `.keras` file, the zip that Keras 3 saves models in.

    Args:
      path: An uncompressed zip with an entry `model.weights.h5`.

    Returns:
      {name: function that reads the array}.

    Raises:
      ValueError: For a damaged or compressed file, or one without that entry.
    """
    start, size = _find_weights(str(path))
    return _list_h5(str(path), functools.partial(_open_part, path, start, size))


def _find_weights(where: str) -> tuple[int, int]:
    """Return where in a `.keras` file the weights' bytes begin, and how many."""
    with refuse_damage(where, "not a whole zip file"):
        with zipfile.ZipFile(where) as archive:
            if KERAS_WEIGHTS not in archive.namelist():
                raise ValueError(f"{where}: a zip file without Keras' {KERAS_WEIGHTS}")
            entry = archive.getinfo(KERAS_WEIGHTS)
            if entry.compress_type != zipfile.ZIP_STORED:
                raise ValueError(
                    f"{where}: a compressed zip file, which Keras never writes"
                )
            if entry.compress_size != entry.file_size:
                raise ValueError(f"size of {KERAS_WEIGHTS} is given in two ways")
            with archive.open(entry) as file:  # compares the check sum at its end
                while file.read(CHUNK_BYTES):
                    continue
        with open(where, "rb") as file:
            file.seek(entry.header_offset)
            header = file.read(LOCAL_HEADER.size)
            _, name, extra = LOCAL_HEADER.unpack(header)
    return entry.header_offset + LOCAL_HEADER.size + name + extra, entry.file_size


@contextlib.contextmanager
def _open_part(path: Path, start: int, size: int) -> Iterator[Any]:
    import h5py

    with open(path, "rb") as file:
        with h5py.File(_part_of(file, start, size), "r") as part:
            yield part


def _list_h5(where: str, opened: Open) -> dict[str, Loader]:
    import h5py

    found: dict[str, Loader] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            load = functools.partial(_load_h5, where, opened, name)
            found[name] = Loader(tuple(item.shape or ()), load)

    with refuse_damage(where, "not a whole HDF5 file"):
        with opened() as file:
            file.visititems(visit)
    return found


def _load_h5(where: str, opened: Open, name: str) -> np.ndarray:
    with refuse_damage(where, f"array {name!r} cannot be read"):
        with opened() as file:
            dataset: Any = file[name]
            _check_dataset(dataset)
            return np.asarray(dataset[()])


def _check_dataset(dataset: Any) -> None:
    """Raise `ValueError` for what would take memory, or numbers from other files."""
    if dataset.dtype.kind not in "biuf":
        raise ValueError("it holds no numbers")
    elements = max(dataset.size or 0, math.prod(dataset.chunks or ()))
    if elements > MAX_ELEMENTS:  # a piece is read whole, whatever the array's shape
        raise ValueError(f"shape {list(dataset.shape)} is too large")
    if dataset.external or dataset.is_virtual:
        raise ValueError("its numbers are said to lie in another file")
