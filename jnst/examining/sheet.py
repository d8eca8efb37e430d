"""A report as one page: verdicts, what depends on size, kinship, cost, pictures.

All figures are made here; matplotlib is reached through `jnst.plots` alone.
"""

import textwrap
from pathlib import Path
from typing import Any

from jnst.examining.finding import FACT, LOOK, OK, WRONG, Report
from jnst.plots import new_figure, save_figure

COLOURS = {WRONG: "#b3261e", LOOK: "#b26a00", OK: "#2e7d32", FACT: "#555555"}
MOST_BARS = 12
TEXT_COLUMNS = 150


def draw(path: str | Path, report: Report) -> None:
    """Write a report as a picture of one page.

    Args:
      path: File to write, one of `jnst.plots.PLOT_SUFFIXES`.
      report: From `jnst.examine`; of what it has not been asked, nothing is drawn.

    Raises:
      ValueError: If matplotlib is not installed.
    """
    plots = [(name, plot) for name, plot in PLOTS.items() if _has(report, name)]
    shown = report.pictures
    lines = sum(len(_wrapped(found.says)) for found in report.findings.values())
    heights = [0.24 * lines + 0.7]
    heights += [3.1] if plots else []
    heights += [2.3] if shown else []
    figure = new_figure(12.0, sum(heights))
    rows = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[
        :, 0
    ]
    _text(rows[0], report)
    if plots:
        axes = rows[1].subplots(1, len(plots), squeeze=False)[0]
        for axis, (name, plot) in zip(axes, plots, strict=True):
            plot(axis, report.findings[name].numbers)
    if shown:
        axes = rows[-1].subplots(1, max(len(shown), 6), squeeze=False)[0]
        for axis in axes:
            axis.set_axis_off()
        for axis, (label, picture) in zip(axes, shown.items(), strict=False):
            axis.imshow(picture)
            axis.set_title(label, fontsize=9)
    save_figure(figure, path)


def _wrapped(says: str) -> list[str]:
    return textwrap.wrap(says, TEXT_COLUMNS) or [""]


def _has(report: Report, name: str) -> bool:
    found = report.findings.get(name)
    return found is not None and NEEDED[name] in found.numbers


def _text(figure: Any, report: Report) -> None:
    """Write a line a probe, its verdict in colour."""
    axis = figure.subplots()
    axis.set_axis_off()
    layers = ", ".join(report.layers) or "pixels"
    figure.suptitle(f"{report.loss}: {report.kind} loss on {layers}", fontsize=12)
    count = sum(len(_wrapped(found.says)) for found in report.findings.values())
    line = 0
    for name, found in report.findings.items():
        at = {"transform": axis.transAxes, "va": "center", "fontsize": 9}
        height = 1 - (line + 0.5) / count
        axis.text(0.0, height, name, weight="bold", **at)
        colour = COLOURS[found.verdict]
        axis.text(0.095, height, found.verdict, color=colour, weight="bold", **at)
        for text in _wrapped(found.says):
            axis.text(0.15, 1 - (line + 0.5) / count, text, **at)
            line += 1


def _sizes(axis: Any, numbers: Any) -> None:
    """Gradient norms over sizes, each over its first."""
    sides, other = numbers["sizes_px"], numbers["reference"]
    ours, theirs = numbers["gradient_norms"], numbers["reference_gradient_norms"]
    axis.plot(sides, [n / (ours[0] or 1) for n in ours], "o-", label="this loss")
    axis.plot(sides, [n / theirs[0] for n in theirs], "s--", label=other)
    axis.set(xscale="log", ylim=(0, None), xlabel="pixels a side")
    axis.set_xticks(sides, [str(side) for side in sides])
    axis.minorticks_off()
    axis.set_title("gradient norm, over the first size's", fontsize=9)
    axis.legend(fontsize=8)


def _cosines(axis: Any, numbers: Any) -> None:
    """Bars of the nearest losses: start, middle, end."""
    known = {k: v for k, v in numbers["cosines"].items() if None not in v}
    rows = dict(list(known.items())[:MOST_BARS])
    for n, place in enumerate(numbers["places"]):
        at = [row + 0.27 * (n - 1) for row in range(len(rows))]
        axis.barh(at, [v[n] for v in rows.values()], height=0.27, label=place)
    axis.set_yticks(range(len(rows)), list(rows), fontsize=8)
    axis.invert_yaxis()
    axis.axvline(0, color="black", linewidth=0.6)
    axis.set_title("cosine of gradients along a run", fontsize=9)
    axis.set_xlim(right=1.25)  # room for the legend
    axis.legend(fontsize=7, loc="lower right")


def _costs(axis: Any, numbers: Any) -> None:
    """Milliseconds over sizes."""
    rows, other = numbers["rows"], numbers["reference"]
    sides = [row["size_px"] for row in rows]
    axis.plot(sides, [row["ms"] for row in rows], "o-", label="this loss")
    axis.plot(sides, [row["reference_ms"] for row in rows], "s--", label=other)
    axis.set(xscale="log", yscale="log", xlabel="pixels a side")
    axis.set_xticks(sides, [str(side) for side in sides])
    axis.minorticks_off()
    axis.set_title("ms for value and gradient, without network", fontsize=9)
    axis.legend(fontsize=8)


PLOTS = {"sizes": _sizes, "resemblance": _cosines, "costs": _costs}
NEEDED = {"sizes": "gradient_norms", "resemblance": "cosines", "costs": "rows"}
