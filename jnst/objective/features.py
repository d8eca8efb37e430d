"""Where features come from: a network as a pytree, and what a term sees of an image.

An extractor is a pytree that is called with an image [1, H, W, 3] in [0, 1] and names
of layers, and returns {name: features [1, h, w, C]}. Its arrays are leaves, so that
other weights compile nothing.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jax.tree_util import Partial, register_dataclass
from jaxtyping import PyTree

from jnst.base import FeatureMap, Features, Image, Params, check_one_of
from jnst.network.convolution import prepare
from jnst.network.layers import IMAGE_LAYER
from jnst.network.pooling import pool
from jnst.network.vgg import extract
from jnst.objective.fields import ObjectiveFields, active_terms, winograd_serves
from jnst.objective.term import Term
from jnst.splitting import split

Extract = Callable[[Image, Sequence[str]], Features]


class NetworkOptions(NamedTuple):
    """How a VGG is run; see `ObjectiveFields`."""

    pooling: str
    pooling_rescale: bool
    pooling_ceil: bool
    padding: str
    padding_layers: str
    white: float
    dtype: str
    precision: str


def options_of(fields: ObjectiveFields) -> NetworkOptions:
    """Take from the fields how a network is run."""
    return NetworkOptions(*(getattr(fields, name) for name in NetworkOptions._fields))


@register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class Network:
    """A VGG with its parameters.

    Attributes:
      params: Parameters, see `jnst.base.Params`.
      options: How it is run.
    """

    params: PyTree
    options: NetworkOptions = dataclasses.field(metadata={"static": True})

    def __call__(self, image: Image, layers: Sequence[str]) -> Features:
        """Extract features as `jnst.network.vgg.extract` does."""
        return self.section(image, layers)

    def section(
        self, maps: FeatureMap, layers: Sequence[str], *, after: str = ""
    ) -> Features:
        """Extract features from the output of a pooling, or from an image.

        Args:
          maps: Output of that pooling, or a part of it; an image in [0, 1].
          layers: Layers that come after it.
          after: The pooling; "" for an image.
        """
        options = self.options._asdict()
        white, dtype = options.pop("white"), options.pop("dtype")
        if white != 255.0 and not after:
            maps = maps * (white / 255.0)
        options["dtype"] = None if dtype == "float32" else dtype
        return extract(self.params, maps, layers, after=after, **options)


@register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class Own:
    """A user's own function from an image to features.

    Attributes:
      function: A pytree that is called with an image [1, H, W, 3] in [0, 1] and returns
        {name: features [1, h, w, C]}: `jax.tree_util.Partial(function, variables)` has
        its variables as leaves, a plain function has none.
    """

    function: PyTree

    def __call__(self, image: Image, layers: Sequence[str]) -> Features:
        """Pick the layers asked for."""
        found = self.function(image)
        for layer in layers:
            check_one_of("layer of extract", layer, found)
        return {layer: found[layer] for layer in layers}


def make_network(
    params: Params,
    fields: ObjectiveFields,
    *,
    also: Sequence[Term] = (),
    spread: bool = False,
    pixels: int = 0,
) -> Network:
    """Prepare parameters for a recipe's convolutions, once a run.

    Args:
      params: Parameters of the network.
      fields: What is compared: the network gets as deep as its terms need.
      also: More terms that must be served.
      spread: Whether maps are split over devices, where XLA's convolution exchanges a
        row or two while Winograd's strips would gather whole maps.
      pixels: Of the largest image, see `jnst.network.convolution.prepare`.
    """
    terms = [*active_terms(fields.terms), *also]
    layers = [layer for term in terms for layer in term.layers]
    serves = winograd_serves(fields) and not spread
    choice = fields.convolution if serves else "xla"
    how: dict[str, Any] = {"dtype": fields.dtype, "pixels": pixels}
    prepared = prepare(params, layers, convolution=choice, **how)
    return Network(prepared, options_of(fields))


def make_own(function: Callable[[Image], Features]) -> Own:
    """Wrap a user's function, and see what it returns.

    Raises:
      ValueError: If it is no function of an image, or returns no maps by name.
    """
    if not callable(function):
        raise ValueError(f"extract must be a function, got {type(function).__name__}")
    return Own(function if isinstance(function, Partial) else Partial(function))


def layers_of(own: Own, shape: tuple[int, int]) -> dict[str, Any]:
    """Find what a user's function returns for an image of a shape, computing nothing.

    Raises:
      ValueError: If that is not {name: [1, h, w, C]}.
    """
    image = jax.ShapeDtypeStruct((1, *shape, 3), jnp.float32)
    found = jax.eval_shape(own.function, image)
    if not isinstance(found, Mapping) or not found:
        raise ValueError(
            "extract must return {name: features [1, h, w, C]}, got "
            f"{type(found).__name__}"
        )
    for name, maps in found.items():
        shape_ = getattr(maps, "shape", None)
        if shape_ is None or len(shape_) != 4 or shape_[0] != 1 or 0 in shape_:
            raise ValueError(
                f"extract must return features [1, h, w, C], got {shape_} for {name!r} "
                f"of an image {shape[0]}x{shape[1]}"
            )
    return dict(found)


class View(NamedTuple):
    """What the terms see of an image.

    Attributes:
      image: The image in the optimiser's scale.
      pixels: The image in [0, 1].
      sizes: Height and width of each level of a pyramid.
      levels: Features of each, by layer.
    """

    image: Image
    pixels: Image
    sizes: tuple[tuple[int, int], ...]
    levels: tuple[Features, ...]


def halved(image: Image, times: int) -> Image:
    """Average 2x2 pixels, `times` times over; an odd last row or column is dropped."""
    for _ in range(times):
        image = pool(image, "average", rescale=False, ceil=False)
    return image


def features_of(
    extract: Extract,
    image: Image,
    layers: Sequence[str],
    *,
    shift: Any = None,
    mesh: Mesh | None = None,
) -> Features:
    """Extract features of an image in [0, 1]; the layer "image" is the image itself.

    Args:
      extract: The extractor.
      image: The image.
      layers: Layers of all terms.
      shift: Rows and columns by which the extractor sees it rolled; None for none.
      mesh: Devices that it is split over; None for one.
    """
    pixels = {layer: image for layer in layers if layer == IMAGE_LAYER}
    layers = [layer for layer in dict.fromkeys(layers) if layer != IMAGE_LAYER]
    seen = image if shift is None else jnp.roll(image, shift, (1, 2))
    return pixels | (extract(split(seen, mesh), layers) if layers else {})


def look(
    extract: Extract,
    image: Image,
    pixels: Image,
    parts: Sequence[Any],
    *,
    shift: Any = None,
    mesh: Mesh | None = None,
) -> View:
    """Compute all that terms look at, the layers of all in one pass a level.

    Args:
      extract: The extractor.
      image: Image in the optimiser's scale.
      pixels: The same in [0, 1].
      parts: Terms, each with `layers` and `pyramid`.
      shift: See `features_of`; the same at every level.
      mesh: See `features_of`.
    """
    sizes, levels = [], []
    image, pixels = split(image, mesh), split(pixels, mesh)
    for level in range(max(part.pyramid for part in parts)):
        small = split(halved(pixels, level), mesh)
        asked = [k for part in parts if part.pyramid > level for k in part.layers]
        sizes.append((small.shape[1], small.shape[2]))
        seen = features_of(extract, small, asked, shift=shift, mesh=mesh)
        levels.append(seen)
    return View(image, pixels, tuple(sizes), tuple(levels))
