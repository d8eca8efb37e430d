"""A case made ready to run: the program that `jnst.stylize` would run, and its state.

Nothing here is a copy of the loop's mathematics: objective and state are made as a run
makes them, `run_chunk` is compiled by `jnst.program.compiled`, its state donated, as
many steps a program and a look as `chunk_lengths` says.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, PyTree

from jnst.base import Params, check_one_of
from jnst.bench.cases import Case, make_pictures
from jnst.bench.modes import MODES, repeated
from jnst.loop.history import History
from jnst.loop.iterate import advance, chunk_lengths, on_device
from jnst.loop.optimizers import numbers_of, rule_of
from jnst.loop.state import Begin, Start, State, init
from jnst.loop.step import run_chunk
from jnst.memory import release_freed
from jnst.objective.features import Network, make_network
from jnst.objective.making import Pictures, build, make_structure, make_targets
from jnst.objective.value import Objective
from jnst.program import compiled
from jnst.recipes.recipe import Recipe
from jnst.recipes.schedule import stages
from jnst.scale.meshes import check_splits, make_mesh, sides_of


class Prepared(NamedTuple):
    """A compiled case.

    Attributes:
      step: Runs `steps_per_call` steps of every image and waits for them. Returns
        "loss" and each term before each step, in one dict: [steps], or [N, steps] for
        a batch. In another mode than "step" it evaluates as often.
      steps_per_call: Steps between two looks of Python's.
      steps_per_run: Steps that one run of the program takes.
      compile_s: Seconds of compiling targets and step; about 0 where the process, or
        JAX's cache on disk, had them already.
      program: The compiled step, a `jax.stages.Compiled`.
      objective: What is minimised.
      begin: Makes the state before the first step, of buffers of its own.
    """

    step: Callable[[], list[History]]
    steps_per_call: int
    steps_per_run: int
    compile_s: float
    program: Any
    objective: Objective
    begin: Callable[[], State]


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


def mesh_for(case: Case) -> Mesh | None:
    """Return the devices that a case is split over; None for one.

    Raises:
      ValueError: If there are fewer, or a case that cannot be split over them.
    """
    mesh = make_mesh(case.devices, case.batch if case.batch > 1 else None)
    if mesh is not None:
        shape = case.size_px, case.size_px
        check_splits(case.recipe.objective, sides_of(mesh), [shape], styles=[shape])
    return mesh


def network_of(case: Case, params: Params) -> Network:
    """Prepare parameters for a case's convolutions, as a run does."""
    spread = mesh_for(case) is not None
    pixels = case.size_px**2
    return make_network(params, case.recipe.objective, spread=spread, pixels=pixels)


def objective_of(case: Case, extract: PyTree) -> tuple[Objective, Array, float]:
    """Make a case's objective and first images; and the seconds of compiling."""
    (pictures, first), mesh = pictures_of(case), mesh_for(case)
    start = start_of(case.recipe, pictures)
    fields = case.recipe.objective
    objective, seconds = build(fields, extract, pictures, start, mesh=mesh)
    return objective, first, seconds


def check_case(case: Case, params: Params) -> None:
    """Raise before any work if a case cannot run.

    Args:
      case: What is to run.
      params: Parameters of the network.

    Raises:
      ValueError: If the image is too small, a layer unknown, a loss unable, or devices
        too few.
    """
    check_one_of("mode", case.mode, MODES)
    mesh_for(case)
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
    objective, first, seconds = objective_of(case, network_of(case, params))
    steps = stages(shape, case.size_px, recipe.schedule)[-1].steps
    look, length = chunk_lengths(case.batch * case.size_px**2)
    look = min(look, steps)
    beginning, spent = compiled(init, (objective, first))
    begin = functools.partial(beginning, objective, first)
    seconds += spent
    if case.mode == "step":
        step, program, more = _steps(objective, begin(), look, length)
    else:
        given = objective, begin().image, look
        step, program, more = repeated(case.mode, *given)
        length = 1
    release_freed()
    lengths = look, min(look, length)
    return Prepared(step, *lengths, seconds + more, program, objective, begin)


def _steps(
    objective: Objective, state: State, look: int, length: int
) -> tuple[Callable[[], list[History]], Any, float]:
    """Compile the loop's program; see `Prepared`."""
    arguments = objective, state, on_device(look)
    program, seconds = compiled(run_chunk, arguments, static=(length,), donated=(1,))
    lowered = program.lower(*arguments, length).compile()
    jax.block_until_ready(arguments)
    step = _stepper(objective, state, program, look, length)
    return step, lowered, seconds
