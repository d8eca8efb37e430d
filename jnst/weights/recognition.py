"""Which layout a file follows, and its arrays read, checked and brought in our order.

A file is recognised by names and shapes together, whatever stands before the names
("model.features.0.weight"): the row of `LAYOUTS` with the most arrays that fit wins, so
that one array missing or of another shape is named instead of the whole file refused.
A file that follows no row to the end is judged by shapes and order (`structure`).
"""

import re
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from jnst.network.layers import BACKBONES
from jnst.weights import network
from jnst.weights.layouts import HWIO, LAYOUTS, OIHW, Layout, wanted
from jnst.weights.network import Loader, Network, convolutions
from jnst.weights.structure import Chain, find_networks, find_other_network

MAX_PARTS = 8
"""In how many parts of an array's name, from the last, a row's own name is sought."""

MIN_PRESENT = 4
"""Arrays of a row that make one of it under a prefix: "0.weight" alone is anyone's."""


def _index() -> dict[str, list[tuple[int, tuple[int, ...]]]]:
    """Return {name: (number of the row, shape) of each row that has it}."""
    index: dict[str, list[tuple[int, tuple[int, ...]]]] = {}
    for row, layout in enumerate(LAYOUTS):
        for name, shape in wanted(layout):
            index.setdefault(name, []).append((row, shape))
    return index


_INDEX = _index()


def _splits(name: str) -> Iterator[tuple[str, str]]:
    """Give every way to take parts off a name's front: ("a.b.", "weight"), ..."""
    yield "", name
    for found in list(re.finditer(r"[./]", name))[-MAX_PARTS:]:
        yield name[: found.end()], name[found.end() :]


def _best_row(loaders: Mapping[str, Loader]) -> tuple[Layout, bool] | None:
    """Return the row that fits best, under the file's own names, and if all fits."""
    votes: dict[tuple[int, str], tuple[int, int]] = {}
    for name, loader in loaders.items():
        for prefix, rest in _splits(name):
            for row, shape in _INDEX.get(rest, ()):
                fits, present = votes.get((row, prefix), (0, 0))
                fits += loader.shape == shape
                votes[row, prefix] = fits, present + 1
    votes = {v: n for v, n in votes.items() if not v[1] or n[1] >= MIN_PRESENT}
    if not votes:
        return None

    def score(vote: tuple[int, str]) -> tuple[int, int, float, int]:
        fits, present = votes[vote]
        return fits, present, present / len(LAYOUTS[vote[0]].pairs), -vote[0]

    row, prefix = max(votes, key=score)
    layout = _under(LAYOUTS[row], prefix)
    return layout, votes[row, prefix][0] == 2 * len(layout.pairs)


def _under(layout: Layout, prefix: str) -> Layout:
    """Put a prefix before every name of a row."""
    pairs = tuple((prefix + kernel, prefix + bias) for kernel, bias in layout.pairs)
    pixels = layout.pixels and (prefix + layout.pixels[0], prefix + layout.pixels[1])
    return layout._replace(pairs=pairs, pixels=pixels)


def _in_order(where: str, loaders: Mapping[str, Loader]) -> Layout | None:
    """Return the layout of a network found by shapes and order alone, if there is one.

    Keras' own VGG takes Caffe's pixels, every one of PyTorch's torchvision's.
    """
    found = find_networks(loaders)
    if not found:
        return None
    first, *others = found
    if not all(_same(loaders, first[1], other[1]) for other in others):
        places = " and ".join(repr(chain[0].kernel) for _, chain in found[:3])
        raise ValueError(
            f"{where}: holds {len(found)} networks that differ, which begin at {places}"
            "; save one of them alone"
        )
    backbone, chain = first
    pairs = tuple((one.kernel, one.bias) for one in chain)
    if chain[0].hwio:
        return Layout("Keras", backbone, "caffe", pairs, HWIO)
    return Layout("torchvision", backbone, "torch", pairs, OIHW)


def _same(loaders: Mapping[str, Loader], first: Chain, other: Chain) -> bool:
    """Whether two networks of a file are equal, as one under two names is."""
    return len(first) == len(other) and all(
        np.array_equal(loaders[a](), loaders[b]())
        for one, two in zip(first, other, strict=True)
        for a, b in ((one.kernel, two.kernel), (one.bias, two.bias))
    )


def recognise(where: str, loaders: Mapping[str, Loader]) -> Layout:
    """Find the layout of a file, by its arrays' names, shapes and order.

    Args:
      where: File, for messages.
      loaders: {name in the file: function that reads the array}.

    Returns:
      The row of `LAYOUTS` that fits best, under the names the file has; or where none
      fits in full, what shapes and order say, if they make up a network.

    Raises:
      ValueError: If no name is known and no shapes are a VGG's; if the network is
        another of the VGG family; if there are several.
    """
    other = find_other_network(loaders)
    if other:
        raise ValueError(
            f"{where}: holds {other}, another network; "
            f"{' and '.join(BACKBONES)} without batch normalisation are read"
        )
    in_order, best = _in_order(where, loaders), _best_row(loaders)
    if in_order and not (best and best[1]):
        return in_order
    if not best:
        shown = ", ".join(map(repr, list(loaders)[:3])) or "none at all"
        raise ValueError(f"{where}: holds no arrays of a VGG (its first: {shown})")
    return best[0]


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
    shapes, arrays = dict(wanted(layout)), {}
    for name, pair in zip(convolutions(layout.backbone), layout.pairs, strict=True):
        kernel = read(pair[0], shapes[pair[0]]).transpose(layout.axes)
        kernel = kernel[:, :, ::-1] if layout.rgb and name == "conv1_1" else kernel
        arrays[f"{name}.kernel"] = np.ascontiguousarray(kernel, np.float32)
        bias = read(pair[1], shapes[pair[1]])
        arrays[f"{name}.bias"] = bias.astype(np.float32)
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
