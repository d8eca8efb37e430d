"""A watcher that writes the report of a run, of one that ended early too."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import jax
import numpy as np

from jnst.drivers.plan import Plan
from jnst.drivers.result import Progress, Result
from jnst.files import StrPath, atomic_write
from jnst.image import fit_shape, resize_image
from jnst.loop.history import join
from jnst.report.analysis import (
    Seen,
    grams_of,
    is_tiled,
    losses_by_layer,
    pictures_of,
)
from jnst.report.report import FRAME_PX, Frame, Looked, Shown, make_report
from jnst.watching.watcher import Watcher, chosen

FRAMES = 12
TILED = "The picture is larger than one pass through the network: see `tile_px`."
SEVERAL = "The run was shared by several processes: no one of them has all its memory."
EARLY = "The run ended early."


def write_report(path: StrPath) -> Watcher:
    """Write the report of a run.

    Args:
      path: An HTML file; it is replaced.

    Returns:
      A watcher. It writes once the run is done; where something ends the run before, it
      writes what there is, without what would have to be computed.
    """
    plans: list[Plan] = []
    frames: list[Frame] = []
    looks: list[Progress] = []  # the last, and the losses of all
    losses: list[Mapping[str, np.ndarray]] = []
    is_due = chosen(0, FRAMES)

    def update(progress: Progress) -> None:
        looks[:] = [progress]
        losses.append(progress.history)
        if is_due(progress):
            small = _reduced(progress.image)
            frames.append(Frame(progress.step, progress.losses["loss"], small))

    def finish(result: Result) -> None:
        plan = dataclasses.replace(plans[0], recipe=result.recipe)
        _write(path, _of_result(plan, result, frames))

    def close(error: BaseException | None) -> None:
        if error is not None and looks and looks[0].step < looks[0].steps:
            _write(path, _of_part(plans[0], looks[0], losses, frames, error))

    return Watcher(plans.append, update, finish, close)


def _write(path: StrPath, shown: Shown) -> None:
    with atomic_write(path) as temporary:
        Path(temporary).write_text(make_report(shown), encoding="utf-8")


def _reduced(image: np.ndarray) -> np.ndarray:
    """Reduce a frame, or each of a batch, to what a report shows of it."""
    *batch, height, width, _ = image.shape
    shape = fit_shape((height, width), min(FRAME_PX, max(height, width)))
    if not batch:
        return resize_image(image, shape)
    return np.stack([resize_image(each, shape) for each in image])


def _of_result(plan: Plan, result: Result, frames: list[Frame]) -> Shown:
    """Gather what a run that is done has to show."""
    each, seen = result.each(), pictures_of(plan)
    images = [one.image for one in each]
    looked, why = [], why_not(plan)
    if not why:
        try:
            looked = [_looked(plan, *one) for one in zip(seen, images, strict=True)]
        except (MemoryError, jax.errors.JaxRuntimeError) as error:
            why = f"There was too little memory to look at it: {error}"
    histories = [one.history for one in each]
    times = result.seconds, result.compile_seconds
    rest = frames, seen, looked, why
    return Shown(plan, result.recipe, "", images, histories, *times, *rest)


def why_not(plan: Plan) -> str:
    """Return why pictures are not looked at as the objective does; "" if they are."""
    if jax.process_count() > 1:
        return SEVERAL
    return TILED if is_tiled(plan) else ""


def _of_part(
    plan: Plan,
    look: Progress,
    losses: list[Mapping[str, np.ndarray]],
    frames: list[Frame],
    error: BaseException,
) -> Shown:
    """Gather what a run that ended early has to show."""
    note = f"Ended by {type(error).__name__} {error}"
    note = f"{note.strip()} after step {look.step} of {look.steps}."
    history, image = join([dict(part) for part in losses]), look.image
    images = [image] if image.ndim == 3 else list(image)
    histories = [
        {k: np.atleast_2d(v)[n] for k, v in history.items()} for n in range(len(images))
    ]
    times = look.seconds, None
    rest = frames, pictures_of(plan), [], EARLY
    return Shown(plan, plan.recipe, note, images, histories, *times, *rest)


def _looked(plan: Plan, seen: Seen, image: np.ndarray) -> Looked:
    """Look at one picture, and at what it was made of, as the objective does."""
    layers = losses_by_layer(plan, seen, [seen.first, image])
    given = {} if seen.content is None else {"content": seen.content}
    styles = {f"style {n}": one for n, one in enumerate(seen.styles, start=1)}
    if len(styles) == 1:
        styles = {"the style": seen.styles[0]}
    named = {**styles, **given, "first image": seen.first, "result": image}
    if seen.content is not None and np.array_equal(seen.content, seen.first):
        del named["first image"]
    found = dict(zip(named, grams_of(plan, list(named.values())), strict=False))
    if not found:
        return Looked(layers, {})
    wanted = {
        layer: np.average([found[name][layer] for name in styles], 0, plan.shares)
        for layer in found["result"]
    }
    return Looked(layers, {**found, "style": wanted})
