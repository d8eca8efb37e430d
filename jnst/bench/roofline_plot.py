"""A picture of rooflines: operations a second over operations a byte.

A filled point is what a step reached, a hollow one what XLA's program could reach where
nothing was timed, which lies on the roof itself.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jnst.bench.roofline import Row
from jnst.plots import new_figure, save_figure

VARYING = ("dtype", "precision", "loss", "optimizer", "convolution", "batch", "chunk")
MARKERS = "osD^vP*X"
NEAR = 0.09
"""Decades of intensity and of speed within which two labels would touch."""
LINE = 9
"""Points from one line of labels to the next."""


def reached(row: Row) -> float | None:
    """Return the TFLOP/s of a row: as timed, or of its roof where nothing was.

    Args:
      row: With the fields of `jnst.bench.roofline.roofline`.

    Returns:
      None where operations, bytes or the roof are not known.
    """
    if not row.get("intensity") or row.get("t_math_ms") is None:
        return None
    ms = row.get("step_ms") or max(row["t_math_ms"], row["t_memory_ms"] or 0.0)
    return row["peak_tflop_per_s"] * row["t_math_ms"] / ms


def _names(rows: Sequence[Row]) -> list[str]:
    """Say of each row what tells it from the others, beside its size."""
    fields = [f for f in VARYING if len({str(row.get(f)) for row in rows}) > 1]
    units = {"batch": "batch {}", "chunk": "{} steps a program"}
    return [
        ", ".join(units.get(f, "{}").format(row.get(f)) for f in fields) for row in rows
    ]


def _roofs(axes: Any, rows: Sequence[Row], low: float, high: float) -> None:
    """Draw each roof once, its ridge named."""
    found = {}
    for row in rows:
        roof = row["peak_tflop_per_s"], row["peak_gb_per_s"]
        found.setdefault(roof, []).append(row)
    alike = len({bandwidth for _, bandwidth in found}) == 1
    for number, ((peak, bandwidth), members) in enumerate(sorted(found.items())):
        ridge = peak * 1e3 / bandwidth
        xs = np.array([low, ridge, high])
        look = {"color": "#444444", "linewidth": 1.4, "zorder": 1}
        axes.plot(xs, np.minimum(peak, xs * bandwidth / 1e3), **look)
        kinds = {(str(row["dtype"]), str(row.get("precision"))) for row in members}
        kinds = {f"{kind}, {precision}" for kind, precision in kinds}
        words = f"{peak:.4g} TFLOP/s, {' and '.join(sorted(kinds))}"
        small = {"fontsize": 7.5, "color": "#444444", "textcoords": "offset points"}
        axes.annotate(words, (high, peak), xytext=(-3, 4), ha="right", **small)
        axes.plot([ridge] * 2, [peak, peak / 1e6], ":", color="#999999", zorder=0)
        at = (ridge, 0.02 + 0.05 * number)
        place = {"xycoords": axes.get_xaxis_transform(), "xytext": (3, 0)}
        axes.annotate(f"ridge {ridge:.3g}", at, **place, **small)
        if number == 0 or not alike:
            half = (low * ridge) ** 0.5
            slope = (half, half * bandwidth / 1e3)
            words = f"{bandwidth:.4g} GB/s"
            axes.annotate(words, slope, xytext=(-6, 4), ha="right", **small)


def _labels(axes: Any, points: Sequence[tuple[float, float, str]]) -> None:
    """Write beside each point, and under the last label where two would touch."""
    placed: list[tuple[float, float, int]] = []
    for x, y, words in sorted(points):
        here = np.log10(x), np.log10(y)
        near = [
            n for a, b, n in placed if np.hypot(a - here[0], b - here[1]) < NEAR * 3
        ]
        line = 1 + max(near) if near else 0
        placed.append((*here, line))
        text = {"fontsize": 7.5, "textcoords": "offset points"}
        axes.annotate(words, (x, y), xytext=(6, -10 - LINE * line), **text)


def plot_roofline(path: str | Path, rows: Sequence[Row], *, title: str = "") -> None:
    """Draw rows under their roofs on logarithmic axes.

    Args:
      path: File to write, one of `jnst.plots.PLOT_SUFFIXES`.
      rows: With the fields of `jnst.bench.roofline.roofline`; those without a roof are
        left out.
      title: Title of the figure, such as the device.

    Raises:
      ValueError: If no row has a roof, or matplotlib is not installed.
    """
    known = [row for row in rows if reached(row) and row.get("peak_gb_per_s")]
    if not known:
        raise ValueError("no roofline to plot: no row has both a count and a peak")
    speeds = [reached(row) or 0.0 for row in known]
    ridges = [row["peak_tflop_per_s"] * 1e3 / row["peak_gb_per_s"] for row in known]
    spots = [row["intensity"] for row in known] + ridges
    low, high = min(spots) / 6, max(spots) * 6
    figure = new_figure(8.2, 5.0)
    axes = figure.subplots()
    axes.set(xscale="log", yscale="log", xlim=(low, high))
    _roofs(axes, known, low, high)
    names = _names(known)
    series = list(dict.fromkeys(names))
    for row, speed, name in zip(known, speeds, names, strict=True):
        number = series.index(name)
        color, timed = f"C{number % 10}", bool(row.get("step_ms"))
        first = names.index(name) == known.index(row)
        axes.plot(
            *([row["intensity"]], [speed], MARKERS[number % len(MARKERS)]),
            color=color,
            markerfacecolor=color if timed else "white",
            markersize=7,
            label=name if first and name else None,
            zorder=3,
        )
    spots = zip(known, speeds, strict=True)
    _labels(axes, [(r["intensity"], s, f"{r['size_px']} px") for r, s in spots])
    peaks = [row["peak_tflop_per_s"] for row in known]
    axes.set_ylim(min(*speeds, *peaks) / 8, max(peaks) * 3)
    axes.set(xlabel="operations a byte of main memory (by XLA)", ylabel="TFLOP/s")
    hollow = all(not row.get("step_ms") for row in known)
    axes.set_title("What XLA's program could reach" if hollow else "Roofline", size=10)
    axes.grid(True, which="major", alpha=0.3)
    if len(series) > 1:
        axes.legend(fontsize=8, loc="lower right")
    figure.suptitle(title, fontsize=11)
    save_figure(figure, path)
