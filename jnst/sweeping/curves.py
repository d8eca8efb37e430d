"""The curves of a sweep: losses of all members over their steps."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jnst.plots import new_figure, save_figure
from jnst.sweeping.grid import Axis, label

STYLES = ("-", "--", ":", "-.", (0, (5, 1)), (0, (3, 1, 1, 1)))
"""Of lines, by the second grid; more values begin again."""
MOST_ENTRIES = 24
"""Of a legend; of longer grids some are left out, evenly."""


def colours_of(count: int) -> np.ndarray:
    """Return colours from dark blue to yellow-green, [count, 3]: orange at the end."""
    stops = np.array([[68, 1, 84], [49, 104, 142], [53, 183, 121], [240, 150, 20]])
    at = np.linspace(0, len(stops) - 1, max(count, 2))[:count]
    known = np.arange(len(stops))
    return np.stack([np.interp(at, known, channel) for channel in stops.T], -1) / 255


def names_of(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """List the losses that any member has, "loss" first, without diagnostics."""
    names = {name for r in records for name in r["history"]}
    names = {k for k in names if not k.startswith(("gradient_norm_", "cosine_"))}
    return sorted(names, key=lambda name: (name != "loss", name))


def plot_curves(
    path: Path, records: Sequence[Mapping[str, Any]], axes: Sequence[Axis]
) -> None:
    """Draw a panel for the loss and one for each term, a line a member.

    Args:
      path: File to write.
      records: From `jnst.sweeping.table.make_record`, of members that have ended.
      axes: The grid: the first one's values are colours, the second's styles of lines.

    Raises:
      ValueError: If matplotlib is not installed.
    """
    names = names_of(records)
    columns = min(2, len(names))
    rows = -(-len(names) // columns)
    figure = new_figure(4.6 * columns + 2.2, 3.2 * rows)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    sizes = [len(axis.values) for axis in axes]
    longest = max(1, *(len(r["history"].get("loss", ())) - 1 for r in records))
    colours = colours_of(sizes[0])
    for panel in panels[len(names) :]:
        panel.set_axis_off()
    for panel, name in zip(panels, names, strict=False):
        for record in records:
            if name not in record["history"]:
                continue
            at = np.unravel_index(record["member"], sizes)
            values = np.asarray(record["history"][name], np.float64)
            values = np.where(values > 0, values, np.nan)
            style = STYLES[at[1] % len(STYLES)] if len(axes) > 1 else STYLES[0]
            panel.plot(values, color=colours[at[0]], linestyle=style, linewidth=1.2)
        panel.set(xlabel="step", yscale="log", title=name, xlim=(0, longest))
        panel.grid(True, which="major", alpha=0.3)
    lines = _entries(axes, colours, panels[0])
    figure.legend(*lines, loc="outside right center", fontsize=8)
    save_figure(figure, path)


def _entries(
    axes: Sequence[Axis], colours: np.ndarray, panel: Any
) -> tuple[list[Any], list[str]]:
    """Make a legend's lines and texts: one grid's colours, another's styles."""
    lines, texts = [], []
    for axis, kind in zip(axes[:2], ("color", "linestyle"), strict=False):
        values = list(enumerate(axis.values))
        step = -(-len(values) // MOST_ENTRIES)
        for n, value in itertools.islice(values, 0, None, step):
            style = colours[n] if kind == "color" else STYLES[n % len(STYLES)]
            usual = {"color": "black", "linestyle": "-"} | {kind: style}
            lines += panel.plot([], [], **usual)
            texts.append(f"{axis.field}={label(value)[:30]}")
    return lines, texts
