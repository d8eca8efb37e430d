"""Time that a device was busy, from the profiler's own record (XPlane).

On a GPU the record has what CUPTI saw on each stream, on a TPU what the chip's own
counters did; a CPU's has threads of the host alone, so that there is the wall's clock
and no other. Busy is the union of the intervals in which at least one kernel ran: what
is copied beside a kernel counts once.
"""

import re
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jax
from jax.profiler import ProfileData, ProfileOptions

WALL_ONLY = "wall only"
"""Said of a device whose own time nobody tells."""
DEVICE = re.compile(r"/device:(GPU|TPU):\d+")
OPERATIONS = "XLA Ops"
"""The line of a plane that holds operations, where there is one: a TPU's."""
STREAM = "Stream"
"""How the lines of a GPU's plane that hold kernels begin."""
Interval = tuple[float, float]


def union_ns(intervals: Iterable[Interval]) -> float:
    """Return the length of a union of intervals (begin, end)."""
    total, reached = 0.0, float("-inf")
    for begin, end in sorted(intervals):
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total


def _lines(plane: Any) -> list[Any]:
    lines = list(plane.lines)
    chosen = [line for line in lines if line.name == OPERATIONS]
    return chosen or [line for line in lines if line.name.startswith(STREAM)]


def busy_ns(record: Any) -> dict[str, float]:
    """Return the nanoseconds that each device of a `ProfileData` was busy, by name."""
    found = {}
    for plane in record.planes:
        if not DEVICE.fullmatch(plane.name):
            continue
        lines = _lines(plane)
        events = [event for line in lines for event in line.events]
        spans = [(e.start_ns, e.start_ns + e.duration_ns) for e in events]
        if spans:
            found[plane.name] = union_ns(spans)
    return found


def share_of(busy: dict[str, float], wall_ns: float) -> float | None:
    """Return the share of the wall's time that the busiest device was busy.

    Returns:
      In [0, 1]; None where no device tells, or tells of more time than passed.
    """
    most = max(busy.values(), default=0.0)
    return most / wall_ns if 0 < most <= wall_ns else None


def device_share(call: Callable[[], Any], *, calls: int = 3) -> float | None:
    """Record a few calls, and return the share of the time that the device was busy.

    Args:
      call: Starts work and waits for it; it has run before.
      calls: How many.

    Returns:
      In [0, 1]; None on a CPU, or where the profiler sees no device.
    """
    if jax.default_backend() == "cpu":
        return None
    options = ProfileOptions()
    options.python_tracer_level = 0  # each would lengthen the host's time
    options.host_tracer_level = 1
    with tempfile.TemporaryDirectory(prefix="jnst-trace-") as folder:
        with jax.profiler.trace(folder, profiler_options=options):
            start = time.perf_counter_ns()
            for _ in range(calls):
                call()
            wall_ns = time.perf_counter_ns() - start
        records = [str(path) for path in Path(folder).rglob("*.xplane.pb")]
        busy = busy_ns(ProfileData.from_file(records[0])) if records else {}
    return share_of(busy, float(wall_ns))


def device_time(share: float | None, step_ms: float) -> dict[str, Any]:
    """Return fields of a row: the device's time of a step and who tells it.

    The share of recorded calls is that of the median step, which nobody recorded: a
    device's time is so never above the wall's.
    """
    if share is None:
        return {"device_ms": None, "device_source": WALL_ONLY}
    source = {"GPU": "CUPTI", "TPU": "XPlane"}
    kind = jax.default_backend().upper()
    told = {"device_share": share, "device_source": source.get(kind, "XPlane")}
    return {"device_ms": share * step_ms} | told
