"""Files in and out, of no particular kind: safe writing, checks, JSON, checksums.

Whatever takes minutes to make is checked for before it is made (`check_output`) and
is never left half written (`atomic_write`). Names of files are shown with `repr`, so
that a control character in one cannot reach the terminal.
"""

import contextlib
import hashlib
import json
import math
import os
import secrets
import stat
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

StrPath = str | os.PathLike[str]


@contextlib.contextmanager
def atomic_write(path: StrPath) -> Iterator[Path]:
    """Yield a temporary path that becomes `path` only if the block succeeds.

    The temporary file lies in the same folder, so that the last step is one rename,
    and has the same suffix, because encoders choose by it. A symbolic link at `path`
    stays one: the file behind it is replaced.

    Args:
      path: Where the file will be; its folder must exist.

    Yields:
      A path that does not exist yet. The block must make a file of it.
    """
    target = Path(os.path.realpath(path))
    name = f".jnst-{secrets.token_hex(8)}{Path(path).suffix}"
    temporary = target.with_name(name)
    try:
        yield temporary
        os.replace(temporary, target)
    except BaseException as error:  # an interrupt too must leave nothing behind
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno:
            if error.filename in (None, str(temporary)):
                error.filename = str(path)  # a full disk names no file
        raise


def check_output(
    path: StrPath, *, overwrite: bool = False, suffixes: Collection[str] = ()
) -> None:
    """Raise unless a result can be written to `path`; call before any work.

    Args:
      path: Where a file is to be written.
      overwrite: Whether a file that is there already may be replaced.
      suffixes: Allowed endings with their dot, in lower case; none given allows any.

    Raises:
      ValueError: If the ending is not allowed, the folder is missing or cannot be
        written to, `path` is a folder, a pipe or a device (a rename would replace it),
        or it exists and may not be replaced.
    """
    what, parent = f"output {str(path)!r}", Path(path).parent
    if suffixes and Path(path).suffix.lower() not in suffixes:
        raise ValueError(f"{what} must end in one of {', '.join(suffixes)}")
    if not os.path.isdir(parent):
        raise ValueError(f"{what} is in {str(parent)!r}, which is no existing folder")
    if os.path.isdir(path):
        raise ValueError(f"{what} is a folder; give the name of a file in it")
    if _exists(what, path) and not overwrite:
        raise ValueError(f"{what} exists already; use --overwrite or another name")
    behind = Path(os.path.realpath(path))  # a link is followed, and stays one
    if not behind.parent.is_dir():
        raise ValueError(
            f"{what} is a link into {str(behind.parent)!r}, which is no existing folder"
        )
    if not _replaceable(behind):
        raise ValueError(f"{what} is a pipe, a device or a broken link; name a file")
    _check_folder(what, behind.parent)


def check_apart(
    outputs: Iterable[StrPath | None], inputs: Iterable[StrPath | None]
) -> None:
    """Raise if a result would replace one of the pictures that it is made of.

    Args:
      outputs: Where results are to be written, by any name or link; None for no file.
      inputs: What is read.

    Raises:
      ValueError: If two of them are one file.
    """
    read = [path for path in inputs if path is not None and os.path.isfile(path)]
    for output in outputs:
        if output is None or not os.path.isfile(output):
            continue
        for path in read:
            if os.path.samefile(output, path):
                raise ValueError(
                    f"output {str(output)!r} is the input {str(path)!r}, which it "
                    "would replace; use another name"
                )


def _replaceable(path: Path) -> bool:
    """Whether there is a plain file, or nothing at all."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return True


def _check_folder(what: str, folder: Path) -> None:
    """Raise unless a file can be made in a folder, by making one without a name."""
    try:
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError  # which spares the attempt
        with tempfile.TemporaryFile(dir=folder):
            return
    except OSError as error:
        why = f": {error.strerror}" if error.strerror else ""
        message = f"{what} is in {str(folder)!r}, which cannot be written to{why}"
        raise ValueError(message) from error


def _exists(what: str, path: StrPath) -> bool:
    """Whether there is something at `path`; `ValueError` for an impossible name."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as error:  # too long, or with a null character
        reason = getattr(error, "strerror", None) or str(error)
        raise ValueError(f"{what} cannot be written: {reason}") from error
    return True


def as_json(document: Any) -> Any:
    """Rebuild a document from what JSON knows, with `None` for NaN and infinity.

    Args:
      document: Nested mappings, lists, tuples, paths, numbers, strings, and arrays
        and scalars of NumPy or JAX.

    Returns:
      The same in dicts with string keys, lists, numbers, strings, booleans, `None`.

    Raises:
      TypeError: If something else is in it.
    """
    if document is None or isinstance(document, str | bool | int):
        return document
    if isinstance(document, float):
        return float(document) if math.isfinite(document) else None
    if isinstance(document, Mapping):
        return {str(key): as_json(value) for key, value in document.items()}
    if isinstance(document, list | tuple):
        return [as_json(value) for value in document]
    if isinstance(document, os.PathLike):
        return os.fspath(document)
    if hasattr(document, "__array__"):
        return as_json(np.asarray(document).tolist())
    raise TypeError(f"cannot write {type(document).__name__} {document!r} as JSON")


def json_text(document: Any) -> str:
    """Return a document as indented JSON.

    Args:
      document: See `as_json`; NaN and infinity become null.
    """
    return json.dumps(as_json(document), indent=2, allow_nan=False)


def write_json(path: StrPath, document: Any) -> None:
    """Write a document as indented JSON, whole or not at all.

    Args:
      path: The file to write or replace.
      document: See `as_json`; NaN and infinity become null.
    """
    with atomic_write(path) as temporary:
        temporary.write_text(json_text(document) + "\n", encoding="utf-8")


def sha256_of(path: StrPath) -> str:
    """Return the SHA-256 of a file's bytes, in 64 lower-case hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cache_folder() -> Path:
    """Return jnst's folder for what can be made again, by XDG's rules.

    Converted weights and compiled programs are in it; it may not exist yet.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification: a relative path here is invalid and to be ignored.
    root = Path(base) if os.path.isabs(base) else Path.home() / ".cache"
    return root / "jnst"
