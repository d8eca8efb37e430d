"""One checkpoint as a file: safetensors, with a JSON document in its header.

The header's strings are: format (a version), document (JSON), sha256, a digest over the
document and the digest of the arrays (`jnst.weights.tensors_sha256`). A file is written
whole or not at all, and is on the disk when it has its name; nothing of a file that was
damaged is used.
"""

import contextlib
import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jnst.base import shown
from jnst.files import as_json, atomic_write
from jnst.memory import available_bytes
from jnst.weights import tensors_sha256

FORMAT = "jnst-checkpoint-1"
Arrays = Mapping[str, np.ndarray]
Document = dict[str, Any]
LONGEST_HEADER = 2**24
"""Bytes of a header: some hundred arrays and a recipe take a thousandth of it."""


def write_checkpoint(path: Path, arrays: Arrays, document: Mapping[str, Any]) -> None:
    """Write a checkpoint, and wait until the disk has it.

    Args:
      path: The file to write or replace.
      arrays: By name.
      document: See `jnst.files.as_json`.

    Raises:
      OSError: If it cannot be written; what was there is as it was.
    """
    from safetensors.numpy import save_file

    text = json.dumps(as_json(document), allow_nan=False)
    whole = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    about = {"format": FORMAT, "document": text, "sha256": _digest(whole, text)}
    with atomic_write(path) as temporary:
        _tell_os_errors(lambda: save_file(whole, temporary, metadata=about))
        _sync(temporary, os.O_RDWR)
    if os.name == "posix":
        _sync(path.parent, os.O_RDONLY)


def _tell_os_errors(write: Any) -> None:
    """Call what writes; safetensors has errors of its own for a full disk."""
    from safetensors import SafetensorError

    try:
        write()
    except SafetensorError as error:
        raise OSError(f"cannot write: {error}") from error


def _sync(path: Path, flags: int) -> None:
    number = os.open(path, flags)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _digest(arrays: Arrays, text: str) -> str:
    both = f"{tensors_sha256(dict(arrays))} {text}"
    return hashlib.sha256(both.encode("utf-8", "surrogatepass")).hexdigest()


def read_checkpoint(path: Path) -> tuple[dict[str, np.ndarray], Document]:
    """Read a checkpoint, if nothing of it is damaged.

    Args:
      path: The file.

    Returns:
      Its arrays by name, and its document.

    Raises:
      ValueError: If it is no whole checkpoint of this version; the message goes on
        from the name of the file.
    """
    with _refusing():
        _check_sizes(path)
        arrays, about = _load(path)
    if about.get("format") != FORMAT:
        told = shown(about.get("format"))
        raise ValueError(f"is of another version of jnst: format {told}, not {FORMAT}")
    text = about.get("document", "")
    if about.get("sha256") != _digest(arrays, text):
        raise ValueError("is damaged or was edited: its SHA-256 is another")
    return arrays, _parsed(text)


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    """Turn whatever a reader raises on damaged input into one `ValueError`."""
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        text = " ".join(str(error).split())
        raise ValueError(f"is no whole safetensors file: {text[:80]}") from None
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror or error}") from None
    except (KeyError, TypeError, OverflowError, MemoryError) as error:
        raise ValueError(f"is no checkpoint: {type(error).__name__}") from None


def _check_sizes(path: Path) -> None:
    """Raise before anything is read of what is no file, or too large."""
    about = path.stat()
    if not stat.S_ISREG(about.st_mode):
        raise ValueError("is no file")
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if length > min(LONGEST_HEADER, about.st_size):
        raise ValueError(f"is no checkpoint: its header says it has {length} bytes")
    free = available_bytes()
    if free is not None and about.st_size > free:
        raise ValueError(f"has {about.st_size} bytes, more than there is memory")


def _load(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        about = file.metadata() or {}
        return {name: file.get_tensor(name) for name in file.keys()}, about  # noqa: SIM118


def _parsed(text: str) -> Document:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ValueError("is no checkpoint: its document is none")
    return found
