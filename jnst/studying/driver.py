"""`study`: contents x styles x methods, as a paper's experiment section has them."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from jnst.base import Number, Params
from jnst.bounds import SEED, SIDE
from jnst.drivers.record import device, versions
from jnst.files import StrPath
from jnst.fitting import fit
from jnst.metrics import METRICS
from jnst.studying import folder as kept
from jnst.studying import statistics, table
from jnst.studying.budget import make_budgets
from jnst.studying.cells import Cell, Setting, check_cells, make_cells
from jnst.studying.making import (
    Judges,
    Moment,
    Place,
    image_of,
    judge_contents,
    make_all,
    make_judges,
    said_once,
)
from jnst.studying.methods import Method, make_methods, told
from jnst.studying.pictures import Picture, gather, pixels_of
from jnst.studying.scores import check_metrics, judged_shapes, make_metrics
from jnst.sweeping.members import loader
from jnst.weights import tensors_sha256
from jnst.weights.network import as_arrays

SIZE_PX = 256


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Study:
    """What a study gives.

    Attributes:
      records: A flat dict a cell, for `pandas.DataFrame(records)`: content, style,
        method, budget, steps, seconds, first and last losses, error, scores.
      baseline: The same scores of each pair's content picture as it was.
      lines: Each method at each budget by each metric, compared with the first method;
        see `jnst.studying.statistics`.
      images: Pictures by the record's "name", float32 [H, W, 3] in [0, 1]; empty where
        they are in a folder.
      about: Everything needed to repeat it, as study.json has it.
    """

    records: list[dict[str, Any]]
    baseline: list[dict[str, Any]]
    lines: list[statistics.Line]
    images: dict[str, np.ndarray]
    about: dict[str, Any]

    @property
    def table(self) -> str:
        """The table as text."""
        return table.as_text(self.lines, self.records, means(self.baseline))

    def __repr__(self) -> str:
        """Tell how many cells there are, and show the table."""
        return f"Study({len(self.records)} cells)\n{self.table}"


def study(
    contents: Any,
    styles: Any,
    methods: Any,
    *,
    folder: StrPath | None = None,
    size_px: int = SIZE_PX,
    steps: int | None = None,
    seconds: Number | None = None,
    seed: int | None = None,
    metrics: Sequence[str] | str | None = None,
    weights: str | Path | Params | None = None,
    extract: Callable[..., Any] | None = None,
    overwrite: bool = False,
    on_progress: Callable[[Moment], None] | None = None,
    about: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Study:
    """Stylise all contents by all styles with all methods, and compare the methods.

    Args:
      contents: A folder, a path, an image, a list of them, or {name: image}. All are
        brought to `size_px` on their longer side, whatever a recipe says of files, so
        that methods make pictures of one size.
      styles: The same.
      methods: Names of recipes, and `jnst.Method`s; the first is what the others are
        compared with. `jnst.studying.methods.of_losses` makes some of style losses.
      folder: Where to keep pictures, records, tables and the gallery. A study that is
        there already is gone on with. None keeps everything in memory.
      size_px: Longer side of every picture.
      steps: Steps of each method, in all its sizes together.
      seconds: Seconds in the loop of each method, without compiling; how many steps
        that is, a short pilot tells. With `steps` too both are made; with neither each
        method has its own steps.
      seed: Seed of all random numbers; None for the recipes'.
      metrics: Keys of `jnst.metrics.METRICS`; None for those of
        `jnst.studying.scores.DEFAULT_METRICS` that can be computed.
      weights: As in `jnst.stylize`; the metrics look through them too. If None, through
        VGG19's, whichever a recipe prefers.
      extract: Features of one's own for all methods, in place of VGG19.
      overwrite: Whether a folder's earlier study is given up, and begun anew.
      on_progress: Called with a `Moment` after each chunk of steps, and each cell.
      about: What study.json says besides, such as a command line.
      **changes: Fields that all methods change, by their flat names.

    Returns:
      A `Study`. A run whose loss is not finite has an error in its record and its last
      good image; the others go on, and it counts in no mean.

    Raises:
      ValueError: For anything no run could use, before any work.
      FileNotFoundError: For a missing picture, or no weights anywhere.
    """
    size_px = fit("size_px", size_px, Annotated[int, SIDE])
    seed = None if seed is None else fit("seed", seed, Annotated[int, SEED])
    names, budgets = make_metrics(metrics), make_budgets(steps, seconds)
    those = make_methods(methods)
    pictures = {"content": gather("contents", contents)}
    pictures["style"] = gather("styles", styles)
    setting = Setting(size_px, seed, weights, extract, changes, loader())
    cells = make_cells(pictures["content"], pictures["style"], those, budgets)
    if metrics is not None:
        check_metrics(names, judged_shapes(pictures, size_px))
    with said_once():
        sources = check_cells(cells, setting)
        asked = _asked(setting, pictures, those, sources)
        asked |= {"steps": steps, "seconds": seconds}
        place = Place(Path(folder) if folder is not None else None, {})
        if place.folder:
            kept.open_folder(place.folder, asked, overwrite=overwrite)
        judges = make_judges(names, setting)
        made = make_all(cells, setting, judges, place, on_progress)
    records = [made[name] for name in _in_order(cells, pictures)]
    one = [c for c in cells if (c.method, c.budget) == (those[0], budgets[0])]
    baseline = judge_contents(one, setting, judges, place)
    lines = statistics.compare_methods(records, names)
    document = {
        "finished": True,
        **(about or {}),
        "asked": asked,
        "judges": _told(judges),
        "statistics": {
            **statistics.ABOUT,
            "lines": [statistics.flat(line) for line in lines],
        },
        "records": records,
        "baseline": baseline,
    }
    found = Study(records, baseline, lines, place.images, document)
    if place.folder:
        _write(found, place, pictures)
    return found


def means(baseline: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Return the mean of each metric over pairs; None where some have no value."""
    found: dict[str, float | None] = {}
    for name in (name for name in METRICS if all(name in each for each in baseline)):
        values = [record[name] for record in baseline]
        found[name] = None if None in values else float(np.mean(values))
    return found


def _in_order(
    cells: Sequence[Cell], pictures: Mapping[str, Sequence[Picture]]
) -> list[str]:
    """Name the cells content by content and style by style, as these were given."""
    place = {
        kind: {each.name: n for n, each in enumerate(several)}
        for kind, several in pictures.items()
    }

    def key(cell: Cell) -> tuple[int, int]:
        return place["content"][cell.content.name], place["style"][cell.style.name]

    return [cell.name for cell in sorted(cells, key=key)]


def _asked(
    setting: Setting,
    pictures: Mapping[str, Sequence[Picture]],
    methods: Sequence[Method],
    sources: Mapping[str, dict[str, str]],
) -> dict[str, Any]:
    """Tell all but the budget that decides a study's pictures."""
    if isinstance(setting.weights, Mapping):
        digest = {"tensors_sha256": tensors_sha256(as_arrays(dict(setting.weights)))}
        sources = dict.fromkeys(sources, digest)
    own = setting.extract
    return {
        "size_px": setting.size_px,
        "seed": setting.seed,
        "contents": [_listed(each) for each in pictures["content"]],
        "styles": [_listed(each) for each in pictures["style"]],
        "methods": [told(method, setting.changes) for method in methods],
        "weights": dict(sources),
        "extract": own and getattr(own, "__name__", type(own).__name__),
        "device": device(),
        "versions": versions(),
    }


def _listed(picture: Picture) -> dict[str, Any]:
    """Tell a picture as study.json has it."""
    height, width = picture.shape
    own = {"file": picture.about["name"], "sha256": picture.about["sha256"]}
    return {"name": picture.name, **own, "height": height, "width": width}


def _told(judges: Judges) -> dict[str, Any]:
    """Tell what each metric is, and the VGG they look through."""
    fields = ("source", "better", "reference")
    metrics = {
        name: {field: getattr(METRICS[name], field) for field in fields}
        for name in judges.names
    }
    return {"vgg": judges.known, "metrics": metrics}


def _write(
    found: Study, place: Place, pictures: Mapping[str, Sequence[Picture]]
) -> None:
    """Write tables, the gallery and study.json."""
    from jnst.files import write_json
    from jnst.studying.gallery import Shown, make_gallery

    folder = place.folder
    if folder is None:
        return
    by_name = {kind: {p.name: p for p in those} for kind, those in pictures.items()}
    asked = found.about["asked"]
    count = len({(r["content"], r["style"]) for r in found.records})
    shown = Shown(
        title=f"Study: {count} pairs, {len(asked['methods'])} methods",
        note=f"{asked['size_px']} px; {asked['device']}; jnst "
        f"{asked['versions']['jnst']}, JAX {asked['versions']['jax']}",
        records=found.records,
        baseline={(b["content"], b["style"]): b for b in found.baseline},
        lines=found.lines,
        picture=lambda record: image_of(place, record),
        given=lambda kind, name: pixels_of(by_name[kind][name]),
    )
    kept.write_text(folder / "study.html", make_gallery(shown))
    kept.write_text(folder / "study.csv", table.lines_as_csv(found.lines))
    kept.write_text(folder / "cells.csv", table.as_csv(found.records))
    kept.write_text(folder / "study.tex", table.as_tex(found.lines))
    write_json(folder / kept.STUDY, found.about)
