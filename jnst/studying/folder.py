"""What a study keeps on disk, and how it is known again.

`study.json` says from the start what was asked for; `cells/` has a PNG and a record of
each finished cell, the record written last. Called again, a study goes on after them.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jnst.base import shown
from jnst.files import as_json, atomic_write, sha256_of, write_json
from jnst.image import save_image

STUDY, CELLS, PILOTS = "study.json", "cells", "pilots.json"


def open_folder(folder: Path, asked: Mapping[str, Any], *, overwrite: bool) -> None:
    """Begin a study in a folder, or go on with it.

    Args:
      folder: The folder; it is made if it is missing, in one that exists.
      asked: All that decides the pictures; what `differences` compares.
      overwrite: Whether a study that is there is given up, whatever it is.

    Raises:
      ValueError: If the folder has something else in it, or another study.
    """
    what = f"output folder {str(folder)!r}"
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{what} is a file")
    if not folder.exists() and not folder.parent.is_dir():
        raise ValueError(f"{what} is in {str(folder.parent)!r}, which is no folder")
    earlier = read_study(folder)
    document = as_json(asked)
    if overwrite:
        _clear(folder)
    elif earlier is not None:
        differs = differences(document, earlier.get("asked"))
        if differs:
            raise ValueError(
                f"{what} holds another study: {differs}; use --overwrite or another "
                "folder"
            )
    elif folder.is_dir() and any(folder.iterdir()):
        raise ValueError(
            f"{what} is not empty and holds no study; use --overwrite or another folder"
        )
    (folder / CELLS).mkdir(parents=True, exist_ok=True)
    if overwrite or earlier is None:
        write_json(folder / STUDY, {"finished": False, "asked": document})


def read_study(folder: Path) -> dict[str, Any] | None:
    """Return the study.json of a folder; None if it holds no study."""
    try:
        found = json.loads((folder / STUDY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and "asked" in found else None


def differences(asked: Any, earlier: Any, *, where: str = "") -> str:
    """Say in a few words where two documents differ first; "" if nowhere."""
    if isinstance(asked, dict) and isinstance(earlier, dict):
        for key in [*asked, *(k for k in earlier if k not in asked)]:
            inner = f"{where} {key}".strip()
            found = differences(asked.get(key), earlier.get(key), where=inner)
            if found:
                return found
        return ""
    if isinstance(asked, list) and isinstance(earlier, list):
        if len(asked) != len(earlier):
            return f"{where}: {len(asked)} now, {len(earlier)} then"
        for now, then in zip(asked, earlier, strict=True):
            inner = f"{where} {now['name']}" if _named(now) else where
            found = differences(now, then, where=inner)
            if found:
                return found
        return ""
    if asked == earlier:
        return ""
    return f"{where} is {shown(asked)} now, {shown(earlier)} then"


def _named(entry: Any) -> bool:
    return isinstance(entry, dict) and "name" in entry


def _clear(folder: Path) -> None:
    """Remove the cells and the pilots of an earlier study."""
    (folder / STUDY).unlink(missing_ok=True)
    (folder / PILOTS).unlink(missing_ok=True)
    for path in (folder / CELLS).glob("*__*"):
        if path.suffix in (".json", ".png"):
            path.unlink()


def read_record(folder: Path, name: str) -> dict[str, Any] | None:
    """Return the record of a finished cell, or of a content; None if there is none."""
    try:
        found = json.loads((folder / CELLS / f"{name}.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict):
        return None
    picture = found.get("picture")  # a content's record has none
    return found if picture is None or (folder / picture).is_file() else None


def write_cell(
    folder: Path, name: str, image: np.ndarray, about: Mapping[str, Any] | None
) -> dict[str, str]:
    """Write a cell's picture, and return its path in the folder and its SHA-256."""
    path = folder / CELLS / f"{name}.png"
    save_image(path, image, metadata=about)
    return {"picture": f"{CELLS}/{name}.png", "picture_sha256": sha256_of(path)}


def write_record(folder: Path, name: str, record: Mapping[str, Any]) -> None:
    """Write a record: from then on the cell is finished."""
    write_json(folder / CELLS / f"{name}.json", record)


def read_pilots(folder: Path | None) -> dict[str, list[float]]:
    """Return what pilots measured in this folder."""
    try:
        return json.loads((folder / PILOTS).read_text("utf-8")) if folder else {}
    except (OSError, ValueError):
        return {}


def write_pilots(folder: Path, pilots: Mapping[str, list[float]]) -> None:
    """Write what pilots measured, so that cells made later have as many steps."""
    write_json(folder / PILOTS, pilots)


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
