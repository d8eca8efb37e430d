"""Pictures of numbers: loss curves, feature maps, Gram matrices.

The only user of matplotlib, which the extra `plots` installs. Figures are drawn
without a display.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jnst.files import atomic_write

PLOT_SUFFIXES = (".png", ".pdf", ".svg")
MAPS_A_LAYER = 8
DPI = 110
"""Pixels an inch of all figures."""


def check_matplotlib() -> None:
    """Raise `ValueError` unless the extra `plots` is installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise ValueError(
            "plots need matplotlib: install the extra 'plots', as in "
            "`pip install 'jnst[plots]'`"
        ) from None


def new_figure(width: float, height: float) -> Any:
    """Make an empty figure of that many inches.

    Raises:
      ValueError: If matplotlib is not installed.
    """
    check_matplotlib()
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: Any, path: str | Path) -> None:
    """Write a figure, whole or not at all."""
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=DPI)


def plot_history(
    path: str | Path, history: Mapping[str, np.ndarray], *, title: str = ""
) -> None:
    """Plot the loss and its terms over steps, on a logarithmic scale.

    Args:
      path: File to write, one of `PLOT_SUFFIXES`.
      history: "loss" and terms, one value a step; values <= 0 are left out, and so is
        what `diagnostics` added.
      title: Title of the figure.

    Raises:
      ValueError: If matplotlib is not installed.
    """
    figure = new_figure(7.0, 4.2)
    axes = figure.subplots()
    losses = [name for name in history if not name.startswith(("gradient_", "cosine_"))]
    for name in sorted(losses, key=lambda k: k != "loss"):
        values = np.asarray(history[name], np.float64)
        values = np.where(values > 0, values, np.nan)
        width = 2.2 if name == "loss" else 1.2
        axes.plot(np.arange(len(values)), values, linewidth=width, label=name)
    axes.set(xlabel="step", ylabel="weighted loss", yscale="log", title=title)
    axes.grid(True, which="major", alpha=0.3)
    axes.legend()
    save_figure(figure, path)


def plot_features(path: str | Path, features: Mapping[str, np.ndarray]) -> None:
    """Draw the strongest feature maps of each layer, a row a layer.

    Args:
      path: File to write.
      features: {layer: feature map [H, W, C]}.

    Raises:
      ValueError: If matplotlib is not installed.
    """
    figure = new_figure(1.7 * MAPS_A_LAYER, 1.75 * len(features))
    rows = figure.subplots(len(features), MAPS_A_LAYER, squeeze=False)
    for axes, (layer, maps) in zip(rows, features.items(), strict=True):
        strongest = np.argsort(-maps.mean(axis=(0, 1)))[:MAPS_A_LAYER]
        for axis in axes:
            axis.set_axis_off()
        for axis, channel in zip(axes, strongest, strict=False):
            axis.imshow(maps[:, :, channel], cmap="gray")
            axis.set_title(f"{layer} #{channel}", fontsize=8)
    save_figure(figure, path)


def plot_gram(path: str | Path, grams: Mapping[str, np.ndarray]) -> None:
    """Draw the first row of each layer's Gram matrix as sorted bars.

    Args:
      path: File to write.
      grams: {layer: Gram matrix [C, C]}.

    Raises:
      ValueError: If matplotlib is not installed.

    References:
      Source 000, section 7-4, which sorts and draws the first row; the matrix itself
      stands beside it here.
    """
    figure = new_figure(9.0, 2.3 * len(grams))
    rows = figure.subplots(len(grams), 2, squeeze=False, width_ratios=(3, 1))
    for (bars, image), (layer, gram) in zip(rows, grams.items(), strict=True):
        heights = np.sort(gram[0])[::-1]
        bars.bar(np.arange(len(heights)), heights, width=1.0)
        bars.set_title(f"{layer}: first row of the Gram matrix, sorted", fontsize=9)
        image.imshow(np.log10(np.maximum(gram, gram.max() * 1e-6)), cmap="magma")
        image.set_title("log10", fontsize=9)
        image.set_axis_off()
    save_figure(figure, path)


def plot_sheet(
    path: str | Path, pictures: Mapping[str, np.ndarray], *, columns: int
) -> None:
    """Draw labelled pictures of one size in a grid.

    Args:
      path: File to write.
      pictures: {label: image [H, W, 3] in [0, 1]}.
      columns: Pictures a row.

    Raises:
      ValueError: If matplotlib is not installed.
    """
    height, width = next(iter(pictures.values())).shape[:2]
    rows = -(-len(pictures) // columns)
    inches = max(width, 160) / 80
    figure = new_figure(inches * columns, (inches * height / width + 0.3) * rows)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    for axis, (label, picture) in zip(axes, pictures.items(), strict=False):
        axis.imshow(picture)
        axis.set_title(label, fontsize=10)
    save_figure(figure, path)
