"""What is computed of the whole image at once: what is small, and the last piece."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jnst.base import FeatureMap, Image, Scalar
from jnst.losses.pooled import Pooled
from jnst.losses.rows import with_options
from jnst.network.layers import IMAGE_LAYER
from jnst.objective.features import Network, View
from jnst.objective.kinds import KINDS, Against, Part
from jnst.objective.value import Objective
from jnst.scale.tiles import Factors
from jnst.scale.windows import Piece

Terms = dict[str, Scalar]


def blank(shape: tuple[int, ...], dtype: str) -> Array:
    """Return zeros."""
    return jnp.zeros(shape, dtype)


def nothing(channels: int) -> Pooled:
    """Return the moments of no positions."""
    shapes = (), (channels,), (channels, channels)
    return Pooled(*(jnp.zeros(shape, jnp.float32) for shape in shapes))


def begun(objective: Objective, image: Image) -> tuple[Image, Factors]:
    """Return what the network sees, and the weight of every layer of every term.

    Args:
      objective: Of one picture and one step.
      image: Image in the optimiser's scale.
    """
    pixels = image / objective.structure.pixel_scale
    if objective.shift is not None:
        pixels = jnp.roll(pixels, objective.shift, (1, 2))
    factors: Factors = {}
    for part in objective.structure.parts:
        weight = objective.weights[part.name]
        layers = objective.layer_weights.get(part.name)
        factors[part.name] = {
            layer: weight if layers is None else weight * layers[n]
            for n, layer in enumerate(part.layers or ("",))
        }
    return pixels, factors


def _weighed(part: Part, factors: Factors, losses: Array) -> Scalar:
    layers = part.layers or ("",)
    each = [
        factors[part.name][layer] * x for layer, x in zip(layers, losses, strict=True)
    ]
    return jax.tree.reduce(jnp.add, each)


def _added(terms: Terms) -> tuple[Scalar, Terms]:
    return jax.tree.reduce(jnp.add, terms, jnp.zeros((), jnp.float32)), terms


def _ordinary(
    view: View, objective: Objective, factors: Factors, key: Array, parts: Any
) -> tuple[Scalar, Terms]:
    """Compute weighted terms as an objective without tiles does."""
    terms = {}
    for part in parts:
        target = objective.targets[part.name]
        against = Against(target, objective.shares, key, False)
        losses = KINDS[part.kind].losses(part, view, against)
        terms[part.name] = _weighed(part, factors, losses)
    return _added(terms)


def _one_by_one(part: Part) -> Part:
    """Let a term on pixels look at one colour channel after the other, if it may."""
    if part.kind != "image" or not part.row.channels:
        return part
    value = jax.checkpoint(with_options(part.row.value, dict(part.options)))

    def each(image: FeatureMap) -> Scalar:
        channels = jnp.moveaxis(image, 3, 0)[..., None]
        values = jax.lax.map(value, channels)
        return jnp.mean(values) if part.row.channels == "mean" else jnp.sum(values)

    return part._replace(row=part.row._replace(value=each), options=())


def on_pixels(
    objective: Objective,
    image: Image,
    factors: Factors,
    key: Array,
    parts: tuple[Part, ...],
) -> tuple[Terms, Image]:
    """Compute the terms that look at pixels alone, and their derivative.

    Args:
      objective: Of one picture and one step.
      image: Image in the optimiser's scale.
      factors: From `begun`.
      key: PRNG key of this step.
      parts: These terms.
    """

    def value(x: Image) -> tuple[Scalar, Terms]:
        pixels = x / objective.structure.pixel_scale
        size = (x.shape[1], x.shape[2])
        view = View(x, pixels, (size,), ({IMAGE_LAYER: pixels},))
        return _ordinary(view, objective, factors, key, map(_one_by_one, parts))

    (_, terms), gradient = jax.value_and_grad(value, has_aux=True)(image)
    return terms, gradient


def last_piece(
    objective: Objective,
    source: FeatureMap,
    factors: Factors,
    key: Array,
    piece: Piece,
    parts: tuple[Part, ...],
    size: tuple[int, int],
) -> tuple[Terms, FeatureMap]:
    """Compute the terms of a piece that is seen whole, and their derivative.

    Args:
      objective: Of one picture and one step.
      source: The piece's input.
      factors: From `begun`.
      key: PRNG key of this step.
      piece: The piece, without places.
      parts: Terms, each with the layers that this piece has.
      size: Height and width of the image.
    """
    network: Network = objective.extract

    def value(maps: FeatureMap) -> tuple[Scalar, Terms]:
        layers = tuple(dict.fromkeys(k for part in parts for k in part.layers))
        found = network.section(maps, layers, after=piece.section.after)
        view = View(maps, maps, (size,), (found,))
        return _ordinary(view, objective, factors, key, parts)

    (_, terms), gradient = jax.value_and_grad(value, has_aux=True)(source)
    return terms, gradient


def styles(
    objective: Objective,
    moments: dict[str, Pooled],
    factors: Factors,
    key: Array,
    parts: tuple[Part, ...],
    size: tuple[int, int],
) -> tuple[Terms, dict[str, Pooled]]:
    """Compute the style terms from moments, and their derivative by these.

    Args:
      objective: Of one picture and one step.
      moments: {layer: moments of the whole map}.
      factors: From `begun`.
      key: PRNG key of this step.
      parts: Style terms, each with the layers that there are moments of.
      size: Height and width of the image.
    """

    def one(part: Part, known: dict[str, Pooled]) -> Scalar:
        options = {**dict(part.options), "image_size": size, "key": key}
        statistic = with_options(part.row.moments, options)
        distance = with_options(part.row.distance, options)
        found = {layer: statistic(known[layer]) for layer in part.layers}
        targets = objective.targets[part.name][0]
        each = [
            jnp.stack([distance(found[k], style[k]) for k in part.layers])
            for style in targets
        ]
        shares = objective.shares if len(each) > 1 else jnp.ones(1, jnp.float32)
        mixed = sum(share * x for share, x in zip(shares, each, strict=True))
        return _weighed(part, factors, jnp.asarray(mixed))

    def value(known: dict[str, Pooled]) -> tuple[Scalar, Terms]:
        return _added({part.name: one(part, known) for part in parts})

    (_, terms), pulls = jax.value_and_grad(value, has_aux=True)(moments)
    return terms, pulls


def ended(
    objective: Objective,
    pixels: Image | None,
    network: Image | None,
    several: list[Terms],
) -> tuple[Scalar, Image, Terms]:
    """Join the terms and the derivatives of pixels and of what the network saw.

    Args:
      objective: Of one picture and one step.
      pixels: Derivative of terms on pixels; None where there are none.
      network: Derivative by what the network saw; None where it saw nothing.
      several: Weighted terms of every piece.

    Returns:
      The loss, its derivative in the optimiser's scale, and the terms.
    """
    if network is not None:
        if objective.shift is not None:
            network = jnp.roll(network, -objective.shift, (1, 2))
        network = network / objective.structure.pixel_scale
    found = [x for x in (pixels, network) if x is not None]
    terms = {
        name: jax.tree.reduce(jnp.add, [each[name] for each in several if name in each])
        for name in objective.names
    }
    loss = jax.tree.reduce(jnp.add, list(terms.values()))
    return loss, jax.tree.reduce(jnp.add, found), terms
