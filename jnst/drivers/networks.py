"""Where a plan's features come from: a VGG with its weights, or a user's function."""

import dataclasses
import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import PyTree

from jnst.base import Params, check_one_of, shown
from jnst.losses.rows import least_side
from jnst.network.layers import (
    IMAGE_LAYER,
    backbone_of,
    canonical_layer,
    layer_names,
    smallest_side,
    too_small,
)
from jnst.network.vgg import mean_pixel
from jnst.objective.features import Own, layers_of, make_network, make_own
from jnst.objective.fields import ObjectiveFields, active_terms
from jnst.objective.making import part_of
from jnst.objective.term import OWN, Term, kind_of
from jnst.recipes.recipe import Recipe
from jnst.recipes.schedule import Shape
from jnst.weights import DEFAULT_SOURCE, list_weights, load_described

GREY = np.full(3, 0.5, np.float32)
"""What a user's own features are taken to see as nothing, for noise to begin with."""


def load_preferred(
    weights: Any, preferred: Sequence[str]
) -> tuple[Params, dict[str, str]]:
    """Return parameters and their provenance.

    Args:
      weights: Name, path, parameters, or None.
      preferred: Where nothing is asked for, the first of these that is at hand is
        taken; if none is, the first is what is missed.

    Raises:
      FileNotFoundError: If there are no weights.
      ValueError: If it is something else.
    """
    if isinstance(weights, Mapping):
        _check_params(weights)
        return dict(weights), {}
    if not (weights is None or isinstance(weights, str | os.PathLike)):
        raise ValueError(
            f"weights must be a name, a path or parameters, got {shown(weights)}"
        )
    usual = tuple(preferred) in ((), (DEFAULT_SOURCE,))
    if weights is None and not usual and not os.environ.get("JNST_WEIGHTS"):
        at_hand = {row["name"] for row in list_weights() if row["found"]}
        weights = next((name for name in preferred if name in at_hand), preferred[0])
    return load_described(weights)


def _check_params(params: Mapping[str, Any]) -> None:
    """Raise `ValueError` for what is no network of ours, before it is looked into."""
    needed = ("preprocess", *(n for n in layer_names("vgg16") if n.startswith("conv")))
    for name in needed:
        layer = params.get(name)
        if not isinstance(layer, Mapping) or not {"kernel", "bias"} <= set(layer):
            raise ValueError(
                f"weights as parameters are {{layer: {{'kernel', 'bias'}}}} of a VGG, "
                f"but {name!r} is {shown(layer)}"
            )


def load_params(weights: Any) -> Params:
    """Return parameters as they are, or those that a name or a path means."""
    return load_preferred(weights, ())[0]


class Seen(NamedTuple):
    """What a plan sees its pictures with.

    Attributes:
      extract: Makes the extractor, for images of so many pixels at most.
      zero: Colour that it sees as zero.
      weights: Where its weights are from.
      least: Fewest pixels a side of an image; 1 where only `check` knows.
      why: What needs so many.
      check: Raises `ValueError` for an image of a shape that will not do.
    """

    extract: Callable[[int], PyTree]
    zero: np.ndarray
    weights: dict[str, str]
    least: int
    why: str
    check: Callable[[Shape], None]


def vgg_of(
    weights: Any, recipe: Recipe, reference: ObjectiveFields, *, spread: bool = False
) -> Seen:
    """Load a VGG and prepare it for a recipe, to be `spread` over devices or not.

    Raises:
      FileNotFoundError: If there are no weights.
      ValueError: If a layer is unknown.
    """
    params, known = load_preferred(weights, recipe.run.weights)
    fields = recipe.objective
    unsure = any(term.weight == "balance" for term in fields.terms)
    also = reference.terms if unsure else ()
    terms = [*active_terms(fields.terms), *active_terms(also)]
    needs = [need for term in terms for need in _needs(term, params, fields)]
    least, why = max(needs, default=(1, ""))
    zero = mean_pixel(params) * (255 / fields.white)

    def check(shape: Shape) -> None:
        if min(shape) < least:
            raise ValueError(too_small(shape, why, least))

    def extract(pixels: int) -> PyTree:
        return make_network(params, fields, also=also, spread=spread, pixels=pixels)

    return Seen(extract, np.asarray(zero, np.float32), known, least, why, check)


def _needs(
    term: Term, params: Params, fields: ObjectiveFields
) -> Iterator[tuple[int, str]]:
    """List how many pixels a side a term needs, and what for: each layer's."""
    part, backbone = part_of(term, None), backbone_of(params)
    positions = least_side(part.row, dict(part.options))
    how: dict[str, Any] = {
        "padding": fields.padding,
        "padding_layers": fields.padding_layers,
        "ceil": fields.pooling_ceil,
    }
    for name in term.layers or (IMAGE_LAYER,):
        side, what = positions, name
        if name != IMAGE_LAYER:
            layer = canonical_layer(name, backbone)
            side = smallest_side(layer, positions=positions, backbone=backbone, **how)
            what = f"{layer} of {backbone}"
        if positions > 1:
            what = f"{term.loss} at {what}"
        if term.pyramid > 1:
            what = f"{what}, with {term.name}_pyramid={term.pyramid},"
        yield side * 2 ** (term.pyramid - 1), what


def own_of(extract: Callable[..., Any], recipe: Recipe) -> Seen:
    """Wrap a user's features; `check` looks for the layers asked for."""
    own = make_own(extract)

    @functools.cache
    def check(shape: Shape) -> None:
        maps = layers_of(own, shape)
        image = jax.ShapeDtypeStruct((1, *shape, 3), np.float32)
        known = {**maps, IMAGE_LAYER: image}
        for term in active_terms(recipe.objective.terms):
            for layer in term.layers:
                check_one_of(f"layer, in {term.name}_layers: layer", layer, known)
                _check_map(term, layer, known[layer].shape[1:3])
            for level in range(1, term.pyramid):
                layers_of(own, (shape[0] >> level, shape[1] >> level))

    return Seen(lambda _: own, GREY, {}, 1, "", check)


def _check_map(term: Term, layer: str, shape: Shape) -> None:
    """Raise if a user's map is too small for a loss."""
    part = part_of(term, None)
    needed = least_side(part.row, dict(part.options)) * 2 ** (term.pyramid - 1)
    if min(shape) < needed:
        what = str(term.loss)
        raise ValueError(too_small(shape, what, needed, given=layer, unit="positions"))


def with_layers(recipe: Recipe, own: Own, shape: tuple[int, int]) -> Recipe:
    """Let functions without layers look at all that a user's features have."""
    known = tuple(layers_of(own, shape))
    terms = tuple(
        dataclasses.replace(term, layers=known)
        if kind_of(term.loss) == OWN and not term.layers
        else term
        for term in recipe.objective.terms
    )
    return dataclasses.replace(recipe, terms=terms)
