"""What is computed of one window of a map: pure functions, each compiled once a piece.

`see` goes forward and adds up; `pull` goes forward again and back, with what the whole
image's statistics say. Maps are [1, H, W, C]. A window's place is an array, so that all
windows of a piece share a program.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Int

from jnst.base import FeatureMap, Features, Scalar
from jnst.losses.pooled import Pooled, joined, pooled, pulled
from jnst.losses.rows import with_options
from jnst.network.layers import backbone_of, canonical_layer, layer_names
from jnst.objective.features import Network
from jnst.objective.kinds import Part
from jnst.scale.windows import Piece, Span, halved, layers_within

Place = Int[Array, "2 3"]
"""Rows and columns: start, begin and end, as `Span`."""
Factors = dict[str, dict[str, Scalar]]
"""Weight of each layer of each term, the term's own included."""


class Seeds(NamedTuple):
    """What a piece's windows are pulled back with: derivatives of the loss.

    Attributes:
      end: By the piece's output, if anything comes after it.
      whole: Moments of each layer that a style is compared at.
      pulls: The loss's derivative by these.
      targets: {content term: {layer: target}}, whole maps.
      factors: Of these terms.
    """

    end: FeatureMap | None
    whole: dict[str, Pooled]
    pulls: dict[str, Pooled]
    targets: dict[str, Features]
    factors: Factors


def place_of(rows: Span, columns: Span) -> Place:
    """Return a window's place as programs take it."""
    return jax.device_put(np.array([rows, columns], np.int32))


def _poolings(network: Network, piece: Piece, layer: str) -> int:
    backbone = backbone_of(network.params)
    names = layers_within(backbone, piece.section)
    names = names[: names.index(canonical_layer(layer, backbone)) + 1]
    return sum(name.startswith("pool") for name in names)


def _step(network: Network, piece: Piece, layer: str) -> int:
    """Return how many positions of a piece's input are one of a layer."""
    return 2 ** _poolings(network, piece, layer)


def shape_of(network: Network, piece: Piece, layer: str) -> tuple[int, ...]:
    """Return the shape of a layer's whole map, [1, h, w, C]."""
    backbone = backbone_of(network.params)
    names = layer_names(backbone)
    names = names[: names.index(canonical_layer(layer, backbone)) + 1]
    last = [name for name in names if name.startswith("conv")][-1]
    times, ceil = _poolings(network, piece, layer), network.options.pooling_ceil
    height, width = (halved(side, times, ceil) for side in piece.shape)
    return 1, height, width, network.params[last]["bias"].shape[0]


def _inside(place: Place, step: int, like: FeatureMap) -> Array:
    """Return 1 at positions of a layer that are in a window's core: [1, h, w, 1]."""
    both = []
    for axis in (0, 1):
        start, begin, end = place[axis]
        at = start + step * jnp.arange(like.shape[1 + axis], dtype=jnp.int32)
        both.append((at >= begin) & (at < end))
    found = both[0][:, None] & both[1][None]
    return found[None, :, :, None].astype(jnp.float32)


def _cut(whole: FeatureMap, place: Place, step: int, shape: Any) -> FeatureMap:
    """Cut out of a whole map what a window sees of it."""
    zero = jnp.zeros((), jnp.int32)
    at = (zero, place[0, 0] // step, place[1, 0] // step, zero)
    return lax.dynamic_slice(whole, at, (1, *shape, whole.shape[-1]))


def _put(whole: FeatureMap, part: FeatureMap, place: Place, step: int) -> FeatureMap:
    """Put a part into a whole map, where `_cut` takes it from."""
    zero = jnp.zeros((), jnp.int32)
    at = (zero, place[0, 0] // step, place[1, 0] // step, zero)
    return lax.dynamic_update_slice(whole, part, at)


def see(
    network: Network,
    source: FeatureMap,
    maps: Features,
    moments: dict[str, Pooled],
    place: Place,
    piece: Piece,
) -> tuple[Features, dict[str, Pooled]]:
    """Go forward through a piece's window, and add its core to what is known.

    Args:
      network: The network.
      source: The piece's input, whole.
      maps: {layer: whole map}, filled core by core.
      moments: {layer: moments of the cores so far}.
      place: The window's.
      piece: The piece, without places.

    Returns:
      Maps and moments with this core.
    """
    window = _cut(source, place, 1, piece.window)
    layers = tuple(dict.fromkeys([*maps, *moments]))
    found = network.section(window, layers, after=piece.section.after)
    maps, moments = dict(maps), dict(moments)
    for layer in layers:
        step, seen = _step(network, piece, layer), found[layer]
        inside = _inside(place, step, seen)
        if layer in maps:
            before = _cut(maps[layer], place, step, seen.shape[1:3])
            part = jnp.where(inside > 0, seen, before)
            maps[layer] = _put(maps[layer], part, place, step)
        if layer in moments:
            moments[layer] = joined(moments[layer], pooled(seen, inside))
    return maps, moments


def _content(
    part: Part, seen: FeatureMap, target: FeatureMap, inside: Array, positions: int
) -> Scalar:
    """Compute a core's part of a content loss: elsewhere both maps are made equal."""
    loss = with_options(part.row.distance, dict(part.options))
    value = loss(jnp.where(inside > 0, seen, target.astype(seen.dtype)), target)
    here = seen.shape[1] * seen.shape[2]
    return value * (here / positions) if part.row.over == "mean" else value


def _content_terms(
    parts: tuple[Part, ...], seeds: Seeds, cuts: Mapping[str, Callable[..., Any]]
) -> Callable[..., Any]:
    """Make the weighted content terms of a core, from {layer: features}."""

    def terms(found: Features) -> tuple[Scalar, dict[str, Scalar]]:
        each = {part.name: jnp.zeros((), jnp.float32) for part in parts}
        for part in parts:
            for layer in part.layers:
                whole = seeds.targets[part.name][layer]
                target, inside = cuts[layer](whole)
                total = whole.shape[1] * whole.shape[2]
                value = _content(part, found[layer], target, inside, total)
                factor = seeds.factors[part.name][layer]
                each[part.name] += factor * value
        return jax.tree.reduce(jnp.add, each, jnp.zeros((), jnp.float32)), each

    return terms


def pull(
    network: Network,
    source: FeatureMap,
    gradient: FeatureMap,
    terms: dict[str, Scalar],
    seeds: Seeds,
    place: Place,
    piece: Piece,
    parts: tuple[Part, ...],
) -> tuple[FeatureMap, dict[str, Scalar]]:
    """Go forward through a piece's window and back, and add what its core gives.

    Args:
      network: The network.
      source: The piece's input, whole.
      gradient: The loss's derivative by it, so far.
      terms: Weighted content terms so far.
      seeds: What is pulled back.
      place: The window's.
      piece: The piece, without places.
      parts: Content terms, each with the layers that this piece has.

    Returns:
      Gradient and terms with this core.
    """
    window = _cut(source, place, 1, piece.window)
    end = piece.section.end
    layers = {*seeds.whole, *(layer for part in parts for layer in part.layers)}
    layers |= set() if seeds.end is None else {end}
    order = tuple(sorted(layers))

    def run(maps: FeatureMap) -> Features:
        return network.section(maps, order, after=piece.section.after)

    found, back = jax.vjp(run, window)
    steps = {layer: _step(network, piece, layer) for layer in order}
    inside = {k: _inside(place, steps[k], found[k]) for k in order}

    def cutter(layer: str) -> Callable[..., Any]:
        shape = found[layer].shape[1:3]
        return lambda whole: (_cut(whole, place, steps[layer], shape), inside[layer])

    local = _content_terms(parts, seeds, {k: cutter(k) for k in order})
    (_, here), changes = jax.value_and_grad(local, has_aux=True)(found)
    for layer, whole in seeds.whole.items():
        style = pulled(found[layer], inside[layer], whole, seeds.pulls[layer])
        changes[layer] = changes[layer] + style
    if seeds.end is not None:
        after = cutter(end)(seeds.end)[0]
        changes[end] = changes[end] + jnp.where(inside[end] > 0, after, 0)
    (change,) = back(changes)
    before = _cut(gradient, place, 1, piece.window)
    gradient = _put(gradient, before + change, place, 1)
    return gradient, {name: terms[name] + here[name] for name in terms}
