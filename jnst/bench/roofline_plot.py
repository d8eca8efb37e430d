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

VARYING = (
    *("dtype", "precision", "loss", "optimizer", "convolution", "batch"),
    *("mode", "devices", "chunk"),
)
MARKERS = "osD^vP*X"
NEAR = (0.08, 0.05)
"""Shares of the axes' width and height within which two labels would touch."""


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
    units = {"batch": "batch {}", "devices": "{} devices", "chunk": "chunk of {}"}
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
        told = str(members[0]["peak_tflop_per_s_source"])
        words += " (measured)" if told.startswith("measured") else ""
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


def _clusters(
    points: Sequence[tuple[float, float, int]], width: float, height: float
) -> list[list[tuple[float, float, int]]]:
    """Gather points so near each other that their labels would touch.

    Args:
      points: Intensity, speed and size.
      width: Decades of intensity that the axes show.
      height: Decades of speed.
    """
    found: list[list[tuple[float, float, int]]] = []
    for point in sorted(points):
        for members in found:
            apart = [np.log10(point[n] / members[-1][n]) for n in (0, 1)]
            if abs(apart[0]) < NEAR[0] * width and abs(apart[1]) < NEAR[1] * height:
                members.append(point)
                break
        else:
            found.append([point])
    return found


def _labels(axes: Any, points: Sequence[tuple[float, float, int]]) -> None:
    """Write the size beside each point, or all sizes beside some that are close."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    for members in _clusters(points, np.log10(right / left), np.log10(high / low)):
        sizes = dict.fromkeys(size for *_, size in members)  # from left to right
        words = ", ".join(map(str, sizes)) + " px"
        x, y = members[-1][0], min(speed for _, speed, _ in members)
        text = {"fontsize": 8, "textcoords": "offset points"}
        axes.annotate(words, (x, y), xytext=(5, -13), **text)


def _points(axes: Any, rows: Sequence[Row], speeds: Sequence[float]) -> None:
    """Draw a point a row, filled if timed, and a legend if there are several kinds."""
    names = _names(rows)
    series = list(dict.fromkeys(names))
    for place, (row, speed) in enumerate(zip(rows, speeds, strict=True)):
        name = names[place]
        number = series.index(name)
        color = f"C{number % 10}"
        look = {"color": color, "markersize": 7, "zorder": 3}
        look |= {"markerfacecolor": color if row.get("step_ms") else "white"}
        look |= {"label": name} if name and names.index(name) == place else {}
        marker = MARKERS[number % len(MARKERS)]
        axes.plot([row["intensity"]], [speed], marker, **look)
    if len(series) > 1:
        axes.legend(fontsize=8, loc="lower right")


def _scales(axes: Any, xlim: tuple[float, float], ylim: tuple[float, float]) -> None:
    """Make both axes logarithmic, with plain numbers at 1, 2 and 5."""
    axes.set_xscale("log", subs=[2, 5])
    axes.set_yscale("log", subs=[2, 5])
    axes.set(xlim=xlim, ylim=ylim)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter("{x:g}")
    axes.set(xlabel="operations a byte of main memory (by XLA)", ylabel="TFLOP/s")
    axes.grid(True, which="major", alpha=0.3)


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
    peaks = [row["peak_tflop_per_s"] for row in known]
    ridges = [row["peak_tflop_per_s"] * 1e3 / row["peak_gb_per_s"] for row in known]
    xs = [row["intensity"] for row in known]
    xlim = min(xs + ridges) / 3, max(xs + ridges) * 3
    figure = new_figure(8.2, 5.0)
    axes = figure.subplots()
    _scales(axes, xlim, (min(speeds + peaks) / 4, max(speeds + peaks) * 2))
    _roofs(axes, known, *xlim)
    _points(axes, known, speeds)
    sizes = [row["size_px"] for row in known]
    _labels(axes, list(zip(xs, speeds, sizes, strict=True)))
    hollow = all(not row.get("step_ms") for row in known)
    axes.set_title("What XLA's program could reach" if hollow else "Roofline", size=10)
    figure.suptitle(title, fontsize=11)
    save_figure(figure, path)
