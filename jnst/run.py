"""A whole run: every size from coarse to fine, its history, and what stops it."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jnst import optimize
from jnst.balance import balanced
from jnst.base import Image, Params
from jnst.image import resize_image
from jnst.initial import INITS
from jnst.memory import release_freed
from jnst.optimize import State, run_chunk
from jnst.program import chunk_lengths, compiled
from jnst.recipe import Recipe
from jnst.result import History, Inputs, NonFiniteLossError, Progress, Result
from jnst.schedule import Stage, style_at
from jnst.targets import (
    TERMS,
    Targets,
    make_targets,
    static_part,
    weight_arrays,
)
from jnst.vgg import mean_pixel


def _batch(image: np.ndarray) -> Image:
    pixels = np.asarray(image, np.float32)[None]
    return jax.device_put(pixels, may_alias=False)  # the caller may write to its own


def _images(
    inputs: Inputs, stage: Stage, last: Stage, recipe: Recipe
) -> tuple[Image, list[Image]]:
    """Return the content image (black for a texture) and the styles at a stage."""
    styles = [_batch(style_at(s, stage, last, recipe)) for s in inputs.styles]
    if inputs.content is None:
        return jnp.zeros((1, *stage.shape, 3)), styles
    pixels = inputs.content.pixels
    return _batch(resize_image(pixels, stage.shape, method=recipe.resize)), styles


def _targets(
    params: Params, inputs: Inputs, images: tuple[Image, list[Image]], recipe: Recipe
) -> tuple[Targets, float]:
    """Start to compute targets; return them, and the seconds of compiling."""
    blend = jax.device_put(np.asarray(inputs.blend, np.float32))
    layers, terms = weight_arrays(recipe)
    arguments = params, *images, blend
    program, seconds = compiled(make_targets, arguments, static_part(recipe))
    content, styles, constants = program(*arguments)
    return Targets(content, styles, constants, blend, layers, terms), seconds


def _first_image(
    params: Params, inputs: Inputs, content: Image, recipe: Recipe
) -> Image:
    shape = content.shape[1], content.shape[2]
    if inputs.init is not None:
        return _batch(resize_image(inputs.init, shape, method=recipe.resize))
    styles = [resize_image(style.pixels, shape) for style in inputs.styles]
    style = np.tensordot(np.asarray(inputs.blend), np.stack(styles), axes=1)
    key = jax.random.key(recipe.seed)
    zero = mean_pixel(params) * (255 / recipe.white)
    return INITS[recipe.init](key, content, _batch(style), zero)


def weighed(
    params: Params, inputs: Inputs, plan: Sequence[Stage], recipe: Recipe
) -> Recipe:
    """Replace a style weight of "balance" by one for the first image of a run.

    Args:
      params: Parameters of the network.
      inputs: Images, and the recipe whose own style loss is the measure.
      plan: Stages; the first is weighed at.
      recipe: The recipe; returned as it is if its weight is a number.

    Returns:
      The recipe with a number.

    Raises:
      ValueError: If a gradient is 0 or not finite, so that no weight would do.
    """
    if not inputs.reference or recipe.style_weight != "balance":
        return recipe
    content, styles = _images(inputs, plan[0], plan[-1], recipe)
    first = _first_image(params, inputs, content, recipe)
    blend = jax.device_put(np.asarray(inputs.blend, np.float32))
    return balanced(recipe, inputs.reference, first, params, styles, blend)


def _advice(step: int, term: str, value: float, recipe: Recipe) -> str:
    weight = f" or {term}_weight (now {getattr(recipe, f'{term}_weight', 0):g})"
    return (
        f"the loss became {value} at step {step}, in {term}; lower learning_rate "
        f"(now {recipe.learning_rate:g}){weight if term in TERMS else ''}, "
        "or try optimizer=adam with clip=true"
    )


def _check_finite(history: History, state: State, recipe: Recipe) -> None:
    """Raise if a loss is not finite, naming the step and the term at fault."""
    bad = np.flatnonzero(~np.isfinite(history["loss"]))
    if not len(bad):
        return
    at = int(bad[0])
    terms = [k for k in history if k != "loss" and not np.isfinite(history[k][at])]
    term = terms[0] if terms else "the sum of all terms"
    message = _advice(at, term, float(history["loss"][at]), recipe)
    good = np.clip(np.asarray(state.good[0]) / recipe.pixel_scale, 0, 1)
    raise NonFiniteLossError(
        message, good, {k: v[: at + 1] for k, v in history.items()}
    )


def join(histories: Sequence[History]) -> History:
    """Concatenate the histories of chunks."""
    return {k: np.concatenate([h[k] for h in histories]) for k in histories[0]}


def _advance(
    program: Callable[..., Any], state: State, params: Params, targets: Targets, n: int
) -> tuple[State, History]:
    """Run a program `n` times and wait for it."""
    parts = []
    for _ in range(n):
        state, losses = program(state, params, targets)
        parts.append(losses)
    return jax.block_until_ready(state), join(jax.tree.map(np.asarray, parts))


def _begin(image: Image, plan: Sequence[Stage], recipe: Recipe) -> State:
    """Make the first state, which knows how many steps are to come."""
    key = jax.random.key(recipe.seed + 1)
    end = float(sum(stage.steps for stage in plan))
    cooldown = max(1.0, recipe.cooldown * plan[-1].steps)
    image = image * recipe.pixel_scale
    return optimize.init(image, recipe, key, end=end, cooldown=cooldown)


def run(
    params: Params,
    inputs: Inputs,
    plan: Sequence[Stage],
    recipe: Recipe,
    on_progress: Callable[[Progress], None] | None,
    every: int,
) -> Result:
    """Optimise an image through every stage of a plan.

    Args:
      params: Parameters of the network, from `network_params` for the recipe.
      inputs: Images at their own sizes.
      plan: Stages from coarse to fine.
      recipe: The recipe, its style weight a number (`weighed`).
      on_progress: Called after each chunk of steps.
      every: Steps after which `on_progress` must be called, at least; 0 for no wish.

    Returns:
      The result.

    Raises:
      NonFiniteLossError: With the step, the term at fault and advice.
      ValueError: If a stage is too small for a layer.
    """
    static, steps = static_part(recipe), sum(stage.steps for stage in plan)
    history: History = {}
    seconds = compile_seconds = 0.0
    state = None
    for stage in plan:
        images = _images(inputs, stage, plan[-1], recipe)
        if state is None:
            first = _first_image(params, inputs, images[0], recipe)
            state = _begin(first, plan, recipe)
        elif state.image.shape[1:3] != stage.shape:
            state = optimize.resized(state, stage.shape, recipe)
        targets, spent = _targets(params, inputs, images, recipe)
        compile_seconds += spent
        look, length = chunk_lengths(stage.steps, stage.shape, every)
        arguments = state, params, targets
        program, spent = compiled(run_chunk, arguments, static, length)
        compile_seconds += spent
        jax.block_until_ready(arguments)  # targets were computed meanwhile
        release_freed()
        for _ in range(stage.steps // look):
            start = time.perf_counter()
            count = look // length
            state, losses = _advance(program, state, params, targets, count)
            seconds += time.perf_counter() - start
            history = join([history, losses]) if history else losses
            _check_finite(history, state, recipe)
            if on_progress:
                latest = {name: float(v[-1]) for name, v in losses.items()}
                shown = np.asarray(optimize.shown(state, recipe)[0])
                done = len(history["loss"])
                on_progress(Progress(done, steps, stage.shape, latest, shown, seconds))
    if state is None:
        raise ValueError("a run needs at least one stage")
    image = np.asarray(optimize.shown(state, recipe)[0])
    return Result(image, history, recipe, seconds, compile_seconds, list(plan))
