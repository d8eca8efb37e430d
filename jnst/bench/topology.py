"""The user's own step compiled for a TPU that is not there.

libtpu compiles ahead of time for a topology such as "v5e:2x2" on any machine, and its
compiler says what the program would compute, move and keep. Nothing runs, no array is
made: arguments are shapes. The program is that of one chip of the topology, or of many
that the image is split over: then all is told of one of them.
"""

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, SingleDeviceSharding

from jnst.base import Image, Params
from jnst.bench.absent import load_devices, memory_gb
from jnst.bench.cases import Case
from jnst.bench.collectives import exchanged
from jnst.bench.flops import counted, step_flops
from jnst.bench.measure import MIB, Row, loss_name, program_mib
from jnst.bench.prepared import start_of
from jnst.bench.roofline import roofline, sheet_roof
from jnst.bench.traffic import account
from jnst.loop.state import State, init
from jnst.loop.step import run_chunk
from jnst.network.layers import backbone_of
from jnst.objective.features import make_network
from jnst.objective.making import (
    Pictures,
    make_structure,
    targets_and_turns,
    weight_arrays,
)
from jnst.objective.value import Objective
from jnst.scale.meshes import check_splits, counts_of, mesh_of, mesh_shape, sides_of
from jnst.splitting import lie


def abstract_arguments(
    case: Case, params: Params, *, mesh: Mesh | None = None
) -> tuple[Objective, State]:
    """Return the shapes and types of what `run_chunk` takes, as a run makes it.

    Args:
      case: What to run.
      params: Parameters of the network; their shapes alone count.
      mesh: Devices that the image is split over; None for one.

    Returns:
      Objective and state, of `jax.ShapeDtypeStruct`.

    Raises:
      ValueError: If the image is too small for a layer of the recipe.
    """
    recipe = case.recipe
    # Which convolutions are Winograd's is asked of this machine; a TPU has none.
    fields = dataclasses.replace(recipe.objective, convolution="xla")

    def make(params: Params, image: Image) -> tuple[Objective, State]:
        pictures = Pictures(image, [image], jnp.ones(1, jnp.float32))
        extract = make_network(params, fields)
        structure = make_structure(fields, pictures, extract, mesh=mesh)
        made = targets_and_turns(fields.shift_px, extract, pictures, structure)
        rest = *weight_arrays(fields.terms), pictures.shares, start_of(recipe, pictures)
        objective = Objective(extract, made[0], *rest, structure, made[1])
        return objective, init(objective, image[0])

    shape = (1, case.size_px, case.size_px, 3)
    return jax.eval_shape(make, params, jax.ShapeDtypeStruct(shape, jnp.float32))


def compile_for(case: Case, params: Params, length: int, where: Any) -> Any:
    """Compile up to `length` steps of a case for devices, its state donated.

    Args:
      case: What to run, one image a program.
      params: Parameters of the network; their shapes alone count.
      length: Most steps that the program takes.
      where: A device, from `load_devices` or any; or a mesh of several.

    Returns:
      A `jax.stages.Compiled`.

    Raises:
      ValueError: For a batch, or an image too small for a layer.
    """
    if case.batch != 1:
        raise ValueError(f"a topology takes one image a program, got {case.batch}")
    mesh = where if isinstance(where, Mesh) else None
    if mesh is not None:
        check_splits(
            case.recipe.objective, sides_of(mesh), [(case.size_px, case.size_px)]
        )
    known = abstract_arguments(case, params, mesh=mesh)
    return compile_shapes(*known, length, where)


def compile_shapes(objective: Objective, state: State, length: int, where: Any) -> Any:
    """Compile up to `length` steps of one picture for devices, its state donated.

    Args:
      objective: Shapes and types.
      state: The same.
      length: Most steps that the program takes.
      where: As in `compile_for`.

    Returns:
      A `jax.stages.Compiled`.
    """
    mesh = where if isinstance(where, Mesh) else None

    def placed(x: Any) -> Any:
        how = lie(x.shape, mesh, batch=None) if mesh else SingleDeviceSharding(where)
        return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=how)

    count = jax.ShapeDtypeStruct((), jnp.int32)
    arguments = jax.tree.map(placed, (objective, state, count))
    jitted = jax.jit(run_chunk, static_argnums=3, donate_argnums=1)
    return jitted.lower(*arguments, length).compile()


def accounts(program: Any, by_hand: float | None, hbm_gb: float | None) -> Row:
    """Say what a compiled program would compute, move and keep.

    Args:
      program: A `jax.stages.Compiled`.
      by_hand: Floating-point operations of one step, as `step_flops` counts.
      hbm_gb: Memory of the device in 1e9 bytes; None for unknown.

    Returns:
      XLA's own account. It counts the body of a loop once, so that operations and
      bytes are those of one step whatever the length of the chunk. A product of several
      passes counts once; `optimal_ms`, the least time by XLA's model of the chip, tells
      them apart. `peak_mib` is arguments, results and temporaries together, without
      what is donated.
    """
    cost, memory = program.cost_analysis(), program.memory_analysis()
    # A CPU's compiler has none; below 0, one operation is beyond the model.
    seconds = cost.get("optimal_seconds", -1.0)
    peak_mib = program_mib(program)
    return {
        "flops": cost["flops"],
        "flops_by_hand": by_hand,
        "flops_ratio": cost["flops"] / by_hand if by_hand else None,
        "bytes_accessed": cost["bytes accessed"],
        "optimal_ms": None if seconds < 0 else 1e3 * seconds,
        "temp_mib": memory.temp_size_in_bytes / MIB,
        "argument_mib": memory.argument_size_in_bytes / MIB,
        "peak_mib": peak_mib,
        "hbm_gb": hbm_gb,
        "fits": None if hbm_gb is None else peak_mib * MIB <= hbm_gb * 1e9,
    }


def chips_of(known: Sequence[Any], topology: str, devices: Any) -> Any:
    """Return the first device of a topology, or the mesh asked for.

    Raises:
      ValueError: If it has fewer.
    """
    if devices is None:
        return known[0]
    shape = mesh_shape(counts_of(devices), None)
    asked = math.prod(shape)
    if asked > len(known):
        raise ValueError(f"--devices needs {asked} chips, {topology} has {len(known)}")
    return mesh_of(known[:asked], shape)


def topology_rows(
    topology: str,
    cases: Sequence[Case],
    params: Params,
    *,
    chunks: Sequence[int] = (1,),
    devices: Any = None,
    on_case: Callable[[Case, int], None] | None = None,
) -> Iterator[Row]:
    """Compile cases for one chip of a topology, one after the other.

    Args:
      topology: As in `load_devices`.
      cases: What to compile.
      params: Parameters of the network; their shapes alone count.
      chunks: Steps in a program; more than 1 is a scanned chunk.
      devices: Chips to split the image over, as in `make_mesh`; one if absent.
      on_case: Called with a case and its steps before it is compiled.

    Yields:
      A row of plain numbers and strings for each case and number of steps.

    Raises:
      ValueError: Without libtpu, for an unknown topology or an impossible case.
    """
    known = load_devices(topology)
    where, kind = chips_of(known, topology, devices), known[0].device_kind
    chips = where.size if isinstance(where, Mesh) else 1
    for case in cases:
        for length in chunks:
            if on_case:
                on_case(case, length)
            start = time.perf_counter()
            program = compile_for(case, params, length, where)
            seconds = time.perf_counter() - start
            by_hand = step_flops(case.recipe, params, case.size_px)
            share = by_hand / chips if by_hand else None
            roof = sheet_roof(kind, case.recipe.dtype, precision=case.recipe.precision)
            yield {
                "topology": topology,
                "device_kind": kind,
                "label": case.label,
                "size_px": case.size_px,
                "dtype": case.recipe.dtype,
                "precision": case.recipe.precision,
                "loss": loss_name(case.recipe),
                "backbone": backbone_of(params),
                "chunk": length,
                "flops_counted": counted(case.recipe),
                "compile_s": seconds,
                "chips": chips,
                **accounts(program, share, memory_gb(kind)),
                **roofline(account(program, kind), share, roof),
                **exchanged(program),
            }
