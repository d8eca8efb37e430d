"""How a network is cut into sections, and the maps between them into windows.

A section runs from one kept map to the next, both whole; between them it sees windows.
What a window's false border spoils never reaches its core: the margin is as wide as
the section's convolutions look. At the map's own border a window has its border there,
so that padding and pooling are the network's own. All windows of a map have one shape,
so that one program serves them all. Numbers of this file are Python's.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from jnst.network.layers import Section, layer_names, sections

CUTS = ("pool2", "pool3", "pool4")
"""Poolings whose maps may be kept: 32, 16 and 8 bytes a pixel of float32; that of pool1
would be 64."""


class Span(NamedTuple):
    """A window along one axis of a section's input.

    Attributes:
      start: Where it starts.
      begin: Where its core begins.
      end: Where its core ends; past the end of the map for the last.
    """

    start: int
    begin: int
    end: int


class Piece(NamedTuple):
    """A section of a network, and the windows of its input.

    Attributes:
      section: Its layers.
      shape: Height and width of its input.
      window: Height and width of all windows; `shape` if there is only one.
      stride: Positions of its input that are one of its output.
      places: Rows and columns of every window.
    """

    section: Section
    shape: tuple[int, int]
    window: tuple[int, int]
    stride: int
    places: tuple[tuple[Span, Span], ...]

    @property
    def whole(self) -> bool:
        """Whether one window is all of the input."""
        return len(self.places) == 1


def layers_within(backbone: str, section: Section) -> list[str]:
    """List the layers of a section in order."""
    names = layer_names(backbone)
    first = names.index(section.after) + 1 if section.after else 0
    return names[first : names.index(section.end) + 1]


def reach(backbone: str, section: Section) -> tuple[int, int]:
    """Return how far a section looks beyond a position of its input, and its stride.

    Args:
      backbone: Key of `BACKBONES`.
      section: The section.

    Returns:
      Positions of its input to each side, a multiple of the stride; and the stride.
    """
    beyond, stride = 0, 1
    for name in layers_within(backbone, section):
        beyond += stride * name.startswith("conv")
        stride *= 1 + name.startswith("pool")
    return stride * math.ceil(beyond / stride), stride


def spans(side: int, tile: int, margin: int, stride: int) -> tuple[int, list[Span]]:
    """Cover an axis by windows of one length.

    Args:
      side: Length of the axis.
      tile: Most positions of a core; cores are all as long, or nearly so.
      margin: Positions around a core, a multiple of `stride`.
      stride: Windows start, and cores begin, at its multiples.

    Returns:
      Length of the windows, and the windows. A window is as much longer than a multiple
      of the stride as the axis is, so that the last ends where the axis ends.
    """
    if side <= tile:
        return side, [Span(0, 0, side + stride)]
    tile = max(tile // stride, 1) * stride
    core = stride * math.ceil(side / math.ceil(side / tile) / stride)
    length = core + 2 * margin + side % stride
    if length >= side:
        return side, [Span(0, 0, side + stride)]
    begins = range(0, side, core)
    return length, [
        Span(
            min(max(begin - margin, 0), side - length),
            begin,
            begin + core if begin + core < side else side + stride,
        )
        for begin in begins
    ]


def halved(side: int, times: int, ceil: bool) -> int:
    """Return what poolings leave of a side."""
    for _ in range(times):
        side = (side + ceil) // 2
    return side


def lay_out(
    backbone: str,
    layers: Sequence[str],
    shape: tuple[int, int],
    *,
    tile_px: int,
    ceil: bool,
) -> list[Piece]:
    """Cut a network for an image that is looked at in tiles.

    Deeper maps have more channels: their tiles are half as many positions a side. What
    is left of the network is one piece as soon as its input is no larger than such a
    tile: what the loss needs of it is then kept, and nothing computed twice.

    Args:
      backbone: Key of `BACKBONES`.
      layers: Layers asked for, by any usual name.
      shape: Height and width of the image.
      tile_px: Side of a tile of the image.
      ceil: Whether poolings round up.

    Returns:
      The pieces in order.
    """
    small, cuts = tile_px // 2, []
    for cut in CUTS if shape[0] * shape[1] > tile_px**2 else ():
        cuts.append(cut)
        height, width = (halved(side, int(cut[-1]), ceil) for side in shape)
        if height * width <= small**2:
            break
    pieces, at = [], shape
    for section in sections(backbone, layers, cuts=cuts):
        limit = small if pieces else tile_px
        whole = at[0] * at[1] <= limit**2
        side = max(at) if whole else limit
        pieces.append(_piece(backbone, section, at, side))
        times = int(math.log2(pieces[-1].stride))
        at = halved(at[0], times, ceil), halved(at[1], times, ceil)
    return pieces


def _piece(backbone: str, section: Section, shape: tuple[int, int], side: int) -> Piece:
    margin, stride = reach(backbone, section)
    height, rows = spans(shape[0], side, margin, stride)
    width, columns = spans(shape[1], side, margin, stride)
    places = tuple((row, column) for row in rows for column in columns)
    return Piece(section, shape, (height, width), stride, places)
