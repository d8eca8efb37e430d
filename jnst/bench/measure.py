"""Timing: warm-up, calls in turn, and the row a case becomes.

A call runs as many steps as the user's loop runs between two looks and waits for the
device; no array leaves it while the clock runs. Peers are called in turn with us, so
that whatever else the machine does hits all alike.
"""

import gc
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from jnst.base import Params
from jnst.bench.cases import Case
from jnst.bench.compiling import watched
from jnst.bench.device_time import device_share, device_time
from jnst.bench.flops import style_terms
from jnst.bench.host import sensed
from jnst.bench.prepared import Prepared, prepare
from jnst.bench.speeds import speeds
from jnst.drivers.record import device
from jnst.network.layers import backbone_of
from jnst.recipes.recipe import Recipe

MIB = 2**20
Row = dict[str, Any]
Timer = Callable[[Mapping[str, Callable[[], Any]], int], dict[str, list[float]]]
"""Calls functions by name so many times; see `time_in_turn`."""
KEY = (
    "size_px",
    "batch",
    "dtype",
    "precision",
    "loss",
    "optimizer",
    "convolution",
    "backbone",
    "label",
    "mode",
    "devices",
)
"""Fields of a row that say what was measured; what it gave are the others."""


def time_in_turn(
    calls: Mapping[str, Callable[[], Any]], repeats: int
) -> dict[str, list[float]]:
    """Time functions in turn, each of which waits for what it started.

    Every second round goes backwards, so that none always follows the same other.

    Args:
      calls: Functions by name.
      repeats: Times each is called.

    Returns:
      Seconds of each call, by name.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for round_ in range(repeats):
        for name in list(calls)[:: -1 if round_ % 2 else 1]:
            start = time.perf_counter()
            calls[name]()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def loss_name(recipe: Recipe) -> str:
    """Name the style losses of a recipe, with + between."""
    losses = [term.loss for term in style_terms(recipe)]
    names = [x if isinstance(x, str) else getattr(x, "__name__", "own") for x in losses]
    return "+".join(names) or "none"


def describe(case: Case, params: Params) -> Row:
    """Return the fields of a row that are known before it is measured."""
    recipe, optimizer = case.recipe, case.recipe.optimizer
    scaled = {"scaling": case.scaling, "base_px": case.base_px} if case.scaling else {}
    return {
        "device": device(),
        "size_px": case.size_px,
        "batch": case.batch,
        "dtype": recipe.dtype,
        "precision": recipe.precision,
        "loss": loss_name(recipe),
        "optimizer": optimizer if isinstance(optimizer, str) else repr(optimizer),
        "convolution": recipe.convolution,
        "backbone": backbone_of(params),
        "label": case.label,
        "mode": case.mode,
        "devices": case.devices,
    } | scaled


def program_mib(program: Any) -> float:
    """Return what a compiled program needs at once, by XLA's own account."""
    memory = program.memory_analysis()
    needed = memory.argument_size_in_bytes + memory.output_size_in_bytes
    needed += memory.temp_size_in_bytes - memory.alias_size_in_bytes
    return needed / MIB


def _device_peak() -> int | None:
    stats = jax.devices()[0].memory_stats()
    return stats.get("peak_bytes_in_use") if stats else None


def _memory(program: Any, before: int | None) -> Row:
    """Peak memory, and who says so.

    A device's own figure is the highest since the process began, so that it tells of a
    case only if the case raised it.
    """
    after = _device_peak()
    if after is not None and (before is None or after > before):
        return {"peak_mib": after / MIB, "peak_source": "device"}
    return {"peak_mib": program_mib(program), "peak_source": "program"}


def timings(seconds: list[float], steps: int) -> Row:
    """Summarise calls of `steps` steps each: median, deciles, spread, every sample."""
    samples = [1e3 * value / steps for value in seconds]
    return {
        "step_ms": float(np.median(samples)),
        "step_ms_std": float(np.std(samples, ddof=1)) if len(samples) > 1 else None,
        "step_ms_deciles": [float(v) for v in np.quantile(samples, [0.1, 0.9])],
        "samples_ms": samples,
    }


def on_host(found: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Bring what `Prepared.step` returned to the host: {term: [N, steps]}."""
    return {
        name: np.concatenate([np.atleast_2d(np.asarray(f[name])) for f in found], -1)
        for name in found[0]
    }


def timed(
    calls: Mapping[str, Callable[[], Any]],
    repeats: int,
    min_seconds: float,
    timer: Timer,
) -> dict[str, list[float]]:
    """Time functions in turn, so many times and for so long at least.

    Args:
      calls: Functions by name.
      repeats: Times each is called at least.
      min_seconds: Seconds that all take together at least.
      timer: Who holds the clock.

    Returns:
      Seconds of each call, by name.
    """
    seconds = timer(calls, repeats)
    while (spent := sum(map(sum, seconds.values()))) < min_seconds:
        rounds = len(next(iter(seconds.values())))
        more = timer(calls, math.ceil((min_seconds - spent) / (spent / rounds)))
        seconds = {name: [*seconds[name], *more[name]] for name in seconds}
    return seconds


def _warmed(prepared: Prepared, warmup: int) -> tuple[dict[str, np.ndarray], Row]:
    """Call a case before the clock matters: its losses, and how long the first took."""
    start = time.perf_counter()
    found = prepared.step()
    first_s = time.perf_counter() - start
    found += [one for _ in range(warmup - 1) for one in prepared.step()]
    losses = on_host(found)
    told = {"first_step_ms": 1e3 * first_s / prepared.steps_per_call}
    return losses, told | {"first_loss": float(losses["loss"][0, 0])}


def measure(
    case: Case,
    params: Params,
    *,
    repeats: int = 7,
    warmup: int = 2,
    min_seconds: float = 0.0,
    peer: Callable[[Case, Params, Prepared], Any] | None = None,
    on_prepared: Callable[[Prepared], Row | None] | None = None,
    timer: Timer = time_in_turn,
) -> Row:
    """Measure one case.

    Args:
      case: What to run.
      params: Parameters of the network.
      repeats: Timed calls, at least.
      warmup: Calls before them, at least 1; the first gives the row's `first_loss`.
      min_seconds: Seconds that the timed calls take together, at least.
      peer: Makes a `jnst.bench.peers.Peer`, which is timed in turn with us.
      on_prepared: Called after the timing, to look at the same program further; what
        it returns, if anything, is added to the row.
      timer: Who holds the clock, for a harness that has one of its own.

    Returns:
      A row of plain numbers, strings and lists, see `KEY` for what names it.

    Raises:
      ValueError: For a case no run could do.
      FloatingPointError: If a peer's losses are not ours.
    """
    if repeats < 1 or warmup < 1:
        raise ValueError(f"repeats and warmup must be at least 1, got {repeats}")
    gc.collect()  # whatever a case before left on the device
    before = _device_peak()
    with watched() as spent:
        prepared = prepare(case, params)
    losses, first = _warmed(prepared, warmup)
    memory = _memory(prepared.program, before)
    beside = peer(case, params, prepared) if peer else None
    if beside:
        beside.check(losses)
    calls = {"jnst": prepared.step, **(beside.calls if beside else {})}
    seconds = timed(calls, repeats, min_seconds, timer)
    steps = prepared.steps_per_call
    row = describe(case, params) | {"compile_s": prepared.compile_s, **spent, **first}
    row |= timings(seconds["jnst"], steps)
    row |= speeds(case, params, row["step_ms"], prepared.program) | memory
    row |= {"host": sensed(), "steps_per_call": steps}
    row |= {"repeats": len(seconds["jnst"])}
    row |= device_time(device_share(prepared.step), row["step_ms"])
    if beside:
        row |= beside.row(seconds, steps)
    return row | ((on_prepared(prepared) if on_prepared else None) or {})
