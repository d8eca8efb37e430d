"""PyTorch's files, zip and legacy, read without PyTorch.

The pickled part only describes arrays: which storage, where in it, which strides. The
numbers are cut out of the file here, and only from inside the storage they claim to lie
in; arrays nobody asks for are never read.

Zip: an uncompressed archive of `NAME/data.pkl` and one entry `NAME/data/KEY` a storage.
Legacy: pickles of a magic number, a protocol version, facts on the system, the object
and the list of storage keys; then each storage as an int64 count and its numbers.
"""

import functools
import io
import math
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from jnst.weights.network import Loader, refuse_damage
from jnst.weights.pickles import STORAGE_TYPES, Tensor, leaves, torch_name, unpickle

Storages = Callable[[str, int, str], np.ndarray]

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001
MAX_PICKLE_BYTES = 2**24
MAX_INDEX = 2**40


def _is_index(value: Any) -> bool:
    return type(value) is int and 0 <= value < MAX_INDEX


def _is_storage(pid: Any) -> bool:
    """Whether a persistent id is ("storage", type, key, device, count[, no view])."""
    return (
        isinstance(pid, tuple)
        and len(pid) in (5, 6)
        and pid[0] == "storage"
        and isinstance(pid[1], str)
        and pid[1] in STORAGE_TYPES.values()
        and isinstance(pid[2], str)
        and _is_index(pid[4])
        and pid[5:] in ((), (None,))
    )


def _check_tensor(where: str, name: str, tensor: Tensor) -> None:
    """Raise `ValueError` unless a tensor lies inside its storage."""
    pid, offset, shape, stride = tensor
    if not _is_storage(pid):
        raise ValueError(f"{where}: array {name!r} is in no storage of numbers")
    tuples = isinstance(shape, tuple) and isinstance(stride, tuple)
    if not tuples or not all(map(_is_index, (offset, *shape, *stride))):
        raise ValueError(f"{where}: array {name!r} has no proper shape and strides")
    last = offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=False))
    empty = 0 in shape or len(shape) != len(stride)
    if empty or math.prod(shape) > pid[4] or last >= pid[4]:
        raise ValueError(f"{where}: array {name!r} reaches outside its storage")


def _load_tensor(
    where: str, name: str, tensor: Tensor, storages: Storages
) -> np.ndarray:
    """Read a tensor; `ValueError` if it is cut short or outside its storage."""
    _check_tensor(where, name, tensor)
    (_, dtype, key, _, numel, *_), offset, shape, stride = tensor
    flat = storages(key, numel, dtype)
    if flat.size != numel:
        raise ValueError(f"{where}: array {name!r} is cut short; the file is damaged")
    steps = [step * flat.itemsize for step in stride]
    view = np.lib.stride_tricks.as_strided(flat[offset:], shape, steps, writeable=False)
    return np.array(view, order="C")


def _loaders(
    where: str, found: dict[str, Tensor], storages: Storages
) -> dict[str, Loader]:
    return {
        name: Loader(
            _shape(tensor),
            functools.partial(_load_tensor, where, name, tensor, storages),
        )
        for name, tensor in found.items()
    }


def _shape(tensor: Tensor) -> tuple[int, ...]:
    """Return the shape a tensor claims, () if that is none."""
    proper = isinstance(tensor.shape, tuple) and all(map(_is_index, tensor.shape))
    return tensor.shape if proper else ()


def _tensors(tree: Any) -> dict[str, Tensor]:
    return {k: leaf for k, leaf in leaves(tree).items() if isinstance(leaf, Tensor)}


def _read_zip(path: Path) -> dict[str, Loader]:
    with refuse_damage(str(path), "not a whole zip file"):
        with zipfile.ZipFile(path) as archive:
            root, data = _read_index(str(path), archive)
    tree = unpickle(io.BytesIO(data), str(path), torch_name)
    storages = functools.partial(_zip_storage, path, root)
    return _loaders(str(path), _tensors(tree), storages)


def _read_index(where: str, archive: zipfile.ZipFile) -> tuple[str, bytes]:
    """Return the folder inside a zip file that holds everything, and its pickle."""
    entries = {entry.filename: entry for entry in archive.infolist()}
    pickled = next((name for name in entries if name.endswith("/data.pkl")), "")
    if not pickled or entries[pickled].file_size > MAX_PICKLE_BYTES:
        raise ValueError(f"{where}: a zip file without PyTorch's data.pkl")
    if any(e.compress_type != zipfile.ZIP_STORED for e in entries.values()):
        raise ValueError(f"{where}: a compressed zip file, which PyTorch never writes")
    root = pickled.removesuffix("data.pkl")
    order = f"{root}byteorder"
    if order in entries and archive.read(order) != b"little":
        raise ValueError(f"{where}: its numbers are not little-endian")
    return root, archive.read(pickled)


def _zip_storage(path: Path, root: str, key: str, numel: int, dtype: str) -> np.ndarray:
    name = f"{root}data/{key}"
    with refuse_damage(str(path), f"storage {name!r} is damaged"):
        with zipfile.ZipFile(path) as archive:
            whole = archive.getinfo(name).file_size == numel * np.dtype(dtype).itemsize
            return np.frombuffer(archive.read(name) if whole else b"", dtype)


def _read_legacy(path: Path, file: BinaryIO) -> dict[str, Loader]:
    where = str(path)

    def plain() -> Any:
        return unpickle(file, where, lambda *_: None)

    if (plain(), plain()) != (MAGIC_NUMBER, PROTOCOL_VERSION):
        raise ValueError(f"{where}: a pickle, but not one that PyTorch wrote")
    system = plain()
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise ValueError(f"{where}: its numbers are not little-endian")
    found = _tensors(unpickle(file, where, torch_name))
    keys = plain()
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ValueError(f"{where}: no list of storages; the file is damaged")
    pids = [tensor.storage for tensor in found.values() if _is_storage(tensor.storage)]
    sizes = {pid[2]: pid[4] * np.dtype(pid[1]).itemsize for pid in pids}
    starts, position = {}, file.tell()
    for key in keys:
        starts[key] = position
        position += 8 + sizes.get(key, 0)
    storages = functools.partial(_legacy_storage, path, starts)
    return _loaders(where, found, storages)


def _legacy_storage(
    path: Path, starts: dict[str, int], key: str, numel: int, dtype: str
) -> np.ndarray:
    if key not in starts:
        raise ValueError(f"{path}: storage {key!r} is not in the file; it is damaged")
    size = numel * np.dtype(dtype).itemsize
    with open(path, "rb") as file:
        if starts[key] + 8 + size > os.fstat(file.fileno()).st_size:
            return np.zeros(0, dtype)
        file.seek(starts[key])
        count = int.from_bytes(file.read(8), "little")
        data = file.read(size) if count == numel else b""
    return np.frombuffer(data, dtype)


def read_torch(path: Path) -> dict[str, Loader]:
    """List the arrays of a file that `torch.save` wrote, in either format.

    Args:
      path: File with a state dict, possibly nested.

    Returns:
      {name: function that reads the array}.

    Raises:
      ValueError: For a damaged file, or one whose pickle asks for anything else.
    """
    with open(path, "rb") as file:
        if file.read(4) == b"PK\x03\x04":
            return _read_zip(path)
        file.seek(0)
        return _read_legacy(path, file)
