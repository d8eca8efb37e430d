"""A case made ready to run: the program that `jnst.stylize` would run, and its state.

Nothing here is a copy of the loop's mathematics: objective and state are made as a run
makes them, `run_chunk` is compiled by `jnst.program.compiled`, its state donated, as
many steps a program and a look as `chunk_lengths` says.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from jnst.base import Params
from jnst.bench.cases import Case, make_pictures
from jnst.loop.history import History
from jnst.loop.iterate import advance, chunk_lengths, on_device
from jnst.loop.optimizers import numbers_of, rule_of
from jnst.loop.state import Begin, Start, State, init
from jnst.loop.step import run_chunk
from jnst.memory import release_freed
from jnst.objective.features import make_network
from jnst.objective.making import Pictures, build, make_structure, make_targets
from jnst.objective.value import Objective
from jnst.program import compiled
from jnst.recipes.recipe import Recipe
from jnst.recipes.schedule import stages


class Prepared(NamedTuple):
    """A compiled case.

    Attributes:
      step: Runs `steps_per_call` steps of every image and waits for them. Returns
        "loss" and each term before each step, in one dict: [steps], or [N, steps] for
        a batch.
      steps_per_call: Steps between two looks of Python's.
      steps_per_run: Steps that one run of the program takes.
      compile_s: Seconds of compiling targets and step; about 0 where the process, or
        JAX's cache on disk, had them already.
      program: The compiled step, a `jax.stages.Compiled`.
    """

    step: Callable[[], list[History]]
    steps_per_call: int
    steps_per_run: int
    compile_s: float
    program: Any


def pictures_of(case: Case) -> tuple[Pictures, Array]:
    """Put a case's pictures on the device: what is compared with, and first images."""
    found = make_pictures(case)
    single = case.batch == 1
    contents = found.contents[0] if single else found.contents
    content, style = jax.device_put((contents, found.style))
    shares = jax.device_put(np.ones(1, np.float32))
    first = found.first[0, 0] if single else found.first[:, 0]
    return Pictures(content, [style], shares), jax.device_put(first)


def start_of(recipe: Recipe, pictures: Pictures) -> Start:
    """Say what a benchmark's run begins with, if no image is given."""
    fields = recipe.optimization
    return Start(
        content=pictures.content,
        style=pictures.styles[0],
        first=None,
        zero=np.zeros(3, np.float32),
        seed=np.uint32(recipe.run.seed),
        numbers=numbers_of(fields),
        steps=np.int32(recipe.schedule.steps or recipe.schedule.scale_steps[-1]),
        begin=Begin(recipe.run.init, rule_of(fields)),
    )


def objective_of(case: Case, extract: PyTree) -> tuple[Objective, Array, float]:
    """Make a case's objective and first images; and the seconds of compiling."""
    pictures, first = pictures_of(case)
    start = start_of(case.recipe, pictures)
    objective, seconds = build(case.recipe.objective, extract, pictures, start)
    return objective, first, seconds


def check_case(case: Case, params: Params) -> None:
    """Raise before any work if a case cannot run.

    Args:
      case: What is to run.
      params: Parameters of the network.

    Raises:
      ValueError: If the image is too small, a layer unknown, or a loss unable.
    """
    fields = case.recipe.objective
    image = jax.ShapeDtypeStruct((1, case.size_px, case.size_px, 3), jnp.float32)
    shares = jax.ShapeDtypeStruct((1,), jnp.float32)

    def make(params: Params, image: Array, shares: Array) -> Any:
        pictures = Pictures(image, [image], shares)
        extract = make_network(params, fields)
        structure = make_structure(fields, pictures, extract)
        return make_targets(extract, pictures, structure)

    jax.eval_shape(make, params, image, shares)


def _stepper(
    objective: Objective, state: State, program: Any, look: int, length: int
) -> Callable[[], list[History]]:
    """Return a function that runs `look` steps and waits; the state goes on."""
    box = [state]
    del state  # a donated state must have no other owner

    def step() -> list[History]:
        box[0], losses = advance(program, objective, box[0], look, length)
        return [losses]

    return step


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
    shape, recipe = (case.size_px, case.size_px), case.recipe
    extract = make_network(params, recipe.objective)
    objective, first, seconds = objective_of(case, extract)
    steps = stages(shape, case.size_px, recipe.schedule)[-1].steps
    look, length = chunk_lengths(case.batch * case.size_px**2)
    look = min(look, steps)
    beginning, spent = compiled(init, (objective, first))
    arguments = objective, beginning(objective, first), on_device(look)
    program, step_s = compiled(run_chunk, arguments, static=(length,), donated=(1,))
    lowered = program.lower(*arguments, length).compile()
    jax.block_until_ready(arguments)
    release_freed()
    step = _stepper(*arguments[:2], program, look, length)
    return Prepared(step, look, min(look, length), seconds + spent + step_s, lowered)
