"""How near a step comes to what its device could do: roofline, MFU and HFU.

A step of so many operations and bytes takes at least `t_math_ms` = operations / peak
and at least `t_memory_ms` = bytes / bandwidth: the longer of both is its roof, and
`bound` says which one. The operations are those that XLA's program executes,
`flops_xla`; `intensity` is how many of them there are a byte.

- MFU (`utilisation`) counts the operations of the model, by hand, as
  `jnst.bench.flops`. Winograd's convolutions execute fewer: theirs may pass 1.
- HFU (`hfu`) counts those that XLA's program executes.
- `of_roofline` is the roof's time over the step's.

Where a device's caches serve what XLA counts as accessed (a small picture on a CPU), a
step can be faster than its bytes would be from memory. `bound` is "cache" there, and
only the operations' roof holds. Any other figure above 1 is an error.

References:
  Williams, Waterman and Patterson, "Roofline: An Insightful Visual Performance Model
  for Multicore Architectures", CACM 52(4), 2009. Chowdhery et al, "PaLM: Scaling
  Language Modeling with Pathways", 2022, appendix B, for MFU and HFU.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
from tabulate import tabulate

from jnst.bench.measured_peaks import measured_gb_per_s, measured_tflops
from jnst.bench.peaks import find_peak, peak_tflops
from jnst.bench.traffic import FROM_XLA
from jnst.network.convolution import LEAST_CHANNELS
from jnst.objective.fields import winograd_serves
from jnst.recipes.recipe import Recipe

Row = dict[str, Any]
COLUMNS = {
    # Heading: (field of a row, factor, format).
    "px": ("size_px", None, "d"),
    "batch": ("batch", None, "d"),
    "dtype": ("dtype", None, ""),
    "precision": ("precision", None, ""),
    "loss": ("loss", None, ""),
    "mode": ("mode", None, ""),
    "devices": ("devices", None, ""),
    "steps": ("chunk", None, "d"),
    "GFLOP by hand": ("flops_by_hand", 1e-9, ".4g"),
    "GFLOP XLA": ("flops_xla", 1e-9, ".4g"),
    "HBM MB": ("hbm_bytes", 1e-6, ".4g"),
    "intensity": ("intensity", None, ".3g"),
    "T_math ms": ("t_math_ms", None, ".4g"),
    "T_memory ms": ("t_memory_ms", None, ".4g"),
    "bound": ("bound", None, ""),
    "of roofline": ("of_roofline", None, ".1%"),
    "MFU": ("utilisation", None, ".1%"),
    "HFU": ("hfu", None, ".1%"),
}
ALIKE = ("batch", "chunk", "precision", "mode", "devices")
"""Fields whose column is left out where all rows have the same."""


class Roof(NamedTuple):
    """What a device could do at best.

    Attributes:
      tflop_per_s: Operations, 1e12 a second; None where not known.
      tflop_source: Who says so: a data sheet, or how it was measured.
      gb_per_s: Bytes to and from memory, 1e9 a second; None where not known.
      gb_source: The same of these.
    """

    tflop_per_s: float | None
    tflop_source: str | None
    gb_per_s: float | None
    gb_source: str | None


def sheet_roof(device_kind: str, dtype: str, *, precision: str = "default") -> Roof:
    """Return what a vendor's sheet says of a device.

    Args:
      device_kind: `jax.Device.device_kind`.
      dtype: "float32" or "bfloat16".
      precision: One of `jnst.network.convolution.PRECISIONS`.

    Returns:
      The roof, None in what `jnst.bench.peaks.PEAKS` does not know.
    """
    row = find_peak(device_kind)
    if row is None:
        return Roof(None, None, None, None)
    peak = peak_tflops(device_kind, dtype, precision=precision)
    return Roof(peak, row.source if peak else None, row.gb_per_s, row.source)


def roof_here(dtype: str, *, precision: str = "default") -> Roof:
    """Return the roof of this process's device, measured where no sheet tells.

    Args:
      dtype: "float32" or "bfloat16".
      precision: One of `jnst.network.convolution.PRECISIONS`.
    """
    kind = jax.devices()[0].device_kind
    roof = sheet_roof(kind, dtype, precision=precision)
    if roof.tflop_per_s is None:
        found = measured_tflops(dtype, precision=precision)
        roof = roof._replace(tflop_per_s=found.value, tflop_source=found.source)
    if roof.gb_per_s is None:
        found = measured_gb_per_s()
        roof = roof._replace(gb_per_s=found.value, gb_source=found.source)
    return roof


def _per(value: float | None, unit: float | None) -> float | None:
    return None if value is None or not unit else value / unit


def roofline(
    counts: Row, by_hand: float | None, roof: Roof, *, step_ms: float | None = None
) -> Row:
    """Hold a step against its roof.

    Args:
      counts: From `jnst.bench.traffic.account`.
      by_hand: Operations of the model, of all images of the program and one device;
        None where a step has no fixed number.
      roof: Of the device, at the step's type and precision.
      step_ms: Time of a step; None where nothing was timed.

    Returns:
      Fields of a row: the counts, the roof with its sources, and what the module's
      docstring defines. Where XLA cannot count operations, those by hand stand in.
    """
    operations = by_hand if counts["flops_xla"] is None else counts["flops_xla"]
    math_ms = _per(_per(operations, roof.tflop_per_s), 1e9)
    memory_ms = _per(_per(counts["hbm_bytes"], roof.gb_per_s), 1e6)
    bound = roof_ms = None
    if math_ms is not None and memory_ms is not None:
        bound = "math" if math_ms >= memory_ms else "memory"
        roof_ms = max(math_ms, memory_ms)
        cached = counts["hbm_bytes_source"] == FROM_XLA
        if step_ms and cached and memory_ms > step_ms:
            bound, roof_ms = "cache", math_ms
    executed_ms = None if counts["flops_xla"] is None else math_ms
    return {
        "flops_by_hand": by_hand,
        **counts,
        "intensity": _per(operations, counts["hbm_bytes"]),
        "peak_tflop_per_s": roof.tflop_per_s,
        "peak_tflop_per_s_source": roof.tflop_source,
        "peak_gb_per_s": roof.gb_per_s,
        "peak_gb_per_s_source": roof.gb_source,
        "t_math_ms": math_ms,
        "t_memory_ms": memory_ms,
        "bound": bound,
        "of_roofline": _per(roof_ms, step_ms),
        "hfu": _per(executed_ms, step_ms),
    }


def takes_winograd(recipe: Recipe) -> bool:
    """Tell whether any of a recipe's convolutions is Winograd's on this backend."""
    asked = recipe.convolution == "winograd"
    usual = recipe.convolution == "auto" and jax.default_backend() in LEAST_CHANNELS
    return (asked or usual) and winograd_serves(recipe.objective)


def above_peak(row: Row, *, winograd: bool) -> Row:
    """Return {"error": ...} for a row with a figure that no device could reach, or {}.

    Args:
      row: With the fields of `roofline` and "utilisation".
      winograd: Whether its convolutions may execute fewer operations than the model.
    """
    math = f"{row['peak_tflop_per_s']} TFLOP/s ({row['peak_tflop_per_s_source']})"
    memory = f"{row['peak_gb_per_s']} GB/s ({row['peak_gb_per_s_source']})"
    limits = {
        "HFU": ("hfu", math),
        "MFU": ("utilisation", math),
        "share of the roofline": (
            "of_roofline",
            memory if row["bound"] == "memory" else math,
        ),
    }
    for name, (field, peak) in limits.items():
        value = row[field]
        if value is None or value <= 1 or (winograd and name == "MFU"):
            continue
        return {
            "error": f"{name} is {value:.3g}, above the peak of {peak}: the time, the "
            "count or the peak is wrong"
        }
    return {}


def _cell(value: Any, factor: float | None, form: str) -> str:
    if value is None:
        return "unknown"
    scaled = value if factor is None else value * factor
    whole = form.endswith("g") and abs(scaled) >= 1e3  # rather than 1.2e+04
    return format(scaled, ".0f" if whole else form)


def roofline_table(rows: Sequence[Row], *, style: str = "simple") -> str:
    """Return the rooflines of rows as an aligned table; "" where no row has one.

    Args:
      rows: Of a document.
      style: A format of tabulate's, such as "pipe" for Markdown.
    """
    known = [row for row in rows if row.get("hbm_bytes") is not None]
    shown = {}
    for heading, (field, factor, form) in COLUMNS.items():
        values = [row.get(field) for row in known]
        absent = all(value is None for value in values)
        if absent or (field in ALIKE and len(set(values)) == 1):
            continue
        shown[heading] = [_cell(value, factor, form) for value in values]
    words = {name for name, (*_, form) in COLUMNS.items() if not form}
    align = ["left" if name in words else "right" for name in shown]
    lines = list(zip(*shown.values(), strict=True))
    how = {"tablefmt": style, "colalign": align, "disable_numparse": True}
    return tabulate(lines, list(shown), **how)
