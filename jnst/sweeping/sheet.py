"""The contact sheet of a sweep: every member's picture where its values put it.

The first grid goes across, the second down; blocks of rows are the grids after that. A
long single grid is wrapped. Pictures are drawn pixel by pixel, scaled down if large.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jnst.image import resize_image
from jnst.plots import DPI, new_figure, save_figure
from jnst.sweeping.grid import Axis, label

LARGEST, SMALLEST = 256, 96
"""Longer side of a picture on the sheet, in pixels, if there are not too many."""
MOST_PIXELS = 30_000
"""Of a side of the sheet; matplotlib takes 65535."""
GAP, LINE, CHARACTER, CLEAR = 8, 17, 8.5, 2
"""Pixels between pictures, of a line of text, of a character, below text."""
FONT = 9.0
WRAPPED_FROM = 7
"""Values of a single grid from which it takes several rows."""
LONGEST_LABEL = 28


class Cell(NamedTuple):
    """A picture on the sheet.

    Attributes:
      row: Its place from the top.
      column: Its place from the left.
      image: The picture; without pixels if there is none.
      title: Lines above it.
      note: What is written across it in red.
    """

    row: int
    column: int
    image: np.ndarray
    title: Sequence[str] = ()
    note: str = ""


def _pieces(text: str, width: int) -> list[str]:
    """Break a text at commas, or where it must be, into lines of a width."""
    lines = [""]
    for part in text.replace(",", ",\0").split("\0"):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    cut = [[k[n : n + width] for n in range(0, len(k), width)] for k in lines]
    return [piece for pieces in cut for piece in pieces]


def lines_of(field: str, value: Any, width: int) -> list[str]:
    """Say a value in lines of so many characters."""
    text = label(value)
    if len(field) + len(text) < width:
        return [f"{field}={text}"]
    return [*_pieces(f"{field}=", width), *_pieces(text, width)]


def _note(record: Mapping[str, Any]) -> str:
    if not record["error"]:
        return ""
    return "stopped" if record["image"].size else "never began"


def _place(axes: Sequence[Axis], number: int) -> tuple[int, int, tuple[int, ...]]:
    """Return row, column, and the place on each axis, of a member."""
    sizes = [len(axis.values) for axis in axes]
    at = tuple(int(n) for n in np.unravel_index(number, sizes))
    if len(axes) == 1:
        across = _across(sizes[0])
        return at[0] // across, at[0] % across, at
    down = [*at[2:], at[1]]  # the second grid changes fastest, from row to row
    return int(np.ravel_multi_index(down, [*sizes[2:], sizes[1]])), at[0], at


def _across(count: int) -> int:
    return count if count < WRAPPED_FROM else math.ceil(math.sqrt(count))


def cells_of(
    records: Sequence[Mapping[str, Any]], axes: Sequence[Axis], width: int
) -> tuple[list[Cell], dict[int, list[str]]]:
    """Put every member in its place.

    Args:
      records: Of the members that have ended.
      axes: The grid.
      width: Characters of a line above a picture.

    Returns:
      The cells; and the lines beside each row.
    """
    cells, beside = [], {}
    for record in records:
        row, column, at = _place(axes, record["member"])
        chosen = [(a.field, a.values[n]) for a, n in zip(axes, at, strict=True)]
        titled = len(axes) == 1 or row == 0
        title = lines_of(*chosen[0], width) if titled else []
        cells.append(Cell(row, column, record["image"], title, _note(record)))
        if len(axes) > 1:
            those = [*chosen[2:], chosen[1]]
            lines = [lines_of(*each, LONGEST_LABEL) for each in those]
            beside[row] = list(itertools.chain.from_iterable(lines))
    return cells, beside


def _scaled(image: np.ndarray, side: int) -> np.ndarray:
    """Bring a picture to a longer side, if it is larger."""
    longer = max(image.shape[:2])
    if longer <= side:
        return image
    ratio = side / longer
    height, width = (max(1, round(ratio * n)) for n in image.shape[:2])
    return resize_image(image, (height, width))


def _side(cells: Sequence[Cell]) -> int:
    """Choose the longer side of a picture on the sheet."""
    largest = max((max(c.image.shape[:2]) for c in cells if c.image.size), default=0)
    wanted = min(max(largest, SMALLEST), LARGEST)
    many = 1 + max(max(cell.row, cell.column) for cell in cells)
    return max(16, min(wanted, MOST_PIXELS // many - GAP - LINE))


def plot_sweep(
    path: Path,
    records: Sequence[Mapping[str, Any]],
    axes: Sequence[Axis],
    given: Mapping[str, np.ndarray],
) -> None:
    """Draw the contact sheet.

    Args:
      path: File to write.
      records: From `jnst.sweeping.table.make_record`, of members that have ended.
      axes: The grid.
      given: Pictures to show above, such as content and style.

    Raises:
      ValueError: If matplotlib is not installed.
    """
    cells, _ = cells_of(records, axes, LONGEST_LABEL)
    columns, side = 1 + max(cell.column for cell in cells), _side(cells)
    pitch = _pitch(cells, side, columns)
    cells, beside = cells_of(records, axes, int(pitch / CHARACTER))
    shown = list(given.items())
    first = math.ceil(len(shown) / columns)
    cells = [cell._replace(row=cell.row + first) for cell in cells]
    cells += [
        Cell(n // columns, n % columns, image, [name])
        for n, (name, image) in enumerate(shown)
    ]
    labels = {row + first: lines for row, lines in beside.items()}
    _draw(path, cells, labels, side, pitch)


def _pitch(cells: Sequence[Cell], side: int, columns: int) -> int:
    """Choose the width of a column: a picture's, or that of what is said above it."""
    longest = max(len(line) for cell in cells for line in (*cell.title, ""))
    wanted = math.ceil(CHARACTER * (longest + 1))
    return max(side, min(wanted, MOST_PIXELS // columns - GAP))


def _draw(
    path: Path,
    cells: Sequence[Cell],
    labels: Mapping[int, Sequence[str]],
    side: int,
    pitch: int,
) -> None:
    """Paint pictures on white, and write the labels."""
    rows = 1 + max(cell.row for cell in cells)
    columns = 1 + max(cell.column for cell in cells)
    images = {(c.row, c.column): _scaled(c.image, side) for c in cells if c.image.size}
    high = [
        max((x.shape[0] for at, x in images.items() if at[0] == row), default=side)
        for row in range(rows)
    ]
    above = [max((len(c.title) for c in cells if c.row == row), default=0)
             for row in range(rows)]  # fmt: skip
    longest = max((len(line) for lines in labels.values() for line in lines), default=0)
    left = GAP + math.ceil(CHARACTER * longest) + (GAP if longest else 0)
    least = [LINE * len(labels.get(row, ())) for row in range(rows)]
    taken = [
        LINE * a + max(h, m) + GAP for a, h, m in zip(above, high, least, strict=True)
    ]
    tops = [GAP + sum(taken[:row]) + LINE * above[row] for row in range(rows)]
    shape = (GAP + sum(taken), left + columns * (pitch + GAP), 3)
    canvas = np.ones(shape, np.float32)
    for (row, column), image in images.items():
        top, start = tops[row], left + column * (pitch + GAP)
        canvas[top : top + image.shape[0], start : start + image.shape[1]] = image
    figure = new_figure(shape[1] / DPI, shape[0] / DPI)
    figure.set_layout_engine("none")
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set_axis_off()
    axis.imshow(canvas, extent=(0, shape[1], shape[0], 0), interpolation="none")
    for cell in cells:
        at = left + cell.column * (pitch + GAP), tops[cell.row] - CLEAR
        axis.text(*at, "\n".join(cell.title), fontsize=FONT, va="bottom")
        if cell.note:
            below = at[0] + 4, at[1] + CLEAR + 4
            box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
            axis.text(*below, cell.note, fontsize=FONT, va="top", color="red", bbox=box)
    for row, lines in labels.items():
        axis.text(GAP, tops[row], "\n".join(lines), fontsize=FONT, va="top")
    save_figure(figure, path)
