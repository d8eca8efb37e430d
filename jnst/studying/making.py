"""The cells of a study made one after the other, kept, and judged."""

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jnst.drivers.result import Progress
from jnst.image import load_image
from jnst.metrics import METRICS
from jnst.studying import folder as kept
from jnst.studying.cells import Cell, Setting, make_cell
from jnst.studying.pictures import pixels_of
from jnst.studying.scores import eight_bits, judge, judged_style, missing


class Moment(NamedTuple):
    """Where a study is.

    Attributes:
      number: Of the cell, from 0.
      cells: How many there are.
      name: Of the cell: content, style, method and budget.
      done: Share of its steps that are done.
      kept: Whether it was there already.
    """

    number: int
    cells: int
    name: str
    done: float
    kept: bool


class Judges(NamedTuple):
    """The metrics of a study.

    Attributes:
      names: Keys of `METRICS`.
      weights: Of the VGG through which some look.
      known: Where it is from.
    """

    names: list[str]
    weights: Any
    known: dict[str, str]


class Place(NamedTuple):
    """Where cells are kept: in a folder, or in memory by name."""

    folder: Path | None
    images: dict[str, np.ndarray]


@contextlib.contextmanager
def said_once() -> Iterator[None]:
    """Let a warning through once, such as of a field that does nothing."""
    logger, said = logging.getLogger("jnst"), set()

    def new(entry: logging.LogRecord) -> bool:
        text = entry.getMessage()
        known = text in said
        said.add(text)
        return not known

    logger.addFilter(new)
    try:
        yield
    finally:
        logger.removeFilter(new)


def make_judges(names: Sequence[str], setting: Setting) -> Judges:
    """Find the VGG that metrics look through: the study's, or VGG19."""
    looks = any(METRICS[name].layers for name in names)
    if setting.extract is not None or not looks:
        return Judges(list(names), setting.weights, {})
    return Judges(list(names), *setting.load(setting.weights, ()))


def image_of(place: Place, record: Mapping[str, Any]) -> np.ndarray:
    """Return the picture of a record, as an 8-bit file has it."""
    if place.folder:
        return load_image(place.folder / record["picture"])
    return place.images[record["name"]]


def make_all(
    cells: Sequence[Cell],
    setting: Setting,
    judges: Judges,
    place: Place,
    on_progress: Callable[[Moment], None] | None,
) -> dict[str, dict[str, Any]]:
    """Make the cells that are not there yet, and judge all.

    Args:
      cells: In the order in which they are made.
      setting: What they share.
      judges: The metrics.
      place: Where they are kept.
      on_progress: Called after each chunk of steps, and each cell.

    Returns:
      Their records by name.
    """
    pilots = kept.read_pilots(place.folder)
    records: dict[str, dict[str, Any]] = {}
    for number, cell in enumerate(cells):

        def tell(done: float, there: bool, at: tuple[int, str]) -> None:
            if on_progress:
                on_progress(Moment(at[0], len(cells), at[1], done, there))

        at = number, cell.name
        record = kept.read_record(place.folder, cell.name) if place.folder else None
        there = record is not None
        if record is None:
            each = _telling(tell, at)
            record = _make(cell, setting, pilots, place, each)
        records[cell.name] = _judged(cell, record, setting, judges, place)
        tell(1.0, there, at)
    return records


def _telling(tell: Any, at: tuple[int, str]) -> Callable[[Progress], None]:
    return lambda now: tell(now.step / now.steps, False, at)


def _make(
    cell: Cell,
    setting: Setting,
    pilots: dict[str, list[float]],
    place: Place,
    on_progress: Callable[[Progress], None],
) -> dict[str, Any]:
    """Make a cell and keep its picture; its record is kept once it is judged."""
    known = len(pilots)
    made = make_cell(cell, setting, pilots, on_progress)
    record = {"name": cell.name, **made.record, "picture": None}
    if not place.folder:
        place.images[cell.name] = eight_bits(made.image)
        return record
    if len(pilots) > known:
        kept.write_pilots(place.folder, pilots)
    picture = kept.write_cell(place.folder, cell.name, made.image, made.about)
    return {**record, **picture}


def _judged(
    cell: Cell, record: dict[str, Any], setting: Setting, judges: Judges, place: Place
) -> dict[str, Any]:
    """Add the scores that a record has not, and keep it."""
    names = missing(record, judges.names)
    found = dict(record)
    if names:
        found |= judge(
            image_of(place, record),
            pixels_of(cell.content),
            judged_style(cell.style, setting.size_px),
            names=names,
            weights=judges.weights,
        )
    found.setdefault("left_out", "")
    if place.folder and found != record:
        kept.write_record(place.folder, cell.name, found)
    return found


def judge_contents(
    cells: Sequence[Cell], setting: Setting, judges: Judges, place: Place
) -> list[dict[str, Any]]:
    """Judge each pair's content as it was, at the size of its results.

    Args:
      cells: Of one method and budget.
      setting: What they share.
      judges: The metrics.
      place: Where they are kept.

    Returns:
      A record a pair.
    """
    records = []
    for cell in cells:
        record = kept.read_record(place.folder, cell.pair) if place.folder else None
        record = record or {"content": cell.content.name, "style": cell.style.name}
        names = missing(record, judges.names)
        if names:
            content = pixels_of(cell.content)
            style = judged_style(cell.style, setting.size_px)
            image = eight_bits(judged_style(cell.content, setting.size_px))
            options = {"names": names, "weights": judges.weights}
            record = {**record, **judge(image, content, style, **options)}
            if place.folder:
                kept.write_record(place.folder, cell.pair, record)
        records.append(record)
    return records
