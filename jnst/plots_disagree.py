"""The sheet of `jnst disagree`: six pictures, and both losses along the four runs."""

from pathlib import Path
from typing import Any

import numpy as np

from jnst.drivers.disagreement import Disagreement, HeldRun, number
from jnst.plots import new_figure, save_figure

COLOURS = {"lowered": "tab:blue", "raised": "tab:red"}
PICTURE_INCHES, CURVES_INCHES, TITLE_INCHES = 3.4, 4.4, 0.8


def caption(run: HeldRun) -> str:
    """Say in two or three lines what a picture shows, or that it shows nothing."""
    lines = [
        f"{run.held} held, drift {abs(run.drift_percent):.2g} %",
        f"{run.moved} {run.direction}: 1.00 → {number(run.moved_loss)}",
    ]
    if run.error:
        lines.append("no disagreement")
    elif run.redrawn_percent is not None:
        lines.append(f"({run.held} by another draw: {run.redrawn_percent:+.2g} %)")
    return "\n".join(lines)


def plot_disagreement(path: str | Path, result: Disagreement) -> None:
    """Draw the picture, its noisy start, the four results and their curves.

    A row a loss that is held: the other one lowered, raised, and both losses over the
    steps, each over its value at the start, on a logarithmic scale.

    Args:
      path: File to write, one of `jnst.plots.PLOT_SUFFIXES`.
      result: From `jnst.disagree`.

    Raises:
      ValueError: If matplotlib is not installed.
    """
    height, width = result.picture.shape[:2]
    tall = PICTURE_INCHES * min(max(height / width, 0.5), 2.0) + TITLE_INCHES
    ratios = [PICTURE_INCHES] * 3 + [CURVES_INCHES]
    figure = new_figure(sum(ratios), 2 * tall)
    axes = figure.subplots(2, 4, width_ratios=ratios)
    first = {"x, the picture": result.picture, "x0, where all runs begin": result.start}
    for axis, (label, picture) in zip(axes[:, 0], first.items(), strict=True):
        _show(axis, picture, label)
    for row in range(2):
        runs = result.runs[2 * row : 2 * row + 2]
        for axis, run in zip(axes[row, 1:3], runs, strict=True):
            _show(axis, run.image, caption(run), color=COLOURS[run.direction])
        _draw_curves(axes[row, 3], runs)
    save_figure(figure, path)


def _show(axis: Any, picture: np.ndarray, label: str, **style: Any) -> None:
    axis.imshow(picture, vmin=0, vmax=1, interpolation="nearest")
    axis.set_title(label, fontsize=9, **style)
    axis.set_axis_off()


def _draw_curves(axis: Any, runs: list[HeldRun]) -> None:
    """Draw both losses along the two runs that hold the same one."""
    for run in runs:
        colour = COLOURS[run.direction]
        moved, held = run.curves[run.moved], run.curves[run.held]
        label = f"{run.moved}, {run.direction}"
        axis.plot(moved, color=colour, linewidth=2, label=label)
        axis.plot(held, color=colour, linewidth=1, linestyle=":")
    held = runs[0].held
    axis.plot([], [], color="grey", linestyle=":", label=f"{held}, held")
    axis.set(
        yscale="log",
        xlabel="step",
        ylabel="loss over its value at x0",
        title=f"{held} held",
    )
    axis.grid(True, which="major", alpha=0.3)
    axis.legend(fontsize=9, loc="center right")  # the curves leave this free
