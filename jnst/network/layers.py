"""The layers of VGG16 and VGG19, how people spell them, and the sizes they need.

To add a backbone, add a row to `BACKBONES`; to add a spelling, one to `SPELLINGS`.
"""

import itertools
import re
from collections.abc import Collection, Iterable

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


def smallest_side(
    backbone: str, deepest: str, *, reflecting: Collection[str], ceil: bool
) -> int:
    """Find the fewest pixels a side from which something is left at a layer.

    Args:
      backbone: Key of `BACKBONES`.
      deepest: Canonical name of the deepest layer.
      reflecting: Convolutions that pad by reflection, which takes two pixels.
      ceil: Whether poolings round up.

    Returns:
      Pixels, at least 1.
    """
    names = layer_names(backbone)
    path = names[: names.index(deepest) + 1]

    def fits(side: int) -> bool:
        for name in path:
            if name.startswith("pool"):
                side = (side + ceil) // 2
            if side < (2 if name in reflecting else 1):
                return False
        return True

    return next(side for side in itertools.count(1) if fits(side))


def check_image_size(
    shape: tuple[int, int],
    layers: Iterable[str],
    *,
    backbone: str,
    padding: str,
    padding_layers: str,
    ceil: bool,
) -> None:
    """Raise `ValueError` if an image of `shape` (height, width) shrinks to nothing."""
    names = layer_names(backbone)
    deepest = max(layers, key=names.index)
    convolutions = [name for name in names if name.startswith("conv")]
    reflecting = convolutions if padding == "reflect" else []
    if padding_layers == "first":
        reflecting = reflecting[:1]
    needed = smallest_side(backbone, deepest, reflecting=reflecting, ceil=ceil)
    if min(shape) < needed:
        raise ValueError(
            f"image is {shape[0]}x{shape[1]} (height x width) but {deepest} of "
            f"{backbone} needs at least {needed} pixels a side; use a larger size_px"
        )
