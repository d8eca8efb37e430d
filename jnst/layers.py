"""The layers of VGG16 and VGG19, and the many ways people spell them.

To add a backbone, add a row to `BACKBONES`; to add a spelling, one to `SPELLINGS`.
"""

import re

from jnst.base import Params, check_one_of

BACKBONES: dict[str, tuple[int, ...]] = {
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}
"""Convolutions in each block (Simonyan & Zisserman 2015, table 1, columns D, E)."""


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


def canonical_layer(name: str, backbone: str = "vgg19") -> str:
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
