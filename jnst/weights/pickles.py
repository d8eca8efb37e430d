"""Pickles, read without running them.

A pickle is a program. Here it meets an unpickler that knows the handful of names a
file of weights needs, maps them to inert stand-ins, and refuses every other name. To
allow one more, add it to `torch_name`, as something a pickle cannot misuse.
"""

import collections
import pickle
import types
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from jnst.weights.network import refuse_damage

MAX_DEPTH = 4
MAX_READ_BYTES = 2**24

STORAGE_TYPES: dict[str, str] = {
    "BFloat16Storage": "bfloat16",
    "BoolStorage": "|b1",
    "ByteStorage": "|u1",
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "IntStorage": "<i4",
    "LongStorage": "<i8",
}
"""Element type of each storage class, as NumPy writes it."""


class Tensor(NamedTuple):
    """A tensor as the pickle describes it, not yet checked or read."""

    storage: Any
    offset: Any
    shape: Any
    stride: Any


def torch_name(module: str, name: str) -> Any:
    """Return an inert stand-in for a global of PyTorch's, or None if not known.

    A pickle may set attributes on what it is given. Functions are made anew each
    time and types are strings, so that nothing outlives the file.
    """
    if module == "torch" and name in STORAGE_TYPES:
        return STORAGE_TYPES[name]
    if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
        return lambda storage, offset, shape, stride, *_: Tensor(
            storage, offset, shape, stride
        )
    if (module, name) == ("torch._utils", "_rebuild_parameter"):
        return lambda tensor, *_: tensor
    if (module, name) == ("collections", "OrderedDict"):
        return collections.OrderedDict
    return None


def numpy_name(module: str, name: str) -> Any:
    """Return a global that pickled NumPy arrays need, or None if not known.

    These reach NumPy's own code: for files of a known SHA-256 only.
    """
    if name == "_reconstruct" and module.endswith("core.multiarray"):
        return np.zeros(0).__reduce__()[0]
    known = {("numpy", "ndarray"): np.ndarray, ("numpy", "dtype"): np.dtype}
    return known.get((module, name))


class RestrictedUnpickler(pickle._Unpickler):
    """An unpickler that refuses every global but those it is given.

    It is the one in Python: that in C gives a hostile file gigabytes of memory, by
    making room for whatever position in its memo the file names.

    Attributes:
      where: File, for messages.
      names: Maps (module, name) to a stand-in, or to None for a refusal.
    """

    # BYTEARRAY8 makes room for as much as it is told; no state dict has one.
    dispatch = {
        opcode: load
        for opcode, load in pickle._Unpickler.dispatch.items()
        if opcode != pickle.BYTEARRAY8[0]
    }

    def __init__(self, file: Any, where: str, names: Callable[[str, str], Any]):
        """Prepare to read one pickle from `file`."""
        super().__init__(file, encoding="utf-8")
        self.where, self.names = where, names

    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in for a global; `ValueError` for any not known."""
        found = self.names(module, name)
        if found is None:
            raise ValueError(
                f"{self.where}: refused: its pickle asks for {f'{module}.{name}'!r}, "
                "which weights do not need and which could run code; save a model's "
                "`state_dict()` alone"
            )
        return found

    def persistent_load(self, pid: Any) -> Any:
        """Keep a reference to a storage as it is."""
        return pid


def unpickle(file: Any, where: str, names: Callable[[str, str], Any]) -> Any:
    """Read one pickle from a file, with a few globals only.

    Args:
      file: Binary file, at the pickle's first byte; left after its last.
      where: Its name, for messages.
      names: See `RestrictedUnpickler`.

    Returns:
      The object.

    Raises:
      ValueError: For a global that is not allowed, or for anything unreadable.
    """
    # A hostile length would else make room for as much before reading.
    capped = types.SimpleNamespace(
        read=lambda size: file.read(min(size, MAX_READ_BYTES)),
        readline=lambda: file.readline(MAX_READ_BYTES),
    )
    with refuse_damage(where, "not a whole pickle"):
        return RestrictedUnpickler(capped, where, names).load()


def leaves(tree: Any) -> dict[str, Any]:
    """Flatten nested dicts.

    Args:
      tree: Dicts with strings as keys, at most `MAX_DEPTH` deep; each dict is entered
        once, so that one holding itself comes to an end.

    Returns:
      {"outer.inner": leaf}; what is under other keys is left out.
    """
    found, seen, waiting = {}, set(), [("", tree)]
    while waiting:
        prefix, branch = waiting.pop(0)
        if not isinstance(branch, Mapping) or id(branch) in seen:
            continue
        seen.add(id(branch))
        for key in (k for k in branch if isinstance(k, str)):
            if isinstance(branch[key], Mapping) and prefix.count(".") < MAX_DEPTH:
                waiting.append((f"{prefix}{key}.", branch[key]))
            else:
                found[f"{prefix}{key}"] = branch[key]
    return found
