"""What `jnst.disagree` tells: while it runs, of each picture, and in a record."""

from typing import Any, NamedTuple

import numpy as np

from jnst.drivers.record import device, versions
from jnst.recipes.recipe import Recipe
from jnst.recipes.settings import record

DRIFT = 0.01
"""How far the held loss may be off its level, relative to it."""
SIGNS = {"lowered": 1, "raised": -1}
"""By direction: what a descent of the loss that moves is multiplied by."""


class Moment(NamedTuple):
    """Where a run is.

    Attributes:
      number: Of the run, from 0.
      held: Label of the loss that is held.
      moved: Label of the other.
      direction: "lowered" or "raised".
      step: Steps done in this run.
      steps: Steps of a run.
      moved_loss: The loss that moves over its value at the start.
      held_loss: The same of the held one.
    """

    number: int
    held: str
    moved: str
    direction: str
    step: int
    steps: int
    moved_loss: float
    held_loss: float


class HeldRun(NamedTuple):
    """One of the four pictures.

    Attributes:
      held: Label of the loss that is held.
      moved: Label of the other.
      direction: "lowered" or "raised".
      image: The picture, float32 [H, W, 3] in [0, 1].
      moved_loss: The loss that moves at `image`, over its value at the start.
      drift_percent: How far the held loss is off its level at `image`.
      curves: {label: loss over its value at the start} along the run, [steps + 1] each;
        of images that were accepted, so that all are within `DRIFT`.
      redrawn_percent: The drift by another draw, where the held loss samples: a run
        knows one draw only, and may use what that does not see. None for other losses.
      error: Why this picture shows no disagreement; empty if it does.
    """

    held: str
    moved: str
    direction: str
    image: np.ndarray
    moved_loss: float
    drift_percent: float
    curves: dict[str, np.ndarray]
    redrawn_percent: float | None
    error: str


class Disagreement(NamedTuple):
    """What `disagree` returns.

    Attributes:
      labels: What loss A and loss B are called.
      picture: Picture both losses compare with, float32 [H, W, 3] in [0, 1].
      start: The same with noise, where all runs begin.
      values: Both losses at the start, by label, as the formulas give them.
      cosine: Of the two gradients at the start.
      runs: A held and B lowered, raised; B held and A lowered, raised.
      recipe: What the losses are computed with.
      weights: Where the network's weights are from.
      seconds: Time of all steps.
      compile_seconds: Time of compiling.
    """

    labels: tuple[str, str]
    picture: np.ndarray
    start: np.ndarray
    values: dict[str, float]
    cosine: float
    runs: list[HeldRun]
    recipe: Recipe
    weights: dict[str, str]
    seconds: float
    compile_seconds: float


def title(run: HeldRun) -> str:
    """Say in a line what was held, what moved and how far."""
    return (
        f"{run.held} held, {run.moved} {run.direction}: "
        f"1.00 -> {number(run.moved_loss)}, drift {abs(run.drift_percent):.2g} %"
    )


def number(value: float) -> str:
    """Write a ratio in as many digits as a reader takes in."""
    if 100 <= value < 1e5:
        return f"{value:.0f}"
    return f"{value:.2f}" if 0.1 <= value < 100 else f"{value:.2g}"


def why_not(run: HeldRun, steps: int, cosine: float) -> str:
    """Say why a picture shows no disagreement; nothing if it does."""
    if not abs(run.drift_percent) < 100 * DRIFT:
        return (
            f"{run.held} could not be held: it is {run.drift_percent:+.2g} % off, and "
            f"{100 * DRIFT:g} % is the most"
        )
    if SIGNS[run.direction] * np.log(run.moved_loss) < -np.log1p(DRIFT):
        return ""
    return (
        f"{run.moved} could not be {run.direction} with {run.held} held: in {steps} "
        f"steps it went to {run.moved_loss:.4g} of its start, no further than the "
        f"drift allowed; at the start the cosine of the two gradients is {cosine:.4f}"
    )


def document(result: Disagreement) -> dict[str, Any]:
    """Gather what JSON keeps: all but the pictures."""
    return {
        "losses": list(result.labels),
        "recipe": record(result.recipe),
        "values_at_start": result.values,
        "cosine_at_start": result.cosine,
        "runs": [
            {k: v for k, v in run._asdict().items() if k != "image"}
            for run in result.runs
        ],
        "largest_drift_percent": max(abs(r.drift_percent) for r in result.runs),
        "shape": list(result.picture.shape),
        "weights": result.weights,
        "seconds": result.seconds,
        "compile_seconds": result.compile_seconds,
        "device": device(),
        "versions": versions(),
    }
