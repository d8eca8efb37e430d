"""Time to quality: how long a run takes until its picture is as good as a target.

A step's time says nothing of how many steps are needed. The rules are AlgoPerf's (Dahl
et al, "Benchmarking Neural Network Training Algorithms", 2023, arXiv 2306.07179,
section 4): a fixed workload, a fixed target, wall time until it is reached, the median
of several runs, and a run that misses the target within its budget counts as infinite.

The workload is the demo pair; the judge is the default recipe's objective at the full
size, without its shifts, so that one function judges all; the budget is the recipe's
own steps. Looking at a picture and judging it stop the clock, compiling does not.
"""

import importlib.resources
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnst.base import Params
from jnst.drivers.objectives import make_objective
from jnst.drivers.plan import Plan, Request, make_plan
from jnst.drivers.stages import sizes_of, weighed
from jnst.image import load_image, resize_image
from jnst.loop.history import NonFiniteLossError
from jnst.loop.iterate import iterate
from jnst.program import jitted
from jnst.recipes.recipe import Recipe

Row = dict[str, Any]
Judge = Callable[[np.ndarray], float]
STILL: dict[str, Any] = {"shift_px": 0}
"""Changes of the judge, and of a run unless it asks otherwise: a shifted step sees
another picture than the one that is judged."""
SIZE_PX = 256
EVERY = 5
"""Steps of a run after which the picture must be judged, at least."""


class Workload(NamedTuple):
    """What is run and who judges it.

    Attributes:
      images: Content and style, [H, W, 3] in [0, 1].
      params: Parameters of the network, or the name of weights.
      judge: From `make_judge`.
      target: Loss at which a run is done.
    """

    images: tuple[np.ndarray, np.ndarray]
    params: Params | str
    judge: Judge
    target: float


def demo_pair(size_px: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the demo pair, both with a longer side of `size_px`, [H, W, 3]."""
    return _shipped("demo_content.jpg", size_px), _shipped("demo_style.jpg", size_px)


def _shipped(name: str, size_px: int) -> np.ndarray:
    data = importlib.resources.files("jnst.data")
    with importlib.resources.as_file(data / name) as path:
        pixels = load_image(path)
    scale = size_px / max(pixels.shape[:2])
    height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
    return resize_image(pixels, (height, width))


def shipped_target(size_px: int, weights: str | None) -> float:
    """Return the loss to reach that is shipped for a size.

    Args:
      size_px: Longer side.
      weights: Name of the weights; the target holds for those it was measured with.

    Raises:
      ValueError: If none is shipped.
    """
    resource = importlib.resources.files("jnst.data") / "quality_targets.json"
    shipped = json.loads(resource.read_text(encoding="utf-8"))
    targets, measured = shipped["targets"], shipped["origin"]["weights"]
    if weights == measured and str(size_px) in targets:
        return targets[str(size_px)]["loss"]
    raise ValueError(
        f"no target is known for {size_px} px with weights {weights or 'of your own'}, "
        f"only for {', '.join(targets)} px with {measured}: give one by --target LOSS"
    )


def make_judge(images: Sequence[np.ndarray], weights: Params | str) -> Judge:
    """Return a function from an image in [0, 1] to the default objective's loss.

    Args:
      images: Content and style, [H, W, 3].
      weights: Parameters of the network, or their name.
    """
    content, style = images
    objective = make_objective(content, style, "jnst", weights=weights, **STILL)
    program = jax.jit(lambda objective, image: objective(image))
    judged = program.lower(objective, jnp.asarray(content)).compile()

    def judge(image: np.ndarray) -> float:
        return float(judged(objective, jnp.asarray(image)))

    return judge


def plan_run(work: Workload, recipe: str | Recipe, changes: Mapping[str, Any]) -> Plan:
    """Plan one run of a workload; as for all arrays, the pictures keep their sizes.

    Args:
      work: What is run.
      recipe: What runs it.
      changes: Fields of the recipe; `shift_px` is 0 if they say nothing of it.

    Raises:
      ValueError: For what no run could use.
    """
    content, style = work.images
    request = Request(content, style, recipe, weights=work.params)
    return make_plan(request, {**STILL, **changes})


def run_to(
    work: Workload,
    recipe: str | Recipe,
    changes: Mapping[str, Any],
    *,
    on_look: Callable[[int, float | None], None] = lambda step, loss: None,
) -> Row:
    """Run until a picture is as good as the target, or the recipe's steps are over.

    Args:
      work: What is run; its weights are loaded before the clock starts.
      recipe: What runs it.
      changes: Fields of the recipe, see `plan_run`.
      on_look: Called with steps done and the loss; None at sizes that are not judged.

    Returns:
      "reached"; "to_target_s", None for a miss; and what was spent: "wall_s" in all,
      "loop_s" and "compile_s" of it, "judging_s" beside it, "steps" of "budget_steps",
      the last "loss", "error" where it was not finite, and "curve" of
      [wall s, loop s, loss].
    """
    start, paused, curve = time.perf_counter(), 0.0, []
    plan, clock = weighed(plan_run(work, recipe, changes)), []
    row: Row = {"steps": 0, "budget_steps": sum(s.steps for s in plan.stages)}
    try:
        for event in iterate(sizes_of(plan, clock), every=EVERY):
            stopped, loss = time.perf_counter(), None
            if event.state.image.shape[-3:-1] == work.images[0].shape[:2]:
                loss = work.judge(event.image)
                curve.append([stopped - start - paused, event.seconds, loss])
            spent = {"loop_s": event.seconds, "steps": event.step}
            row |= spent | {"compile_s": event.compile_seconds + sum(clock)}
            on_look(event.step, loss)
            paused += time.perf_counter() - stopped
            if loss is not None and loss <= work.target:
                break
    except NonFiniteLossError as error:
        row["error"] = str(error)
    wall, loss = time.perf_counter() - start - paused, curve[-1][2] if curve else None
    reached = "error" not in row and loss is not None and loss <= work.target
    row |= {"reached": reached, "to_target_s": curve[-1][0] if reached else None}
    return row | {"wall_s": wall, "judging_s": paused, "loss": loss, "curve": curve}


def forget_programs() -> None:
    """Forget all compiled programs of this process, so that the next run is a first."""
    jitted.cache_clear()
    jax.clear_caches()


def median_s(rows: Sequence[Row]) -> float:
    """Return the median of seconds to the target; a miss is infinite."""
    times = [
        math.inf if row["to_target_s"] is None else row["to_target_s"] for row in rows
    ]
    return float(np.median(times))
