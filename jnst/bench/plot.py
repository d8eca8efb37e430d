"""A picture of a benchmark: bars of step time, and how it scales with size."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jnst.bench.measure import Row
from jnst.plots import new_figure, save_figure

VARYING = ("source", "dtype", "precision", "loss", "optimizer", "convolution", "batch")

WIDE = 15
"""Ratio of the longest to the shortest time from which bars need a logarithm."""


def _series(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows by what tells them apart beside size, from small to large."""
    fields = [f for f in VARYING if len({str(row.get(f)) for row in rows}) > 1]
    found: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row["size_px"]):
        words = [f"batch {row[f]}" if f == "batch" else str(row[f]) for f in fields]
        found.setdefault(", ".join(words) or "jnst", []).append(row)
    return found


def _peers(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Peers as series of their own, in the same form."""
    found: dict[str, list[Row]] = {}
    for label, members in _series(rows).items():
        for row in (row for row in members if row.get("peer_step_ms")):
            name = str(row["peer"]).split(" (")[0]
            theirs = {
                "size_px": row["size_px"],
                "batch": row["batch"],
                "step_ms": row["peer_step_ms"],
                "step_ms_deciles": row["peer_step_ms_deciles"],
            }
            label_of = name if label == "jnst" else f"{name}, {label}"
            found.setdefault(label_of, []).append(theirs)
    return found


def _log(axes: Any) -> None:
    """Make the time axis logarithmic, with plain numbers at 1, 2 and 5."""
    axes.set_yscale("log", subs=[2, 5])
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")


def _bars(axes: Any, series: dict[str, list[Row]]) -> None:
    sizes = sorted({row["size_px"] for rows in series.values() for row in rows})
    width = 0.8 / len(series)
    for number, (label, rows) in enumerate(series.items()):
        left = [sizes.index(row["size_px"]) - 0.4 + number * width for row in rows]
        heights = [row["step_ms"] for row in rows]
        deciles = [row["step_ms_deciles"] for row in rows]
        spread = [
            [max(0.0, h - low) for h, (low, _) in zip(heights, deciles, strict=True)],
            [max(0.0, high - h) for h, (_, high) in zip(heights, deciles, strict=True)],
        ]
        style = {"error_kw": {"elinewidth": 1, "ecolor": "#333333"}, "capsize": 2.5}
        axes.bar(left, heights, width, yerr=spread, label=label, align="edge", **style)
        for x, height, (_, high) in zip(left, heights, deciles, strict=True):
            place = (x + width / 2, max(height, high))
            text = {"fontsize": 7, "ha": "center", "textcoords": "offset points"}
            words = f"{height:.0f}" if height >= 100 else f"{height:.3g}"
            axes.annotate(words, place, xytext=(0, 3), **text)
    axes.set_xticks(range(len(sizes)), [f"{size} px" for size in sizes])
    axes.set_ylabel("ms a step, whiskers from 10 % to 90 %")
    times = [row["step_ms"] for rows in series.values() for row in rows]
    if max(times) > WIDE * min(times):  # else bars begin at 0 and are in proportion
        _log(axes)
    axes.margins(y=0.12)
    axes.set_title("Time of one step", fontsize=10)
    axes.grid(True, axis="y", which="both", alpha=0.3)
    axes.set_axisbelow(True)


def _scaling(axes: Any, series: dict[str, list[Row]]) -> None:
    for number, (label, rows) in enumerate(series.items()):
        sizes = [row["size_px"] for row in rows]
        times = [row["step_ms"] for row in rows]
        (line,) = axes.plot(sizes, times, marker="o", markersize=4, label=label)
        ideal = [times[0] * (size / sizes[0]) ** 2 for size in sizes]
        look = {"color": line.get_color(), "linewidth": 1, "alpha": 0.6}
        name = "as the number of pixels" if number == 0 else None
        axes.plot(sizes, ideal, "--", label=name, **look)
    sizes = sorted({row["size_px"] for rows in series.values() for row in rows})
    axes.set(xscale="log", xlabel="side of the square image, px", ylabel="ms a step")
    axes.minorticks_off()
    axes.set_xticks(sizes, [str(size) for size in sizes])
    _log(axes)
    axes.set_title("Scaling with size", fontsize=10)
    axes.grid(True, which="both", alpha=0.3)
    axes.legend(fontsize=8)


def plot_bench(path: str | Path, rows: Sequence[Row], *, title: str = "") -> None:
    """Draw rows as bars by size, and over size on logarithmic axes.

    Args:
      path: File to write, one of `jnst.plots.PLOT_SUFFIXES`.
      rows: From `jnst.bench.measure.measure`; those with an error are left out.
      title: Title of the figure, such as the device.

    Raises:
      ValueError: If no row has a time, or matplotlib is not installed.
    """
    timed = [row for row in rows if row.get("step_ms")]
    if not timed:
        raise ValueError("nothing to plot: no case was measured")
    ours, peers = _series(timed), _peers(timed)
    if peers:
        ours = {k if k == "jnst" else f"jnst, {k}": rows for k, rows in ours.items()}
    series = ours | peers
    bars = len(series) * len({row["size_px"] for row in timed})
    figure = new_figure(max(9.0, 5.5 + 0.45 * bars), 4.2)
    left, right = figure.subplots(1, 2, width_ratios=(max(1.0, bars / 8), 1))
    _bars(left, series)
    _scaling(right, series)
    figure.suptitle(title, fontsize=11)
    save_figure(figure, path)
