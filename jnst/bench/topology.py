"""The user's own step compiled for a TPU that is not there.

libtpu compiles ahead of time for a topology such as "v5e:2x2" on any machine, and its
compiler says what the program would compute, move and keep. Nothing runs, no array is
made: arguments are shapes. The program is that of one chip of the topology, or of many
that the image is split over: then all is told of one of them. To know the memory of
another chip, add a row to `MEMORIES`.
"""

import dataclasses
import importlib.util
import math
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental import topologies
from jax.sharding import Mesh, SingleDeviceSharding

from jnst.base import Image, Params
from jnst.bench.cases import Case
from jnst.bench.collectives import exchanged
from jnst.bench.flops import counted, step_flops
from jnst.bench.measure import MIB, Row, loss_name, program_mib
from jnst.bench.prepared import start_of
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
from jnst.scale.meshes import check_splits, counts_of, mesh_of, mesh_shape
from jnst.splitting import lie

# libtpu asks Google's metadata server where it is, and locks the TPU for one process:
# compiling needs neither, and a lock left by a process before would end this one. The
# last two are any host's and any chip's; without them libtpu complains, whatever the
# topology, on standard error.
ENVIRONMENT = {
    "TPU_SKIP_MDS_QUERY": "1",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
}


class Memory(NamedTuple):
    """Memory of one chip.

    Attributes:
      pattern: Regular expression that `device_kind` must match from end to end.
      gb: High-bandwidth memory, 1e9 bytes.
      source: Where the figure is from.
    """

    pattern: str
    gb: float
    source: str


DOCS = "cloud.google.com/tpu/docs/"
MEMORIES: tuple[Memory, ...] = (
    Memory(r"TPU v4", 32.0, DOCS + "v4"),
    Memory(r"TPU v5( lite|e)", 16.0, DOCS + "v5e"),
    Memory(r"TPU v5p?", 95.0, DOCS + "v5p"),
    Memory(r"TPU v6( lite|e)", 32.0, DOCS + "v6e"),
)


def memory_gb(device_kind: str) -> float | None:
    """Return a chip's memory in 1e9 bytes by JAX's name for it, or None if unknown."""
    for row in MEMORIES:
        if re.fullmatch(row.pattern, device_kind.strip()):
            return row.gb
    return None


def load_devices(topology: str) -> list[Any]:
    """Return the devices of a topology, as targets to compile for.

    Args:
      topology: A name libtpu knows, such as "v5e:2x2".

    Returns:
      `jax.Device`s without hardware.

    Raises:
      ValueError: Without libtpu, or for a topology it does not know.
    """
    if importlib.util.find_spec("libtpu") is None:
        raise ValueError(
            f"compiling for topology {topology!r} needs libtpu; install the extra "
            "'tpu': pip install 'jnst[tpu]'"
        )
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        found = topologies.get_topology_desc(platform="tpu", topology_name=topology)
    except Exception as error:  # of a type that JAX does not name
        first = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"libtpu has no topology {topology!r}; one that it has is v5e:2x2 ({first})"
        ) from None
    return list(found.devices)


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
        check_splits(case.recipe.objective, mesh, [(case.size_px, case.size_px)])

    def placed(x: Any) -> Any:
        how = lie(x.shape, mesh, batch=None) if mesh else SingleDeviceSharding(where)
        return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=how)

    count = jax.ShapeDtypeStruct((), jnp.int32)
    known = abstract_arguments(case, params, mesh=mesh)
    arguments = jax.tree.map(placed, (*known, count))
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


def _where(known: Sequence[Any], topology: str, devices: Any) -> Any:
    """Return the first device of a topology, or the mesh asked for."""
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
    where, kind = _where(known, topology, devices), known[0].device_kind
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
                **exchanged(program),
            }
