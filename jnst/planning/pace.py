"""How long a step takes: from a short measurement, or from an earlier benchmark."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jnst.bench.cases import Case, make_pictures
from jnst.bench.flops import step_flops
from jnst.bench.measure import loss_name
from jnst.bench.peaks import peak_tflops
from jnst.bench.report import read_document
from jnst.drivers.plan import Plan, Request, make_plan
from jnst.drivers.stages import objective_at
from jnst.loop.iterate import iterate
from jnst.objective.features import Network
from jnst.planning.targets import Target
from jnst.recipes.changing import named
from jnst.recipes.schedule import Stage

STEPS = 4
"""Steps of a short measurement, of which the first is left out."""
MOST_PIXELS = {"cpu": 512**2}
"""Pixels of a size that is measured at most: two seconds a step on two cores."""
ACCELERATOR_PIXELS = 1024**2
SAME = ("dtype", "precision", "loss", "optimizer")
"""Fields of a benchmark's row that must be a plan's own."""


class Pace(NamedTuple):
    """How long a step takes.

    Attributes:
      seconds: Of a step, for so many pixels; None where nobody knows.
      pixels: Pixels of the image whose step that was.
      source: Where it is from, in words.
    """

    seconds: float | None
    pixels: int
    source: str

    def at(self, pixels: int) -> float | None:
        """Return the seconds of a step at so many pixels: as many times as long."""
        return None if self.seconds is None else self.seconds * pixels / self.pixels


def measured(request: Request, changes: Mapping[str, Any], stage: Stage) -> Pace:
    """Run a few steps of a plan at a size, as `jnst.stylize` would.

    Args:
      request: What is asked for; its pictures are replaced by waves of that size.
      changes: Fields of the recipe.
      stage: The size.
    """
    most = MOST_PIXELS.get(jax.default_backend(), ACCELERATOR_PIXELS)
    side = min(max(stage.shape), int(most**0.5))
    plan = waves(request, changes, side)
    last = plan.stages[-1]
    objective, _ = objective_at(plan, last)
    clock = [event.seconds for event in iterate(objective, steps=STEPS, every=1)]
    seconds = float(np.median(np.diff(clock)))
    return Pace(seconds, side**2, f"measured, {STEPS - 1} steps at {side} px")


def waves(request: Request, changes: Mapping[str, Any], side: int) -> Plan:
    """Plan a run like another on a benchmark's pictures of a size."""
    made = make_pictures(Case(named(request.recipe), side))
    content = None if request.content is None else made.contents[0, 0]
    given = request._replace(content=content, style=made.style[0], size_px=None)
    return make_plan(given, {**changes, "size_px": side})


def from_results(path: str | Path, plan: Plan, target: Target, side: int) -> Pace:
    """Take the pace of an earlier benchmark, of the row that is nearest in size.

    Args:
      path: What `jnst bench --output` wrote.
      plan: The plan.
      target: Its device, which must be the benchmark's.
      side: Side of the image.

    Raises:
      FileNotFoundError: If there is no such file.
      ValueError: If it is no benchmark, or has nothing of this kind.
    """
    document = read_document(path)
    recipe = plan.recipe
    own = {
        "dtype": recipe.dtype,
        "precision": recipe.precision,
        "loss": loss_name(recipe),
        "optimizer": recipe.optimizer,
    }
    if document["device_kind"] != target.kind:
        raise ValueError(
            f"{str(path)!r} is of {document['device_kind']!r}, and the plan is for "
            f"{target.kind!r}"
        )
    rows = [
        row
        for row in document["rows"]
        if row.get("step_ms")
        # What an older file does not tell is no difference, as for `--against`.
        and all(row.get(name) in (None, own[name]) for name in SAME)
    ]
    if not rows:
        raise ValueError(f"{str(path)!r} has no row of {own}")
    row = min(rows, key=lambda row: abs(math.log(row["size_px"] / side)))
    pixels = row["batch"] * row["size_px"] ** 2
    source = f"{path}, {row['size_px']} px x{row['batch']}"
    return Pace(row["step_ms"] / 1e3, pixels, source)


def at_best(plan: Plan, target: Target, side: int) -> float | None:
    """Return the seconds of a step if its multiplications ran at the device's peak.

    Returns:
      None where the peak, or the number of multiplications, is not known.
    """
    recipe = plan.recipe
    peak = peak_tflops(target.kind, recipe.dtype, precision=recipe.precision)
    if peak is None or not isinstance(plan.extract, Network):
        return None
    flops = step_flops(recipe, plan.extract.params, side)
    chips = 1 if plan.mesh is None else plan.mesh.size
    return None if flops is None else flops / (peak * 1e12 * chips)
