"""MatConvNet's files: MATLAB's version 5, little-endian, packed or not.

A file is 128 bytes and a row of elements, each a type, a size and its bytes. One of
type `MATRIX` holds elements itself: flags, dimensions, a name, and the numbers, text,
cells or fields of an array. What else MATLAB knows, no network needs, and is refused.
SciPy's reader is not used: a damaged type in a file ends its process.
"""

import functools
import math
import mmap
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jnst.weights.network import Loader, refuse_damage

HEADER_BYTES = 128
PACKED, MATRIX = 15, 14
NUMBERS = {
    # Type of an element: that of its numbers.
    1: "<i1", 2: "<u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4",
    7: "<f4", 9: "<f8", 12: "<i8", 13: "<u8",
}  # fmt: skip
TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16-le", 16: "utf-8", 17: "utf-16-le"}
CELL, STRUCT, CHAR = 1, 2, 4
NUMERIC = range(6, 16)
"""Classes of arrays."""
COMPLEX = 8
"""Bit of the flags."""
MOST_DEEP, MOST_AXES = 8, 8
MOST_SWOLLEN = 16
"""How many times as large as it is a packed element may become; weights hardly do."""


def read_mat(path: Path) -> dict[str, Loader]:
    """List the convolutions of a MatConvNet file.

    Args:
      path: A `.mat` file with a variable `layers`.

    Returns:
      {"conv1_1/filters": function that reads the array, ...}.

    Raises:
      ValueError: For a damaged file, or one of another kind.
    """
    found: dict[str, Loader] = {}
    with refuse_damage(str(path), "not a whole MatConvNet file"):
        with open(path, "rb") as file:
            whole = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        for layer in _cells(_variable(whole, "layers")):
            for row in layer if isinstance(layer, list) else [layer]:
                if isinstance(row, dict) and row["type"] == "conv":
                    pair = row.get("weights", [row.get("filters"), row.get("biases")])
                    for name, array in zip(("filters", "biases"), pair, strict=True):
                        found[f"{row['name']}/{name}"] = _loader(array, name)
    return found


def _loader(array: Any, name: str) -> Loader:
    if not isinstance(array, np.ndarray):
        raise ValueError(f"its {name} are no numbers")
    array = array.reshape(-1) if name == "biases" else array
    return Loader(array.shape, functools.partial(np.array, array))


def _cells(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("its variable layers is no list of layers")
    return value


def _variable(whole: memoryview, wanted: str) -> Any:
    """Return a variable of a file."""
    if whole[:10] != b"MATLAB 5.0" or whole[126:128] != b"IM":
        raise ValueError("no file of MATLAB's version 5, little-endian")
    for kind, data in _elements(whole[HEADER_BYTES:], padded=False):
        if kind == PACKED:
            kind, data = next(_elements(_unpacked(data)))
        if kind == MATRIX and _head(data)[2] == wanted:
            return _array(data, 0)
    raise ValueError(f"it has no variable {wanted!r}")


def _unpacked(data: memoryview) -> memoryview:
    most = MOST_SWOLLEN * len(data) + HEADER_BYTES
    stream = zlib.decompressobj()
    found = stream.decompress(data, most)
    if stream.unconsumed_tail:
        raise ValueError("it swells to more than numbers would")
    return memoryview(found)


def _elements(
    data: memoryview, *, padded: bool = True
) -> Iterator[tuple[int, memoryview]]:
    """List the types and bytes of elements; only at the top one is not padded to 8."""
    at = 0
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<II", data, at)
        start, packed = at + 8, kind == PACKED and not padded
        after = start + (size if packed else -(-size // 8) * 8)
        if kind >> 16:  # small: the size is in the type, the data in place of the size
            kind, size, start, after = kind & 0xFFFF, kind >> 16, at + 4, at + 8
            if size > 4:
                raise ValueError("a small element is too large")
        if start + size > len(data):
            raise ValueError("it is cut short")
        yield kind, data[start : start + size]
        at = after


def _head(data: memoryview) -> tuple[bytes, tuple[int, ...], str]:
    """Return flags, dimensions and name of an array."""
    parts = [part for _, part in zip(range(3), _elements(data), strict=False)]
    if len(parts) < 3 or len(parts[0][1]) < 8 or parts[1][0] != 5:
        raise ValueError("an array has no head")
    shape = tuple(int(n) for n in np.frombuffer(parts[1][1], "<i4"))
    if len(shape) > MOST_AXES or min(shape, default=0) < 0:
        raise ValueError(f"an array has shape {list(shape[:MOST_AXES])}")
    return bytes(parts[0][1]), shape, bytes(parts[2][1]).decode("latin-1")


def _array(data: memoryview, depth: int) -> Any:
    """Return an array: of numbers as NumPy's, cells as a list, fields as dicts."""
    if depth > MOST_DEEP:
        raise ValueError(f"it is more than {MOST_DEEP} deep")
    flags, shape, _ = _head(data)
    kind, rest = flags[0], list(_elements(data))[3:]
    if kind == CELL:
        cells = [_inner(part, depth) for part in rest]
        if len(cells) != math.prod(shape):
            raise ValueError("a list of cells is cut short")
        return cells
    if kind == STRUCT:
        return _fields(rest, math.prod(shape), depth)
    if kind == CHAR:
        return bytes(rest[0][1]).decode(_type_of(rest, TEXTS))
    if kind not in NUMERIC or flags[1] & COMPLEX:
        raise ValueError(f"an array is of class {kind}, or complex")
    numbers = np.frombuffer(rest[0][1], _type_of(rest, NUMBERS))
    return numbers.reshape(shape, order="F")


def _type_of(rest: list[tuple[int, memoryview]], table: dict[int, str]) -> str:
    kind = rest[0][0] if rest else 0
    if kind not in table:
        raise ValueError(f"an array's values are of type {kind}, which is none of them")
    return table[kind]


def _inner(part: tuple[int, memoryview], depth: int) -> Any:
    kind, data = part
    if kind != MATRIX:
        raise ValueError("something else is where an array should be")
    return _array(data, depth + 1) if len(data) else None


def _fields(rest: list[tuple[int, memoryview]], count: int, depth: int) -> Any:
    """Return one dict of fields, or a list of them."""
    length = int(np.frombuffer(rest[0][1], "<i4")[0])
    names = bytes(rest[1][1])
    if not 0 < length <= len(names):
        raise ValueError("it has fields without names")
    starts = range(0, len(names) // length * length, length)
    each = [names[at : at + length].split(b"\0")[0].decode("latin-1") for at in starts]
    values = [_inner(part, depth) for part in rest[2:]]
    if len(values) != count * len(each):
        raise ValueError("fields are cut short")
    rows = [
        dict(zip(each, values[n : n + len(each)], strict=True))
        for n in range(0, len(values), max(1, len(each)))
    ]
    return rows[0] if len(rows) == 1 else rows
