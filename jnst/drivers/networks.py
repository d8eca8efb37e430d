"""Where a plan's features come from: a VGG with its weights, or a user's function."""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import PyTree

from jnst.base import Params, check_one_of
from jnst.network.layers import (
    IMAGE_LAYER,
    backbone_of,
    canonical_layer,
    check_image_size,
)
from jnst.network.vgg import mean_pixel
from jnst.objective.features import Own, layers_of, make_network, make_own
from jnst.objective.fields import ObjectiveFields, active_terms
from jnst.objective.term import OWN, kind_of
from jnst.recipes.recipe import Recipe
from jnst.weights import list_weights, load_described

GREY = np.full(3, 0.5, np.float32)
"""What a user's own features are taken to see as nothing, for noise to begin with."""


def _load(weights: Any, preferred: Sequence[str]) -> tuple[Params, dict[str, str]]:
    """Return parameters and their provenance.

    Where nothing is asked for, the first of a recipe's `preferred` weights that is at
    hand is taken.
    """
    if isinstance(weights, Mapping):
        return dict(weights), {}
    if weights is None and len(preferred) > 1 and not os.environ.get("JNST_WEIGHTS"):
        at_hand = {row["name"] for row in list_weights() if row["found"]}
        weights = next((name for name in preferred if name in at_hand), None)
    return load_described(weights)


def load_params(weights: Any) -> Params:
    """Return parameters as they are, or those that a name or a path means."""
    return _load(weights, ())[0]


Seen = tuple[PyTree, np.ndarray, dict[str, str]]
"""An extractor, the colour that it sees as zero, and where its weights are from."""


def vgg_of(
    weights: Any, recipe: Recipe, reference: ObjectiveFields, shapes: Sequence[Any]
) -> Seen:
    """Load a VGG and prepare it for a recipe.

    Raises:
      FileNotFoundError: If there are no weights.
      ValueError: If a layer is unknown or an image too small for it.
    """
    params, known = _load(weights, recipe.run.weights)
    _check_vgg(params, recipe.objective, shapes)
    zero = np.asarray(mean_pixel(params)) * (255 / recipe.objective.white)
    unsure = any(term.weight == "balance" for term in recipe.objective.terms)
    also = reference.terms if unsure else ()
    network = make_network(params, recipe.objective, also=also)
    return network, np.asarray(zero, np.float32), known


def own_of(extract: Callable[..., Any], recipe: Recipe, shapes: Sequence[Any]) -> Seen:
    """Wrap a user's features.

    Raises:
      ValueError: If they have not the layers asked for.
    """
    own = make_own(extract)
    for shape in shapes:
        known = [*layers_of(own, shape), IMAGE_LAYER]
        for term in active_terms(recipe.objective.terms):
            for layer in term.layers:
                check_one_of(f"layer, in {term.name}_layers: layer", layer, known)
    return own, GREY, {}


def _check_vgg(params: Params, fields: ObjectiveFields, shapes: Sequence[Any]) -> None:
    """Raise before any work if a layer is unknown or an image too small for it."""
    backbone = backbone_of(params)
    layers = [layer for term in active_terms(fields.terms) for layer in term.layers]
    names = [canonical_layer(k, backbone) for k in layers if k != IMAGE_LAYER]
    for shape in shapes if names else ():
        check_image_size(
            shape,
            names,
            backbone=backbone,
            padding=fields.padding,
            padding_layers=fields.padding_layers,
            ceil=fields.pooling_ceil,
        )


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
