"""`disagree`: pictures on which one loss stays and another changes as much as it can.

Maximum differentiation: from one picture and one noisy start four pictures, A's loss
held while B's is lowered or raised, and the other way round. What differs between them
is what one of the losses sees and the other does not.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jnst.base import Number, Params
from jnst.bounds import POSITIVE, SEED, SIDE, STEPS
from jnst.drivers.disagreement import (
    DRIFT,
    SIGNS,
    Disagreement,
    HeldRun,
    Moment,
    why_not,
)
from jnst.drivers.pair import NAMES, Loss, Pair, make_pair
from jnst.drivers.plan import Request, make_plan
from jnst.drivers.sources import ImageLike, as_source
from jnst.drivers.stages import objective_at
from jnst.fitting import fit
from jnst.image import fit_shape, resize_image
from jnst.loop.held import Goal, Seen, Walk, begin, look, propose, settle
from jnst.objective.value import Objective
from jnst.program import compiled
from jnst.recipes.recipe import Recipe

SIZE_PX = 128
STEPS_A_RUN = 60
SIGMA = 0.1
LEFT_FOR_ROUNDING = 0.1
"""Share of `DRIFT` that no step uses: the result is judged by another program."""
RATE, COOLDOWN = 0.01, 0.3
"""Step size in pixel values, and the share of the steps over which it goes to 0."""
LOOK_EVERY = 5


class Setting(NamedTuple):
    """What the four runs share.

    Attributes:
      pair: The two losses.
      objective: Both as its terms.
      start: Where all begin.
      seen: What is known of it.
      key: Key of all steps.
      other: Key of another draw.
      cosine: Of the two gradients at the start.
      steps: Steps of each run.
    """

    pair: Pair
    objective: Objective
    start: Array
    seen: Seen
    key: Array
    other: Array
    cosine: float
    steps: int


def disagree(
    loss_a: Loss,
    loss_b: Loss,
    picture: ImageLike,
    *,
    recipe: str | Recipe = "jnst",
    layers: str | Sequence[str] | None = None,
    size_px: int | None = None,
    steps: int = STEPS_A_RUN,
    sigma: Number = SIGMA,
    seed: int = 0,
    weights: str | Path | Params | None = None,
    extract: Callable[..., Any] | None = None,
    on_step: Callable[[Moment], None] | None = None,
    **changes: Any,
) -> Disagreement:
    """Find pictures on which two losses disagree.

    Both are losses of an image against the same picture. A loss that samples has one
    draw for the whole run.

    Args:
      loss_a: Name of a style, content or image loss or of a metric of pictures, such as
        "ssim"; or a function from {layer: features [1, h, w, C]} to a scalar.
      loss_b: The other one.
      picture: A path, a `PIL.Image`, or a float array [H, W, 3] in [0, 1], which keeps
        its size unless `size_px` is given.
      recipe: Key of `jnst.RECIPES`, or a `Recipe`: whose layers, weights of layers and
        network the losses have.
      layers: Layers of both losses, where they look at features; None for the
        recipe's.
      size_px: Longer side; 128 for files if absent.
      steps: Steps of each of the four runs.
      sigma: Standard deviation of the noise at the start, which is clipped to [0, 1].
      seed: Seed of the noise and of losses that sample.
      weights: As in `jnst.stylize`.
      extract: Features of one's own.
      on_step: Called with a `Moment` every few steps.
      **changes: Fields of a recipe's objective, such as `pooling`; `a_layers`,
        `a_layer_weights`, `a_options`, `a_pyramid`, and the same of `b`.

    Returns:
      A `Disagreement`. A run that could not be held, or that did not move, says so in
      `error`.

    Raises:
      ValueError: For anything that could not be computed; and for a loss that is 0, or
        has no gradient, at the start.
      FileNotFoundError: For a missing picture, or no weights anywhere.

    References:
      Wang & Simoncelli, "Maximum differentiation (MAD) competition", J. Vision 2008.
      Departs: see `jnst.loop.held.propose`. plenoptic's penalty holds nothing exactly.
    """
    steps = fit("steps", steps, Annotated[int, STEPS])
    sigma = fit("sigma", sigma, Annotated[Number, POSITIVE])
    seed = fit("seed", seed, Annotated[int, SEED])
    pixels = _pixels(picture, size_px)
    pair = make_pair((loss_a, loss_b), pixels, recipe, layers, changes)
    asked = Request(pixels, pixels, pair.recipe, weights=weights, extract=extract)
    plan = make_plan(asked, {})
    objective, compile_seconds = objective_at(plan, plan.stages[-1])
    noise, key, other = jax.random.split(jax.random.key(seed), 3)
    start = noisy(noise, jnp.asarray(pixels), sigma)
    evaluate, more = compiled(look, (objective, start, key))
    seen = evaluate(objective, start, key)
    values, cosine = _check_start(pair.labels, seen)
    setting = Setting(pair, objective, start, seen, key, other, cosine, steps)
    began = time.perf_counter()
    runs = [
        _run(setting, evaluate, number, on_step) for number in range(2 * len(SIGNS))
    ]
    return Disagreement(
        labels=pair.labels,
        picture=pixels,
        start=np.asarray(start),
        values=values,
        cosine=cosine,
        runs=runs,
        recipe=pair.recipe,
        weights=plan.weights,
        seconds=time.perf_counter() - began,
        compile_seconds=compile_seconds + more,
    )


def noisy(key: Array, pixels: Array, sigma: float) -> Array:
    """Add noise to a picture and clip it to [0, 1]."""
    noise = jax.random.normal(key, pixels.shape, pixels.dtype)
    return jnp.clip(pixels + sigma * noise, 0, 1)


def _pixels(picture: ImageLike, size_px: int | None) -> np.ndarray:
    """Load a picture and bring it to its size."""
    if size_px is not None:
        size_px = fit("size_px", size_px, Annotated[int, SIDE])
    source = as_source("picture", picture, sized=size_px is not None)
    if source.pixels.ndim != 3:
        raise ValueError(
            f"picture must be one image [H, W, 3], got {list(source.pixels.shape)}"
        )
    if source.own_size:
        return source.pixels
    return resize_image(source.pixels, fit_shape(source.shape, size_px or SIZE_PX))


def _check_start(labels: Sequence[str], seen: Seen) -> tuple[dict[str, float], float]:
    """Return both losses and the cosine of their gradients at the start.

    Raises:
      ValueError: If one is not above 0, or has no gradient.
    """
    values = np.asarray(seen.values)
    slopes = np.asarray(seen.slopes, np.float64).reshape(2, -1)
    norms = np.linalg.norm(slopes, axis=1)
    for label, value, norm in zip(labels, values, norms, strict=True):
        if not (np.isfinite(value) and value > 0):
            raise ValueError(
                f"loss {label!r} is {value:g} at the start, the picture with noise, "
                "and must be above 0: use another sigma, picture or loss"
            )
        if not (np.isfinite(norm) and norm > 0):
            raise ValueError(
                f"loss {label!r} has a gradient of norm {norm:g} at the start, the "
                "picture with noise: use another sigma, picture or loss"
            )
    cosine = float(slopes[0] @ slopes[1] / (norms[0] * norms[1]))
    return dict(zip(labels, values.tolist(), strict=True)), cosine


def _rates(steps: int) -> np.ndarray:
    """Return the step size of each step."""
    left = np.arange(steps, 0, -1) / max(1.0, COOLDOWN * steps)
    return np.asarray(RATE * np.minimum(1, left), np.float32)


def _walk(setting: Setting, evaluate: Any, goal: Goal) -> Iterator[Walk]:
    """Walk, from the start on."""
    walk = begin(setting.start, setting.seen)
    yield walk
    for rate in _rates(setting.steps):
        walk = _propose(walk, goal, rate)
        seen = evaluate(setting.objective, walk.candidate, setting.key)
        walk = _settle(walk, seen, goal)
        yield walk


_propose, _settle = jax.jit(propose), jax.jit(settle)


def _run(
    setting: Setting,
    evaluate: Any,
    number: int,
    on_step: Callable[[Moment], None] | None,
) -> HeldRun:
    """Make one of the four pictures."""
    held, way = divmod(number, len(SIGNS))
    direction, sign = list(SIGNS.items())[way]
    labels, steps, start = setting.pair.labels, setting.steps, setting.seen.values
    who = labels[held], labels[1 - held], direction
    bound = DRIFT * (1 - LEFT_FOR_ROUNDING)
    goal = Goal(start, *map(jnp.asarray, (held, float(sign), bound)))
    values, image = [], setting.start
    for step, walk in enumerate(_walk(setting, evaluate, goal)):
        values.append(walk.seen.values)
        image = walk.best
        if on_step and (step % LOOK_EVERY == 0 or step == steps):
            now = np.asarray(values[-1]) / np.asarray(start)
            moved, kept = float(now[1 - held]), float(now[held])
            on_step(Moment(number, *who, step, steps, moved, kept))
    curves = np.stack(jax.device_get(values)) / np.asarray(start)
    return _judged(setting, held, who, image, dict(zip(labels, curves.T, strict=True)))


def _judged(
    setting: Setting,
    held: int,
    who: tuple[str, str, str],
    image: Array,
    curves: dict[str, np.ndarray],
) -> HeldRun:
    """Judge a picture afresh, by the objective as anybody would call it."""

    def ratios(key: Array) -> np.ndarray:
        found = [setting.objective.terms(x, key) for x in (image, setting.start)]
        each = [np.asarray([x[name] for name in NAMES], np.float64) for x in found]
        return each[0] / each[1]

    ratio, redrawn = ratios(setting.key), None
    if setting.pair.keyed[held]:
        redrawn = 100 * float(ratios(setting.other)[held] - 1)
    moved, drift = float(ratio[1 - held]), 100 * float(ratio[held] - 1)
    run = HeldRun(*who, np.asarray(image), moved, drift, curves, redrawn, "")
    return run._replace(error=why_not(run, setting.steps, setting.cosine))
