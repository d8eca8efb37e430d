"""`sweep`: all members of a grid, what is known of each, and a folder of it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Unpack

from jnst.base import Params
from jnst.bounds import Range
from jnst.drivers.plan import Request
from jnst.drivers.sources import ImageLike
from jnst.files import StrPath
from jnst.fitting import fit
from jnst.plots import check_matplotlib
from jnst.recipes.changes import Changes
from jnst.recipes.changing import named
from jnst.recipes.recipe import Recipe
from jnst.scale.meshes import counts_of
from jnst.sweeping.capacity import MOST_AT_ONCE
from jnst.sweeping.folder import as_text, digest_of, open_folder
from jnst.sweeping.grid import Axis, make_axes, points
from jnst.sweeping.judging import check_metrics
from jnst.sweeping.members import Group, loader, make_groups, make_members
from jnst.sweeping.report import write_all
from jnst.sweeping.running import (
    Job,
    Known,
    SweepProgress,
    known_members,
    records_of,
    run_all,
)
from jnst.weights import tensors_sha256
from jnst.weights.network import as_arrays


def sweep(
    content: ImageLike | None,
    style: ImageLike,
    recipe: str | Recipe = "jnst",
    *,
    grid: Mapping[str, Any],
    seeds: int = 1,
    size_px: int | None = None,
    steps: int | None = None,
    seed: int | None = None,
    init: str | None = None,
    weights: str | Path | Params | None = None,
    extract: Callable[..., Any] | None = None,
    metrics: Sequence[str] | None = None,
    folder: StrPath | None = None,
    overwrite: bool = False,
    at_once: int | None = None,
    devices: int | str | Sequence[int] | None = None,
    on_progress: Callable[[SweepProgress], None] | None = None,
    **changes: Unpack[Changes],
) -> list[dict[str, Any]]:
    """Run all members of a grid on one pair of pictures.

    Members that differ in numbers alone (weights, rates, seeds, first images) share
    one program. Each equals its run alone by `jnst.stylize`: to the last bit where
    members run one by one, as on a CPU; side by side but for rounding, which a run
    magnifies whatever it is from. (VGG19 at 128 px: a first image that is one unit in
    the last place off is a picture up to 0.03 off after 20 steps of "jnst", 0.3 of
    "gatys"; two members side by side are as far off.)

    Args:
      content: One picture as in `jnst.stylize`; None for textures.
      style: One picture.
      recipe: Key of `jnst.RECIPES`, or a `Recipe`.
      grid: {field: values}, lists or arrays: any field of a recipe by its flat name,
        and "recipe", "init", "weights" by name. The members are all combinations, the
        last field changing fastest.
      seeds: Seeds that each combination is run with: `seed` and those after it.
      size_px: Size of the results, in pixels, as in `jnst.stylize`.
      steps: Steps of each member; None for the recipe's.
      seed: The first seed; None for the recipe's.
      init: First image: a key of `jnst.loop.initial.INITS`, or a path.
      weights: Name or path of a weights file, or parameters.
      extract: Features of one's own, as in `jnst.stylize`.
      metrics: Keys of `jnst.metrics.METRICS`; none if empty; None for
        `jnst.sweeping.judging.USUAL`, those of them that can be computed.
      folder: Where pictures, records, contact sheet, curves and tables go; a sweep
        that was stopped goes on there if it is called with the same arguments.
      overwrite: Whether what the folder has is replaced.
      at_once: Members that run side by side, at most; None for what suits the device.
      devices: Devices to run members on: a number, a member each; or "4x2" for members
        x rows of their pictures.
      on_progress: Called with a `SweepProgress` after each chunk of steps.
      **changes: Any field of `Recipe`, for all members.

    Returns:
      A record a member, in the grid's order, see `jnst.sweeping.table.make_record`;
      `pandas.DataFrame` reads them. A member whose loss is not finite, or that cannot
      run, has an "error", and the others go on.

    Raises:
      ValueError: For a grid that is none, or anything no run could use, before any
        step; for a folder that holds another sweep.
      FileNotFoundError: For a missing image, or no weights anywhere.
    """
    _check_one(content, style)
    if at_once is not None:
        at_once = fit("at_once", at_once, Annotated[int, Range(1, MOST_AT_ONCE)])
    given = {"size_px": size_px, "steps": steps, "seed": seed, "init": init}
    taken = [k for k, v in {**given, "weights": weights}.items() if v is not None]
    first = named(recipe).run.seed if seed is None else seed
    axes = make_axes(grid, seeds=seeds, seed=first, given=[*taken, *changes])
    own = {k: given[k] for k in ("steps", "seed") if given[k] is not None}
    spread = None if devices is None else counts_of(devices)[0]
    asked = Request(content, style, recipe, size_px, weights, extract, init)
    asked = asked._replace(devices=devices, members=spread)
    load = loader()
    groups = make_groups(make_members(points(axes), asked, {**changes, **own}), load)
    shapes = [s for g in groups for s in (g.stages[-1].shape, *g.stages[-1].styles)]
    names = check_metrics(metrics, content=content is not None, shapes=shapes)
    place = None if folder is None else Path(folder)
    job = Job(groups, load, names, weights, place, at_once)
    about = _about(asked, {**given, **changes}, axes, groups) if place else {}
    known = _opened(job, about, overwrite)
    try:
        run_all(job, known, on_progress)
    finally:  # what was done before an interrupt is worth looking at too
        found = records_of(job, known)
        if place and found:
            pair = {"content": content, "style": style}
            write_all(place, found, axes, about, pair)
    return found


def _opened(job: Job, about: Mapping[str, Any], overwrite: bool) -> Known:
    """Make the folder ready, if there is one, and read what it has."""
    if job.folder is None:
        return {}
    check_matplotlib()
    goes_on = open_folder(job.folder, about, overwrite=overwrite)
    return known_members(job) if goes_on else {}


def _check_one(content: Any, style: Any) -> None:
    """Raise `ValueError` for several pictures where a sweep has one."""
    for what, image in (("content", content), ("style", style)):
        if isinstance(image, list | tuple) or getattr(image, "ndim", 3) == 4:
            raise ValueError(
                f"a sweep is of one content and one style, got several as {what}"
            )


def _about(
    asked: Request,
    changes: Mapping[str, Any],
    axes: Sequence[Axis],
    groups: Sequence[Group],
) -> dict[str, Any]:
    """Tell what was asked for, as JSON has it: equal for a sweep that goes on."""
    by_number = {
        member.number: recipe
        for group in groups
        for member, recipe in zip(group.members, group.recipes, strict=True)
    }
    weights = [group.weights.get("tensors_sha256") for group in groups]
    if isinstance(asked.weights, Mapping):
        weights = [tensors_sha256(as_arrays(dict(asked.weights)))]
    return {
        "content": groups[0].inputs["content"],
        "style": groups[0].inputs["styles"][0],
        "recipe": as_text(asked.recipe),
        "grid": {axis.field: as_text(axis.values) for axis in axes},
        "fields": {k: as_text(v) for k, v in changes.items() if v is not None},
        "weights": list(dict.fromkeys(weights)),
        "extract": as_text(asked.extract),
        "recipes in effect": digest_of([by_number[n] for n in sorted(by_number)]),
    }
