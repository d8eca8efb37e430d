"""Folders that watchers fill: checked before any work, emptied of what was theirs."""

import os
import re
from pathlib import Path

from jnst.files import StrPath


def check_folder(folder: StrPath, pattern: str, *, overwrite: bool = False) -> None:
    """Raise unless a watcher can write to a folder; call before any work.

    Args:
      folder: Where to; it may be missing, in a folder that exists.
      pattern: What the watcher's files are called, by `Path.glob`.
      overwrite: Whether such files may be replaced.

    Raises:
      ValueError: If it is a file, holds such files, or cannot be made or written to.
    """
    path, what = Path(folder), f"output folder {str(folder)!r}"
    there = os.path.lexists(path)
    if there and not path.is_dir():
        raise ValueError(f"{what} is a file")
    known = path if there else path.parent
    if not known.is_dir():
        raise ValueError(f"{what} is in {str(known)!r}, which is no existing folder")
    if not os.access(known, os.W_OK | os.X_OK):
        raise ValueError(f"{what} cannot be written to")
    found = next(iter(sorted(path.glob(pattern))), None) if there else None
    if found is not None and not overwrite:
        raise ValueError(
            f"{str(found)!r} exists already; use --overwrite or another folder"
        )


def clear_folder(folder: StrPath, pattern: str, *, after: int = 0) -> None:
    """Make a folder if it is missing, and remove a watcher's files of an earlier run.

    Args:
      folder: Where.
      pattern: What the files are called.
      after: Steps that the run goes on from: files numbered up to there are its own.
    """
    path = Path(folder)
    path.mkdir(exist_ok=True)
    for found in path.glob(pattern):
        number = re.search(r"(\d+)$", found.stem)
        if not (after and number and int(number[1]) <= after):
            found.unlink()
