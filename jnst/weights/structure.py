"""Which network a file holds, judged by shapes and by the order of layers alone.

A layer is what shares a name up to its last part: a kernel and a bias make a
convolution, two or more vectors of one length and no kernel a normalisation. Layers are
put in the order of the numbers in their names ("conv2d" before "conv2d_1" before
"conv2d_10"); where names carry no numbers, in the file's own.
"""

import itertools
import re
from collections.abc import Mapping
from typing import NamedTuple

from jnst.network.layers import BACKBONES
from jnst.weights.network import Loader, channels_of

FAMILY = {
    "VGG11": (1, 1, 2, 2, 2),
    "VGG13": (2, 2, 2, 2, 2),
    **{name.upper(): blocks for name, blocks in BACKBONES.items()},
}
"""Convolutions in each block of the paper's networks."""

MAX_NETWORKS = 8
"""How many in one file are looked at."""


class Convolution(NamedTuple):
    """A 3x3 convolution of a file.

    Attributes:
      layer: What its arrays' names share.
      kernel: Name of the kernel.
      bias: Name of the bias, "" if it has none.
      incoming: Channels of its input.
      outgoing: Channels of its output.
      hwio: Whether the kernel is [3, 3, in, out], not [out, in, 3, 3].
    """

    layer: str
    kernel: str
    bias: str
    incoming: int
    outgoing: int
    hwio: bool


Chain = list[Convolution]
Layers = dict[str, dict[str, tuple[int, ...]]]


def _natural(name: str) -> list[str]:
    """Sort key by which the numbers in names count as numbers."""
    parts = re.split(r"[./]", name)
    return [re.sub(r"\d+", lambda m: m[0].zfill(20), part) for part in parts]


def _layers(loaders: Mapping[str, Loader]) -> Layers:
    layers: Layers = {}
    for name, loader in loaders.items():
        layer = name[: max(name.rfind("."), name.rfind("/"), 0)]
        layers.setdefault(layer, {})[name] = loader.shape
    return layers


def _convolution(layer: str, shapes: dict[str, tuple[int, ...]]) -> Convolution | None:
    """Return a layer as a convolution, None if it is none of size 3x3.

    Names with slashes are Keras', whose kernels are HWIO; with dots, PyTorch's, OIHW.
    """
    kernels = [name for name, shape in shapes.items() if len(shape) == 4]
    if len(kernels) != 1:
        return None
    shape, hwio = shapes[kernels[0]], kernels[0][len(layer) : len(layer) + 1] == "/"
    size, sides = (shape[:2], shape[2:]) if hwio else (shape[2:], shape[1::-1])
    if size != (3, 3):
        return None
    biases = [name for name, shape in shapes.items() if shape == (sides[1],)]
    bias = biases[0] if len(biases) == 1 else ""
    return Convolution(layer, kernels[0], bias, sides[0], sides[1], hwio)


def _normalised_length(shapes: dict[str, tuple[int, ...]]) -> int | None:
    """Return the channels of a normalisation, None if a layer is something else."""
    vectors = [shape for shape in shapes.values() if len(shape) == 1]
    plain = all(len(shape) < 2 for shape in shapes.values())
    lengths = {length for (length,) in vectors if length > 1}
    return lengths.pop() if plain and len(vectors) > 1 and len(lengths) == 1 else None


def _chains(convolutions: Chain) -> list[Chain]:
    """Cut convolutions where one's output is not the next's input; each takes RGB."""
    chains: list[Chain] = []
    for one in convolutions:
        last = chains[-1][-1] if chains else None
        linked = last and (last.outgoing, last.hwio) == (one.incoming, one.hwio)
        if linked and one.incoming != 3:
            chains[-1].append(one)
        else:
            chains.append([one])
    return [chain for chain in chains if chain[0].incoming == 3]


def _convolutions(layers: Layers) -> Chain:
    found = (_convolution(layer, shapes) for layer, shapes in layers.items())
    return [one for one in found if one]


def _networks(chains: list[Chain]) -> list[tuple[str, Chain]]:
    """Give the chains that begin with a network of published size, cut to it."""
    parts = (
        (title, chain[: sum(blocks)], channels_of(blocks))
        for chain in chains
        for title, blocks in FAMILY.items()
    )
    fit = ((t, part) for t, part, sizes in parts if [c.outgoing for c in part] == sizes)
    return list(itertools.islice(fit, MAX_NETWORKS))


def _read(chains: list[Chain]) -> list[tuple[str, Chain]]:
    """Give the networks that can be read: those of `BACKBONES`, with every bias."""
    return [
        (title.lower(), chain)
        for title, chain in _networks(chains)
        if title.lower() in BACKBONES and all(one.bias for one in chain)
    ]


def _numbered(chain: Chain) -> bool:
    """Whether layers' names differ by their numbers alone."""
    return len({re.sub(r"_?\d+", "", one.layer) for one in chain}) == 1


def find_networks(loaders: Mapping[str, Loader]) -> list[tuple[str, Chain]]:
    """Find every VGG16 and VGG19 of published size in a file.

    Args:
      loaders: {name in the file: function that reads the array}.

    Returns:
      (key of `BACKBONES`, its convolutions in order), one a network.
    """
    layers = _layers(loaders)
    convolutions = _convolutions(layers)
    ordered = sorted(convolutions, key=lambda one: _natural(one.layer))
    natural, stored = _read(_chains(ordered)), _read(_chains(convolutions))
    numbered = all(_numbered(chain) for _, chain in natural)
    return natural if natural and numbered else stored or natural


def find_other_network(loaders: Mapping[str, Loader]) -> str | None:
    """Name a network of the VGG family that is none of ours.

    Args:
      loaders: {name in the file: function that reads the array}.

    Returns:
      "VGG19 with batch normalisation", "VGG13", ...; None if there is no such.
    """
    layers = _layers(loaders)
    layers = {name: layers[name] for name in sorted(layers, key=_natural)}
    chains = _chains(_convolutions(layers))
    networks = _networks(chains)
    lengths = {sum(blocks): title for title, blocks in FAMILY.items()}
    whole = [(lengths[len(one)], one) for one in chains if len(one) in lengths]
    for title, chain in networks + whole[:MAX_NETWORKS]:  # those of another width, too
        if _is_normalised(chain, layers):
            return f"{title} with batch normalisation"
    titles = [title for title, _ in networks]
    ours = any(title.lower() in BACKBONES for title in titles)
    return titles[0] if titles and not ours else None


def _is_normalised(chain: Chain, layers: Layers) -> bool:
    """Whether normalisations lie between convolutions, or as many beside them.

    PyTorch's names number all layers together, Keras' each kind of its own.
    """
    lengths = {name: _normalised_length(shapes) for name, shapes in layers.items()}
    names, channels = list(layers), [one.outgoing for one in chain]
    ends = slice(names.index(chain[0].layer), names.index(chain[-1].layer))
    every = [length for length in lengths.values() if length]
    starts = range(len(every) - len(chain) + 1)
    between = any(lengths[name] in channels for name in names[ends])
    return between or any(every[n : n + len(chain)] == channels for n in starts)
