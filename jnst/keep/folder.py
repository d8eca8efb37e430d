"""Where a run's checkpoints are: `OUT.checkpoint/` beside the output.

    00000120.safetensors 00000240.safetensors    the last two, by step
    written                                      SHA-256 of what this run wrote

A picture that the run has left itself, when it was stopped, is known by its SHA-256: it
may be replaced when the run goes on, and any other file may not.
"""

import contextlib
import os
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jnst.files import StrPath, sha256_of
from jnst.keep.storage import read_checkpoint, write_checkpoint

NAME = re.compile(r"\d{8,12}\.safetensors")
LEFT_OVER = re.compile(r"\.jnst-[0-9a-f]{16}\.safetensors")
"""What a process that was killed leaves of a file that it was writing."""
WRITTEN = "written"
KEPT = 2


class Found(NamedTuple):
    """A checkpoint that can be gone on from.

    Attributes:
      path: Its file.
      arrays: By name.
      document: What is known of the run.
      passed_over: What is to be told of newer ones that are damaged; "" for nothing.
    """

    path: Path
    arrays: dict[str, np.ndarray]
    document: dict[str, Any]
    passed_over: str


def folder_of(output: StrPath) -> Path:
    """Return where the checkpoints of a run with this output are."""
    return Path(f"{os.fspath(output)}.checkpoint")


def checkpoints(folder: Path) -> list[Path]:
    """List the checkpoints of a folder, the newest first."""
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if NAME.fullmatch(path.name)]
    return sorted(found, key=lambda path: int(path.stem), reverse=True)


def newest(folder: Path) -> Found | None:
    """Read the newest checkpoint that is whole; None if there is none at all.

    Raises:
      ValueError: If there are some and each is damaged.
    """
    bad: list[str] = []
    for path in checkpoints(folder):
        try:
            arrays, document = read_checkpoint(path)
        except ValueError as error:
            bad.append(f"checkpoint {str(path)!r} {error}")
            continue
        return Found(path, arrays, document, "; ".join(bad))
    if bad:
        raise ValueError(f"{'; '.join(bad)}; --restart begins anew")
    return None


def write_newest(
    folder: Path,
    step: int,
    arrays: Mapping[str, np.ndarray],
    document: Mapping[str, Any],
    *,
    keep: Collection[Path],
    written: Iterable[str] = (),
) -> Path:
    """Write a checkpoint, and remove those before.

    Args:
      folder: It is made if it is not there.
      step: Steps done.
      arrays: By name.
      document: What is known of the run.
      keep: Those before that are to stay.
      written: SHA-256 of what the run has written so far.

    Returns:
      Its file.

    Raises:
      OSError: If it cannot be written; those before stay all.
    """
    folder.mkdir(exist_ok=True)
    note(folder, written)
    path = folder / f"{step:08d}.safetensors"
    write_checkpoint(path, arrays, document)
    for old in checkpoints(folder):
        if old != path and old not in keep:
            old.unlink(missing_ok=True)
    return path


def clear(folder: Path, *, notes: bool = True) -> None:
    """Remove all that is a run's own in its folder, and the folder if it is empty.

    What cannot be removed stays: a run has no use for it.

    Args:
      folder: The folder.
      notes: Whether it is forgotten, too, what the run has written.
    """
    with contextlib.suppress(OSError):
        tidy(folder)
        for path in reversed(checkpoints(folder)):  # the newest last
            path.unlink(missing_ok=True)
        if notes:
            (folder / WRITTEN).unlink(missing_ok=True)
            folder.rmdir()


def tidy(folder: Path) -> None:
    """Remove what a process that was killed has left half written."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if LEFT_OVER.fullmatch(path.name):
            path.unlink(missing_ok=True)


def note(folder: Path, digests: Iterable[str]) -> None:
    """Note what a run has written, by SHA-256, where its folder is.

    What cannot be noted is not: the outputs matter more.
    """
    with contextlib.suppress(OSError):
        if folder.is_dir():
            path = folder / WRITTEN
            known = path.read_text("ascii", "replace") if path.exists() else ""
            new = [digest for digest in digests if digest not in known]
            with open(path, "a", encoding="ascii") as file:
                file.writelines(f"{digest}\n" for digest in new)
                file.flush()
                os.fsync(file.fileno())


def has_written(folder: Path, path: StrPath) -> bool:
    """Tell whether a file is as the run of a folder has left it."""
    try:
        known = (folder / WRITTEN).read_text(encoding="ascii", errors="replace")
        return os.path.isfile(path) and sha256_of(path) in known.split()
    except OSError:
        return False
