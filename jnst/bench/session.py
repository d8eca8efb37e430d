"""Many cases, one after the other: what `jnst bench` and the suite run.

A case that does not fit the device becomes a row with an error; the others go on.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import jax

from jnst.base import Params
from jnst.bench.blocks import measure_blocks
from jnst.bench.cases import Case
from jnst.bench.measure import (
    Row,
    Timer,
    describe,
    loss_name,
    measure,
    time_in_turn,
)
from jnst.bench.peers import PEERS
from jnst.bench.prepared import Prepared
from jnst.bench.scaling import with_efficiency

PROFILED_CALLS = 3
DEFAULTS: dict[str, tuple[tuple[int, ...], tuple[str, ...]]] = {
    # Backend: (sizes, types). On two cores the first takes about a minute.
    "cpu": ((128, 256), ("float32",)),
    "gpu": ((256, 512, 1024), ("float32", "bfloat16")),
    "tpu": ((256, 512, 1024), ("float32", "bfloat16")),
}


def case_name(case: Case) -> str:
    """Name a case in a few words, good for a folder too."""
    recipe = case.recipe
    words = [f"{case.size_px}px", recipe.dtype, recipe.precision, loss_name(recipe)]
    if isinstance(case.recipe.optimizer, str):
        words.append(case.recipe.optimizer)
    words += [f"batch{case.batch}"] if case.batch > 1 else []
    words += [case.mode] if case.mode != "step" else []
    words += [f"{case.devices}devices", case.scaling] if case.devices != "1" else []
    return "-".join(word for word in words if word)


def profile(prepared: Prepared, folder: Path) -> list[Path]:
    """Record a trace of a few calls, without compilation.

    Args:
      prepared: A case that has run before.
      folder: Where TensorBoard's `plugins/profile/DATE/` will be.

    Returns:
      Files for Perfetto (`*.trace.json.gz`) and TensorBoard (`*.xplane.pb`).
    """
    with jax.profiler.trace(folder):
        for _ in range(PROFILED_CALLS):
            prepared.step()
    return sorted([*folder.rglob("*.trace.json.gz"), *folder.rglob("*.xplane.pb")])


def _out_of_memory(error: Exception) -> bool:
    text = str(error)
    return "RESOURCE_EXHAUSTED" in text or "out of memory" in text.lower()


def run_cases(
    cases: Sequence[Case],
    params: Params,
    *,
    repeats: int = 7,
    min_seconds: float = 0.0,
    blocks: bool = False,
    peer: str | None = None,
    profile_folder: Path | None = None,
    timer: Timer = time_in_turn,
    on_start: Callable[[Case], None] = lambda case: None,
    on_row: Callable[[Row], None] = lambda row: None,
    on_trace: Callable[[Path], None] = lambda path: None,
) -> list[Row]:
    """Measure cases one after the other.

    Args:
      cases: From `make_cases`.
      params: Parameters of the network.
      repeats: Timed calls a case.
      min_seconds: Seconds that a case's timed calls take together, at least.
      blocks: Whether each part of a step is timed too.
      peer: Key of `PEERS` to run in turn with us.
      profile_folder: Where to record traces, a folder a case.
      timer: Who holds the clock, see `measure`.
      on_start: Called with each case before it runs.
      on_row: Called with each row as it comes.
      on_trace: Called with each file of a trace.

    Returns:
      A row a case, with "error" in place of times where it did not fit the device.

    Raises:
      ValueError: For a case no run could do.
      FloatingPointError: If a peer's losses are not ours.
    """
    rows = []
    for case in cases:
        on_start(case)

        def look(prepared: Prepared, case: Case = case) -> Row | None:
            if profile_folder:
                for path in profile(prepared, profile_folder / case_name(case)):
                    on_trace(path)
            if blocks:
                return measure_blocks(prepared, repeats=repeats, timer=timer)
            return None

        make = PEERS[peer] if peer else None
        try:
            row = measure(
                case,
                params,
                repeats=repeats,
                min_seconds=min_seconds,
                peer=make,
                on_prepared=look,
                timer=timer,
            )
        except (jax.errors.JaxRuntimeError, MemoryError) as error:
            if not _out_of_memory(error):
                raise
            row = describe(case, params) | {"error": "out of memory"}
        row = with_efficiency(row, rows)
        rows.append(row)
        on_row(row)
    return rows
