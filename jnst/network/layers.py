"""The layers of VGG16 and VGG19, how people spell them, and the sizes they need.

To add a backbone, add a row to `BACKBONES`; to add a spelling, one to `SPELLINGS`.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from jnst.base import Params, check_one_of

BACKBONES: dict[str, tuple[int, ...]] = {
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}
"""Convolutions in each block (Simonyan & Zisserman 2015, table 1, columns D, E)."""


IMAGE_LAYER = "image"
"""What losses on pixels call the image itself, among the layers of a recipe."""


def layer_names(backbone: str) -> list[str]:
    """List a backbone's layers in order, as torchvision numbers `features`."""
    names = []
    for block, count in enumerate(BACKBONES[backbone], start=1):
        for index in range(1, count + 1):
            names += [f"conv{block}_{index}", f"relu{block}_{index}"]
        names.append(f"pool{block}")
    return names


SPELLINGS = (
    (r"(relu|conv)(\d)_(\d)", r"\1\2_\3"),
    (r"pool(\d)", r"pool\1"),
    (r"block(\d)_conv(\d)", r"relu\1_\2"),  # Keras: this is the output after the ReLU
    (r"block(\d)_pool", r"pool\1"),
    (r"r(\d)(\d)", r"relu\1_\2"),  # Gatys' notebook
    (r"p(\d)", r"pool\1"),
)


def canonical_layer(name: str, backbone: str) -> str:
    """Return the one spelling used inside for a layer's usual names.

    Args:
      name: `relu4_2`, `conv4_2` (before the ReLU), `pool4`, Keras' `block4_conv2` (past
        the ReLU) and `block4_pool`, Gatys' `r42` and `p4`, torchvision's `features.22`.
      backbone: Key of `BACKBONES`.

    Returns:
      `reluB_N`, `convB_N` or `poolB`.

    Raises:
      ValueError: If the backbone has no such layer.
    """
    check_one_of("backbone", backbone, BACKBONES)
    names = layer_names(backbone)
    match = re.fullmatch(r"features\.(\d+)", name)
    if match and int(match[1]) < len(names):
        return names[int(match[1])]
    for pattern, spelling in SPELLINGS:
        if re.fullmatch(pattern, name):
            name = re.sub(pattern, spelling, name)
            break
    check_one_of(f"layer of {backbone}", name, names)
    return name


def backbone_of(params: Params) -> str:
    """Name the backbone that parameters belong to, from their layers."""
    return "vgg19" if "conv3_4" in params else "vgg16"


class Section(NamedTuple):
    """Layers of a network that follow each other.

    Attributes:
      after: Pooling whose output comes in; "" for an image.
      end: Its last layer, a pooling unless it is the network's end.
      layers: Layers within it that are asked for, by the names they are asked by.
    """

    after: str
    end: str
    layers: tuple[str, ...]


def sections(
    backbone: str, layers: Sequence[str], *, cuts: Collection[str]
) -> list[Section]:
    """Cut a network after some of its poolings, as deep as layers are asked for.

    Args:
      backbone: Key of `BACKBONES`.
      layers: Layers asked for, by any usual name.
      cuts: Poolings; one that nothing comes after cuts nothing.
    """
    names = layer_names(backbone)
    places = {name: names.index(canonical_layer(name, backbone)) for name in layers}
    deepest = max(places.values())
    ends = [names.index(cut) for cut in names if cut in cuts]
    found, first = [], -1
    for end in [*(end for end in ends if end < deepest), deepest]:
        asked = tuple(name for name, at in places.items() if first < at <= end)
        found.append(Section("" if first < 0 else names[first], names[end], asked))
        first = end
    return found


def smallest_side(
    layer: str,
    *,
    positions: int = 1,
    backbone: str,
    padding: str,
    padding_layers: str,
    ceil: bool,
) -> int:
    """Find the fewest pixels a side of an image that leave so much of it at a layer.

    Args:
      layer: Canonical name.
      positions: Positions a side that must be left, at least 1.
      backbone: Key of `BACKBONES`.
      padding: "reflect" takes two pixels at every convolution that pads so.
      padding_layers: "all" or "first": which convolutions those are.
      ceil: Whether poolings round up.

    Returns:
      Pixels, at least 1.
    """
    names = layer_names(backbone)
    side = max(1, positions)
    for name in reversed(names[: names.index(layer) + 1]):
        if name.startswith("pool"):
            side = 2 * side - ceil
        reflects = name == names[0] or padding_layers == "all"
        if name.startswith("conv") and padding == "reflect" and reflects:
            side = max(side, 2)
    return side


def check_image_size(shape: tuple[int, int], layers: Iterable[str], **how: Any) -> None:
    """Raise `ValueError` if an image shrinks to nothing before one of the layers.

    Args:
      shape: Height and width.
      layers: Canonical names.
      **how: As `smallest_side`.
    """
    needed, deepest = max((smallest_side(layer, **how), layer) for layer in layers)
    if min(shape) < needed:
        reason = too_small(shape, f"{deepest} of {how['backbone']}", needed)
        raise ValueError(f"{reason}; use a larger size_px")


def too_small(
    shape: tuple[int, int],
    what: str,
    needed: int,
    *,
    given: str = "image",
    unit: str = "pixels",
) -> str:
    """Say that an image, or another map, is smaller than something needs."""
    return (
        f"{given} is {shape[0]}x{shape[1]} (height x width) but {what} needs at least "
        f"{needed} {unit} a side"
    )
