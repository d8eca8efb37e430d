"""A small picture on a terminal while a run goes on: two pixels a character.

A character of half a block shows one colour above and one below. Where a terminal does
not say that it knows 24 bits of colour, the nearest of 216 are taken.
"""

import time
from collections.abc import Callable, Mapping

import numpy as np

from jnst.drivers.result import Progress
from jnst.image import resize_image
from jnst.watching.watcher import Watcher, in_a_row

MOST_COLUMNS, MOST_ROWS = 80, 24
ROOM_ROWS = 3
"""Rows of the terminal that are left to the bar."""
CUBE_BORDERS = (48, 115, 155, 195, 235)
"""Halfway between the levels 0, 95, 135, 175, 215, 255 of xterm's 216 colours."""
EVERY_S = 0.4
"""Seconds between two pictures, at least."""


def cannot_preview(is_terminal: bool, environment: Mapping[str, str]) -> str:
    """Return why a terminal shows no preview; "" if it does.

    Args:
      is_terminal: Whether what is written to is one.
      environment: Its variables.
    """
    if not is_terminal:
        return "standard error is no terminal"
    if environment.get("TERM", "") in ("", "dumb"):
        return "the variable TERM says that this terminal cannot move its cursor"
    if environment.get("NO_COLOR"):
        return "the variable NO_COLOR asks for no colours"
    return ""


def show_preview(
    write: Callable[[str], object], size: Callable[[], tuple[int, int]], true: bool
) -> Watcher:
    """Draw the image so far, each time over the one before.

    Args:
      write: Writes to the terminal.
      size: Returns its columns and rows.
      true: Whether it knows 24 bits of colour.
    """
    drawn, last = 0, -EVERY_S

    def update(progress: Progress) -> None:
        nonlocal drawn, last
        now = time.monotonic()
        if now - last < EVERY_S and progress.step < progress.steps:
            return
        columns, rows = size()
        room = min(columns, MOST_COLUMNS), min(rows - ROOM_ROWS, MOST_ROWS)
        lines = half_blocks(in_a_row(progress.image), *room, true=true)
        back = f"\x1b[{drawn}F\x1b[J" if drawn else ""
        write(back + "".join(f"{line}\n" for line in lines))
        drawn, last = len(lines), now

    return Watcher(update=update)


def half_blocks(
    image: np.ndarray, columns: int, rows: int, *, true: bool = True
) -> list[str]:
    """Draw an image as lines of text with escapes for colours.

    Args:
      image: RGB [H, W, 3] in [0, 1].
      columns: Characters a line, at most.
      rows: Lines, at most; none are drawn where there is no room.
      true: Whether colours have 24 bits.
    """
    if columns < 1 or rows < 1:
        return []
    height, width = image.shape[:2]
    scale = min(columns / width, 2 * rows / height)
    across = max(1, min(columns, round(width * scale)))
    down = max(1, min(rows, round(height * scale / 2)))
    small = np.clip(resize_image(image, (2 * down, across)), 0, 1)
    levels = np.rint(small * 255).astype(int)
    code = _true if true else _cube
    return [
        "".join(
            f"\x1b[38;{code(above)};48;{code(below)}m▀"
            for above, below in zip(*levels[2 * n : 2 * n + 2], strict=True)
        )
        + "\x1b[0m"
        for n in range(down)
    ]


def _true(colour: np.ndarray) -> str:
    return "2;{};{};{}".format(*colour)


def _cube(colour: np.ndarray) -> str:
    """Return the nearest of the 6 x 6 x 6 colours that all terminals with 256 know."""
    red, green, blue = np.searchsorted(CUBE_BORDERS, colour, side="right")
    return f"5;{16 + 36 * red + 6 * green + blue}"
