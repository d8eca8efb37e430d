"""Budgets: how long each method of a study may run.

Equal seconds are seconds in the loop, without compiling. How many steps that is, is
found by a short pilot run at each size of the method's schedule; the schedule is then
scaled to so many steps, so that a recipe with a cooldown ends as it should.
"""

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import numpy as np

from jnst.base import Number
from jnst.bounds import POSITIVE, STEPS
from jnst.drivers.plan import Plan
from jnst.drivers.stages import sizes_of
from jnst.fitting import fit
from jnst.loop.iterate import Size, chunk_lengths, iterate
from jnst.loop.state import State
from jnst.recipes.schedule import ScheduleFields, steps_per_scale

PILOT_LOOKS = 5
"""Times the pilot takes at each size; the first, still cold, is not counted."""
PILOT_STEPS = 4
"""Steps of a time, where a program runs one step, as on a CPU."""


class Budget(NamedTuple):
    """How long a method may run.

    Attributes:
      kind: "steps", "seconds", or "own" for the recipe's own steps.
      amount: How many; None for "own".
    """

    kind: str
    amount: Number | None = None

    @property
    def label(self) -> str:
        """Say it in records and tables: "own", "60 steps", "2.5 seconds"."""
        return "own" if self.amount is None else f"{self.amount:g} {self.kind}"

    @property
    def name(self) -> str:
        """Name it in names of files."""
        return self.label.replace(" ", "-")


def make_budgets(steps: Any, seconds: Any) -> list[Budget]:
    """Check budgets, and list them: the recipes' own if there is none.

    Raises:
      ValueError: If one is not above 0.
    """
    found = []
    if steps is not None:
        found.append(Budget("steps", fit("steps", steps, Annotated[int, STEPS])))
    if seconds is not None:
        kind = Annotated[Number, POSITIVE]
        found.append(Budget("seconds", fit("seconds", seconds, kind)))
    return found or [Budget("own")]


def pilot(plan: Plan) -> list[float]:
    """Measure the seconds of a step at each size of a plan, coarse to fine.

    Args:
      plan: From `jnst.drivers.stages.weighed`, with all sizes of its schedule.

    Returns:
      Medians of `PILOT_LOOKS` - 1 times, each of as many steps as a run takes between
      two looks, or `PILOT_STEPS`. Losses need not be finite.
    """
    state: State | None = None
    found = []
    for size, stage in zip(sizes_of(plan, []), plan.stages, strict=True):
        pixels = stage.shape[0] * stage.shape[1]
        look, length = chunk_lengths(pixels)
        count = look if length > 1 else min(look, PILOT_STEPS)
        several = [Size(PILOT_LOOKS * count, size.make)]
        ends = [0.0]
        for event in iterate(several, state, every=count, finite=False):
            ends.append(event.seconds)
            state = event.state
        times = np.diff(ends) / count
        found.append(float(np.median(times[1:])))
    return found


def run_seconds(
    steps: int, step_seconds: Sequence[float], schedule: ScheduleFields
) -> float:
    """Predict the seconds of a run of so many steps, as its schedule splits them."""
    fields = dataclasses.replace(schedule, steps=steps)
    counts = steps_per_scale(len(step_seconds), fields)
    return float(np.dot(counts, step_seconds[-len(counts) :]))


def steps_within(
    seconds: float, step_seconds: Sequence[float], schedule: ScheduleFields
) -> int:
    """Find the most steps that a budget of seconds has room for.

    Args:
      seconds: The budget.
      step_seconds: Seconds of a step at each size, coarse to fine, from `pilot`.
      schedule: Says how steps are split over sizes. With fewer steps than sizes, the
        finest sizes alone have steps.

    Returns:
      At least 1, also where a step takes longer than the budget.
    """
    most = int(STEPS.high)
    low, high = 1, 2
    while high < most and run_seconds(high, step_seconds, schedule) <= seconds:
        low, high = high, min(2 * high, most)
    while high - low > 1:
        middle = (low + high) // 2
        if run_seconds(middle, step_seconds, schedule) <= seconds:
            low = middle
        else:
            high = middle
    return low
