"""What a run's programs need in memory, by XLA's own account; no picture is made."""

import dataclasses
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jnst.bench.measure import MIB, program_mib
from jnst.bench.topology import compile_shapes
from jnst.drivers.plan import Plan
from jnst.loop.iterate import chunk_lengths
from jnst.loop.optimizers import numbers_of, rule_of
from jnst.loop.state import Begin, Start, State, init
from jnst.loop.step import run_chunk, tiled_step
from jnst.memory import peak_bytes, release_freed, resident_bytes
from jnst.objective.making import (
    Pictures,
    content_targets,
    make_structure,
    make_targets,
    targets_and_turns,
    weight_arrays,
)
from jnst.objective.value import Objective, Structure
from jnst.planning.targets import Target
from jnst.recipes.schedule import Stage
from jnst.scale.building import tiled
from jnst.scale.memory import tile_for
from jnst.scale.weighing import Held, Weighing, bytes_of


class Needs(NamedTuple):
    """What a run needs at one size.

    Attributes:
      program: Bytes of arrays and temporaries, the network's kernels among them, on
        one device; on all, where these share a memory.
      process: Bytes of the process beside these; 0 on an accelerator.
      highest: Highest bytes of this process so far: compiling may take more than a
        step. 0 on an accelerator.
      compile_s: Seconds of compiling the programs, or of finding them.
    """

    program: int
    process: int
    highest: int
    compile_s: float

    @property
    def peak(self) -> int:
        """Bytes at the peak of the run."""
        return max(self.program + self.process, self.highest)


def kernel_bytes(plan: Plan) -> int:
    """Return the bytes of the network's arrays."""
    return sum(bytes_of(leaf) for leaf in jax.tree.leaves(plan.extract))


def needs_of(plan: Plan, stage: Stage, target: Target) -> Needs:
    """Compile what a stage of a plan runs, and say what it needs.

    Args:
      plan: The plan; its `mesh` is of the target's devices.
      stage: One of its stages.
      target: What to compile for.
    """
    if plan.mesh is not None or not target.here:
        needed, seconds = _apart(plan, stage, target), 0.0
    else:
        needed, seconds = _here(plan, stage)
    if not (target.shared and target.here):
        return Needs(needed, 0, 0, seconds)
    release_freed()
    process = max(0, (resident_bytes() or 0) - kernel_bytes(plan))
    return Needs(needed, process, peak_bytes() or 0, seconds)


def _pictures(plan: Plan, stage: Stage) -> tuple[Pictures, Start]:
    """Return shapes and types of a stage's pictures, and of what it begins with."""

    def image(shape: tuple[int, int]) -> Any:
        lead = () if plan.batch is None else (plan.batch,)
        return Held((*lead, 1, *shape, 3), jnp.float32)

    recipe = plan.recipe
    content, style, first = (image(stage.shape) for _ in range(3))
    start = Start(
        content=content,
        style=style,
        first=None if plan.first is None else first,
        zero=Held((3,), jnp.float32),
        seed=Held((), jnp.uint32),
        numbers=numbers_of(recipe.optimization),
        steps=Held((), jnp.int32),
        begin=Begin(recipe.run.init, rule_of(recipe.optimization)),
    )
    shares: Any = Held((len(plan.styles),), jnp.float32)
    styles = [image(shape) for shape in stage.styles]
    return Pictures(None if plan.content is None else content, styles, shares), start


def shapes_of(
    plan: Plan, pictures: Pictures, start: Start, structure: Structure
) -> Objective:
    """Return the objective that a run makes, of shapes and types."""
    fields = plan.recipe.objective

    def make(extract: Any, pictures: Pictures, start: Start) -> Objective:
        given = fields.shift_px, extract, pictures, structure
        targets, turns = targets_and_turns(*given)
        rest = *weight_arrays(fields.terms), pictures.shares, start, structure
        return Objective(extract, targets, *rest, turns)

    return jax.eval_shape(make, plan.extract, pictures, start)


def _here(plan: Plan, stage: Stage) -> tuple[int, float]:
    """Weigh what one device runs, and say how long compiling took."""
    weighing, fields = Weighing(), plan.recipe.objective
    pictures, start = weighing.hold(_pictures(plan, stage))
    structure = make_structure(fields, pictures, plan.extract)
    tile_px = tile_for(fields.tile_px, plan.batch, stage.shape)
    if tile_px:
        structure = structure._replace(tile_px=tile_px)
        given = fields, plan.extract, pictures, start, structure
        objective = tiled(weighing, *given)
        state = weighing(init, objective)
        tiled_step(objective, state, run=weighing, donate=True)
        return weighing.most, weighing.seconds
    shift = Held((2,), jnp.int32)
    given = plan.extract, pictures
    if fields.shift_px > 1 and any(p.kind == "content" for p in structure.parts):
        weighing(content_targets, *given, shift, static=(structure,))
    weighing(make_targets, *given, static=(_styled(plan, structure),))
    objective = shapes_of(plan, pictures, start, structure)
    objective = weighing.hold(_held(objective, plan, start))
    state = weighing(init, objective)
    _, length = chunk_lengths((plan.batch or 1) * math.prod(stage.shape))
    arguments = objective, state, Held((), jnp.int32)
    weighing(run_chunk, *arguments, static=(length,), donated=(1,))
    return weighing.most, weighing.seconds


def _styled(plan: Plan, structure: Structure) -> Structure:
    """Return the terms whose targets are made once, not for every shift."""
    if plan.recipe.objective.shift_px <= 1:
        return structure
    parts = tuple(part for part in structure.parts if part.kind != "content")
    return structure._replace(parts=parts)


def _held(objective: Objective, plan: Plan, start: Start) -> Objective:
    """Return an objective whose shapes count while they are alive."""
    found = jax.tree.map(lambda x: Held(x.shape, x.dtype), objective)
    return dataclasses.replace(found, extract=plan.extract, start=start)


def _apart(plan: Plan, stage: Stage, target: Target) -> int:
    """Return what a step needs that is split over a mesh, or on a chip that is away."""
    pictures, start = _pictures(plan, stage)
    fields = plan.recipe.objective
    structure = make_structure(fields, pictures, plan.extract, mesh=plan.mesh)
    objective = shapes_of(plan, pictures, start, structure)
    state: State = jax.eval_shape(init, objective)
    where = target.devices[0] if plan.mesh is None else plan.mesh
    needed = program_mib(compile_shapes(objective, state, 1, where)) * MIB
    count = plan.mesh.size if plan.mesh is not None and target.shared else 1
    return int(needed * count)
