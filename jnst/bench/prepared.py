"""A case made ready to run: the program that `jnst.run` would run, and its state.

Nothing here is a copy of the loop's mathematics: `run_chunk` is compiled by
`jnst.program.compiled` with targets from `make_targets`, its state donated, as many
steps a program and a look as `chunk_lengths` says.
"""

import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jnst.base import Params
from jnst.bench.cases import Case, make_pictures
from jnst.memory import release_freed
from jnst.optimize import State, init, run_chunk
from jnst.program import chunk_lengths, compiled, compiler_options
from jnst.recipe import Recipe
from jnst.schedule import stages
from jnst.targets import (
    Targets,
    make_targets,
    network_params,
    static_part,
    weight_arrays,
)

Losses = dict[str, Array]
BY_IMAGE = Targets(0, None, 0, None, None, None)  # type: ignore[arg-type]
"""Which targets differ between the images of a batch: those of the content."""


class Prepared(NamedTuple):
    """A compiled case.

    Attributes:
      step: Runs `steps_per_call` steps of every image and waits for them. Returns
        "loss" and each term before each step, for every run of the program one dict
        of arrays [steps], [N, steps] for a batch; they stay on the device.
      steps_per_call: Steps between two looks of Python's.
      steps_per_run: Steps that one run of the program takes.
      compile_s: Seconds of compiling targets and step; about 0 where the process, or
        JAX's cache on disk, had them already.
      program: The compiled step, a `jax.stages.Compiled`.
    """

    step: Callable[[], list[Losses]]
    steps_per_call: int
    steps_per_run: int
    compile_s: float
    program: Any


def run_batch(
    states: State, params: Params, targets: Targets, recipe: Recipe, length: int
) -> tuple[State, dict[str, Array]]:
    """Take `length` steps of several images in one program.

    Args:
      states: States with a leading axis of N in every array.
      params: Parameters of the network, shared.
      targets: Targets with that axis where `BY_IMAGE` says so.
      recipe: The static part of a recipe.
      length: Steps.

    Returns:
      New states, and losses of shape [N, length].
    """

    def one(state: State, targets: Targets) -> tuple[State, dict[str, Array]]:
        return run_chunk(state, params, targets, recipe, length)

    return jax.vmap(one, in_axes=(0, BY_IMAGE))(states, targets)


def make_batch_targets(
    params: Params, contents: Array, style: Array, blend: Array, recipe: Recipe
) -> tuple[Any, Any, Any]:
    """Compute targets of several contents [N, 1, H, W, 3] and one style at once."""

    def one(content: Array) -> tuple[Any, Any, Any]:
        return make_targets(params, content, [style], blend, recipe)

    return jax.vmap(one, out_axes=(0, None, 0))(contents)


def _targets(found: tuple[Any, Any, Any], blend: Array, recipe: Recipe) -> Targets:
    """Add to what `make_targets` found the weights, as `jnst.run` does."""
    content, statistics, constants = found
    layers, terms = weight_arrays(recipe)
    return Targets(content, statistics, constants, blend, layers, terms)


def _single(params: Params, case: Case) -> tuple[State, Targets, float]:
    """State and targets of one image, and the seconds of compiling."""
    pictures, recipe = make_pictures(case), case.recipe
    content, style = jax.device_put((pictures.contents[0], pictures.style))
    blend = jax.device_put(np.ones(1, np.float32))
    arguments = params, content, [style], blend
    program, seconds = compiled(make_targets, arguments, static_part(recipe))
    targets = _targets(program(*arguments), blend, recipe)
    first = jax.device_put(pictures.first[0] * np.float32(recipe.pixel_scale))
    return init(first, recipe, jax.random.key(recipe.seed + 1)), targets, seconds


def _several(params: Params, case: Case) -> tuple[State, Targets, float]:
    """The same for a batch."""
    pictures, recipe = make_pictures(case), case.recipe
    contents, style = jax.device_put((pictures.contents, pictures.style))
    blend = jax.device_put(np.ones(1, np.float32))
    arguments = params, contents, style, blend
    program, seconds = compiled(make_batch_targets, arguments, static_part(recipe))
    targets = _targets(program(*arguments), blend, recipe)
    first = jax.device_put(pictures.first * np.float32(recipe.pixel_scale))
    keys = jax.random.split(jax.random.key(recipe.seed + 1), case.batch)
    states = jax.vmap(lambda image, key: init(image, recipe, key))(first, keys)
    return states, targets, seconds


def _compile_batch(
    arguments: tuple[State, Params, Targets], recipe: Recipe, length: int
) -> tuple[Any, float]:
    """Compile `run_batch`, donating its states as `compiled` does those of a run."""
    start = time.perf_counter()
    jitted = jax.jit(run_batch, static_argnums=(3, 4), donate_argnums=0)
    program = jitted.lower(*arguments, recipe, length).compile(
        compiler_options=compiler_options()
    )
    return program, time.perf_counter() - start


def check_case(case: Case, params: Params) -> None:
    """Raise before any work if a case cannot run.

    Args:
      case: What is to run.
      params: Parameters of the network.

    Raises:
      ValueError: If the image is too small, a layer unknown, or a loss unable.
    """
    image = jax.ShapeDtypeStruct((1, case.size_px, case.size_px, 3), jnp.float32)
    blend = jax.ShapeDtypeStruct((1,), jnp.float32)
    static = static_part(case.recipe)
    bound = functools.partial(make_targets, recipe=static)
    jax.eval_shape(bound, params, image, [image], blend)


def prepare(case: Case, params: Params) -> Prepared:
    """Compile a case and put all it needs on the device.

    Args:
      case: What to run.
      params: Parameters of the network.

    Returns:
      The case, ready to be called; its state goes on from call to call.

    Raises:
      ValueError: If the image is too small for a layer of the recipe.
    """
    params = network_params(params, case.recipe)
    static, shape = static_part(case.recipe), (case.size_px, case.size_px)
    steps = stages(shape, case.size_px, case.recipe)[-1].steps
    look, length = chunk_lengths(steps, shape, 0)
    make = _single if case.batch == 1 else _several
    state, targets, targets_s = make(params, case)
    arguments = state, params, targets
    if case.batch == 1:
        program, step_s = compiled(run_chunk, arguments, static, length)
    else:
        program, step_s = _compile_batch(arguments, static, length)
    jax.block_until_ready(arguments)
    release_freed()
    box = [state]
    del state, arguments  # a donated state must have no other owner

    def step() -> list[Losses]:
        losses = []
        for _ in range(look // length):
            box[0], found = program(box[0], params, targets)
            losses.append(found)
        jax.block_until_ready(box[0])
        return losses

    return Prepared(step, look, length, targets_s + step_s, program)
