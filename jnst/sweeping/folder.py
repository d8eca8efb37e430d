"""What a sweep keeps on disk, so that one that was killed goes on where it was.

    sweep.json                      what was asked for, and the records
    members/000.png, 000.json, ...  each member's picture and figures, as it ends
    sheet.png curves.png table.csv table.tex

A member is finished if its JSON is there, which is written after its picture; each file
is written whole or not at all.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jnst.base import shown
from jnst.drivers.record import device, versions
from jnst.drivers.result import Result
from jnst.files import as_json, check_output, write_json
from jnst.image import load_image
from jnst.loop.history import History
from jnst.recipes.recipe import Recipe
from jnst.recipes.settings import record
from jnst.sweeping.grid import label

SCHEMA = "jnst-sweep-1"
SUMMARY = "sweep.json"
OUTPUTS = (SUMMARY, "sheet.png", "curves.png", "table.csv", "table.tex")
MEMBERS = "members"


class Finished(NamedTuple):
    """What is known of a member that has ended.

    Attributes:
      image: Its picture, float32 [H, W, 3] in [0, 1]; of 8 bits if read from a file,
        and without pixels if it never began.
      history: Losses of every step.
      seconds: In the loop; a batch's are shared out equally.
      compile_seconds: Of compiling, shared out likewise.
      metrics: By name; NaN for what cannot be computed.
      error: What stopped it; "" if nothing did.
    """

    image: np.ndarray
    history: History
    seconds: float
    compile_seconds: float
    metrics: dict[str, float]
    error: str


def file_of(folder: Path, number: int, suffix: str) -> Path:
    """Return where a member's picture (".png") or figures (".json") are."""
    return folder / MEMBERS / f"{number:03d}{suffix}"


def as_text(value: Any) -> Any:
    """Return a value as JSON has it; what has no name there by its label."""
    if isinstance(value, Mapping):
        return {str(k): as_text(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [as_text(each) for each in value]
    try:
        return as_json(value)
    except TypeError:
        return label(value)


def digest_of(recipes: Sequence[Recipe]) -> str:
    """Return what tells recipes in effect apart, in any process."""
    text = json.dumps([as_text(record(recipe)) for recipe in recipes], sort_keys=True)
    text = re.sub(r" at 0x[0-9a-f]+", "", text)  # of functions
    return hashlib.sha256(text.encode()).hexdigest()


def open_folder(folder: Path, asked: Mapping[str, Any], *, overwrite: bool) -> bool:
    """Make a folder ready for a sweep, or find that it goes on with one.

    Args:
      folder: The folder; it is made if it is not there.
      asked: What was asked for, as JSON has it.
      overwrite: Whether what is there is replaced.

    Returns:
      Whether finished members of the same sweep may be in it.

    Raises:
      ValueError: If it holds another sweep, or files of another origin, and may not be
        overwritten.
    """
    summary = folder / SUMMARY
    if summary.is_file() and not overwrite:
        _check_same(folder, _read(summary).get("asked"), asked)
        return True
    for name in OUTPUTS if folder.exists() else ():
        check_output(folder / name, overwrite=overwrite)
    old = sorted((folder / MEMBERS).glob("*"))
    old = [path for path in old if re.fullmatch(r"\d{3,}\.(png|json)", path.name)]
    if old and not overwrite:
        raise ValueError(
            f"{str(old[0])!r} is of a sweep whose {SUMMARY} is gone; use --overwrite "
            "or another folder"
        )
    (folder / MEMBERS).mkdir(parents=True, exist_ok=True)
    for path in [summary, *old]:  # first what says that the rest is a sweep's
        path.unlink(missing_ok=True)
    write_summary(folder, asked, [])
    return False


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ValueError(f"{str(path)!r} is no JSON document of jnst's")
    return found


def _check_same(folder: Path, before: Any, asked: Mapping[str, Any]) -> None:
    """Raise `ValueError` if a folder's sweep was asked for by other arguments."""
    before = before if isinstance(before, Mapping) else {}
    for name, value in asked.items():
        if name not in before or before[name] != value:
            was = shown(before[name]) if name in before else "not told"
            raise ValueError(
                f"{str(folder)!r} holds another sweep: its {name} is {was}, not "
                f"{shown(value)}; use --overwrite or another folder"
            )


def write_summary(
    folder: Path, asked: Mapping[str, Any], records: Sequence[Mapping[str, Any]]
) -> None:
    """Write what was asked for and what came of it."""
    about = {"schema": SCHEMA, "asked": asked, "device": device()}
    rows = [as_text(each) for each in records]
    write_json(folder / SUMMARY, {**about, "versions": versions(), "records": rows})


def keep(
    folder: Path, number: int, point: Mapping[str, Any], known: Finished, result: Result
) -> None:
    """Write a member's picture and figures."""
    if known.image.size:
        result.save(file_of(folder, number, ".png"))
    document = {
        "member": number,
        "point": as_text(point),
        **{k: v for k, v in known._asdict().items() if k != "image"},
        "recipe": record(result.recipe),
    }
    write_json(file_of(folder, number, ".json"), document)


def finished(folder: Path, number: int) -> Finished | None:
    """Read what is known of a member; None if it has not ended, or a file is broken."""
    path, picture = (file_of(folder, number, end) for end in (".json", ".png"))
    if not path.is_file():
        return None
    try:
        found = _read(path)
        history = {k: _floats(v) for k, v in found["history"].items()}
        began = bool(history)
        image = load_image(picture) if began else np.zeros((0, 0, 3), np.float32)
        metrics = {k: _float(v) for k, v in found["metrics"].items()}
        spans = float(found["seconds"]), float(found["compile_seconds"])
        return Finished(image, history, *spans, metrics, str(found["error"]))
    except (ValueError, KeyError, TypeError, AttributeError, FileNotFoundError):
        return None


def _floats(values: Sequence[Any]) -> np.ndarray:
    """Read losses, of which JSON has null for those that were not finite."""
    return np.array([_float(x) for x in values], np.float32)


def _float(value: Any) -> float:
    return float("nan") if value is None else float(value)


def write_metrics(folder: Path, number: int, metrics: Mapping[str, float]) -> None:
    """Write a finished member's metrics anew."""
    path = file_of(folder, number, ".json")
    write_json(path, {**_read(path), "metrics": metrics})
