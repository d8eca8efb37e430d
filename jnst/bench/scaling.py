"""How a step scales over devices: strong and weak, and how efficiently.

Strong scaling takes one picture on more and more devices (Amdahl 1967), weak scaling a
picture that grows with them (Gustafson 1988): its side by the root of their number, to
a multiple of `GRID_PX`. Efficiency is the same for both: pixels a second and device, as
a share of what the first number of devices does.
"""

import math
from collections.abc import Sequence

from tabulate import tabulate

from jnst.base import check_one_of
from jnst.bench.cases import Case
from jnst.bench.measure import KEY, Row
from jnst.scale.meshes import counts_of

KINDS = ("strong", "weak")
GRID_PX = 32
"""Sides of weak scaling: maps of VGG's deepest layers divide, so that the work is in
proportion to the pixels."""
GROUPED = (
    *(name for name in KEY if name not in ("devices", "size_px")),
    *("scaling", "base_px"),
)
"""Fields that rows of one scaling have in common."""


def count_of(devices: str) -> int:
    """Return how many devices "4" or "4x2" are.

    Raises:
      ValueError: If it is something else.
    """
    return math.prod(counts_of(devices))


def scaled_cases(
    cases: Sequence[Case], devices: Sequence[str], kinds: Sequence[str]
) -> list[Case]:
    """Cross cases with numbers of devices.

    Args:
      cases: What to run.
      devices: Each as `jnst.scale.meshes.make_mesh` reads it; the first is what the
        others are held against.
      kinds: Of `KINDS`; it matters where there are several numbers.

    Returns:
      For each case and kind a case a number of devices.

    Raises:
      ValueError: For an unknown kind, or what is no number of devices.
    """
    for kind in kinds:
        check_one_of("scaling", kind, KINDS)
    counts = {each: count_of(each) for each in devices}
    first, several = counts[devices[0]], len(devices) > 1
    found = []
    for case in cases:
        for kind in kinds if several else kinds[:1]:
            for each in devices:
                grown = math.sqrt(counts[each] / first) if kind == "weak" else 1.0
                size_px = case.size_px
                if grown != 1:
                    size_px = max(1, round(grown * size_px / GRID_PX)) * GRID_PX
                chosen = case._replace(size_px=size_px, devices=each)
                marked = {"scaling": kind, "base_px": case.size_px} if several else {}
                found.append(chosen._replace(**marked))
    return found


def with_efficiency(row: Row, before: Sequence[Row]) -> Row:
    """Add to a row of a scaling what it gains over its first.

    Args:
      row: The row; left as it is where it belongs to no scaling or has no time.
      before: Rows measured before it.

    Returns:
      The row with "speedup", pixels a second by those of the first number of devices;
      and "efficiency", that by the ratio of devices.
    """
    if not row.get("scaling") or not row.get("step_ms"):
        return row
    alike = [x for x in before if all(x.get(k) == row.get(k) for k in GROUPED)]
    first = alike[0] if alike else row
    speedup = row["mpx_steps_per_s"] / first["mpx_steps_per_s"]
    ratio = count_of(row["devices"]) / count_of(first["devices"])
    return row | {"speedup": speedup, "efficiency": speedup / ratio}


def scaling_table(rows: Sequence[Row]) -> str:
    """Return rows that belong to a scaling as a table; "" if none does."""
    found = [
        {
            "scaling": row["scaling"],
            "devices": row["devices"],
            "px": row["size_px"],
            "batch": row["batch"],
            "dtype": row["dtype"],
            "loss": row["loss"],
            "step ms": f"{row['step_ms']:.4g}",
            "Mpx-steps/s": f"{row['mpx_steps_per_s']:.3g}",
            "speedup": f"{row['speedup']:.2f}",
            "efficiency": f"{row['efficiency']:.1%}",
        }
        for row in rows
        if row.get("efficiency") is not None
    ]
    return tabulate(found, headers="keys", disable_numparse=True) if found else ""
