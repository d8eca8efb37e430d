"""From a recipe and the given images to targets, computed once a size.

Everything here is pure and runs under `jax.jit` with the recipe static. Weights ride
in `Targets` as arrays, so that changing one compiles nothing. Images are RGB in [0, 1].
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, PyTree

from jnst.base import Features, Image, Params, Scalar, Statistic
from jnst.convolution import prepare
from jnst.layers import IMAGE_LAYER
from jnst.losses import CONTENT_LOSSES, IMAGE_LOSSES, STYLE_LOSSES
from jnst.losses.rows import with_options
from jnst.pooling import pool
from jnst.recipe import Recipe, winograd_serves
from jnst.vgg import extract

TERMS = ("content", "style", "tv")


class Targets(NamedTuple):
    """What an image is compared with, computed once a size.

    Attributes:
      content: What the content loss compares with, by layer.
      styles: For each style its statistics by layer (one statistic, if joint), at
        each level of the pyramid.
      image: Constants of the loss on pixels.
      blend: Weight of each of `styles`, summing to 1.
      layer_weights: Factors of the content and of the style layers.
      weights: Factor of each term.
    """

    content: dict[str, Any]
    styles: tuple[Statistic, ...]
    image: PyTree
    blend: Float[Array, "_"]
    layer_weights: dict[str, Float[Array, "_"]]
    weights: dict[str, Scalar]


def active_terms(recipe: Recipe) -> list[str]:
    """List the terms whose weight is not 0."""
    return [name for name in TERMS if getattr(recipe, f"{name}_weight") not in (0, 0.0)]


def static_part(recipe: Recipe) -> Recipe:
    """Reset what a compiled step does not depend on, so that runs share programs."""
    weights = {f"{name}_weight": 0.0 for name in TERMS}
    weights |= {f"{name}_weight": 1.0 for name in active_terms(recipe)}
    return dataclasses.replace(
        recipe,
        **weights,  # type: ignore[arg-type]
        style_layer_weights=(),
        content_layer_weights=(),
        convolution="auto",  # told by the parameters
        init="content",
        steps=None,
        scale_steps=(1,),
        scale_ratio=1.0,
        min_size_px=1,
        moments="resized",
        cooldown=0.0,
        size_px=1,
        size_side="longer",
        size_rounding="nearest",
        aspect=(),
        style_size_px=0,
        style_aspect=(),
        style_fit=False,
        style_enlarge=True,
        resize="bicubic",
        weights=(),
        seed=0,
        source="",
    )


def _layer_weights(recipe: Recipe, kind: str) -> Float[Array, "_"]:
    layers = getattr(recipe, f"{kind}_layers")
    weights = getattr(recipe, f"{kind}_layer_weights")
    weights = weights or [1 / len(layers)] * len(layers)
    return jax.device_put(np.asarray(weights, np.float32))


def weight_arrays(recipe: Recipe) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return the factors of layers and of terms as float32 arrays."""
    layers = {kind: _layer_weights(recipe, kind) for kind in ("content", "style")}
    terms = {
        name: jax.device_put(np.float32(getattr(recipe, f"{name}_weight")))
        for name in active_terms(recipe)
    }
    return layers, terms


def network_params(params: Params, recipe: Recipe) -> Params:
    """Prepare the parameters of a network for a recipe's convolutions, once a run."""
    layers = (*recipe.content_layers, *recipe.style_layers)
    choice = recipe.convolution if winograd_serves(recipe) else "xla"
    return prepare(params, layers, convolution=choice)


def network_features(
    params: Params, image: Image, layers: Sequence[str], recipe: Recipe
) -> Features:
    """Extract features of an image in [0, 1] as the recipe's network does.

    The layer "image" is the image itself.
    """
    pixels = {layer: image for layer in layers if layer == IMAGE_LAYER}
    layers = [layer for layer in layers if layer != IMAGE_LAYER]
    if recipe.white != 255.0:
        image = image * (recipe.white / 255.0)
    return pixels | extract(
        params,
        image,
        layers,
        pooling=recipe.pooling,
        pooling_rescale=recipe.pooling_rescale,
        pooling_ceil=recipe.pooling_ceil,
        padding=recipe.padding,
        padding_layers=recipe.padding_layers,
        dtype=None if recipe.dtype == "float32" else recipe.dtype,
    )


def statistics_of(features: Features, recipe: Recipe) -> Statistic:
    """Summarise features as the recipe's style loss does, by layer unless joint."""
    row = STYLE_LOSSES[recipe.style_loss]
    statistic = with_options(row.statistic, dict(recipe.style_options))
    chosen = {layer: features[layer] for layer in recipe.style_layers}
    if row.joint:
        return statistic(chosen)
    return {layer: statistic(found) for layer, found in chosen.items()}


def _blend(
    styles: tuple[Statistic, ...], blend: Float[Array, "_"], recipe: Recipe
) -> tuple[Statistic, ...]:
    """Join several styles' statistics into one, where the recipe says so."""
    row = STYLE_LOSSES[recipe.style_loss]
    if recipe.style_blend != "statistics" or len(styles) == 1 or row.blend is None:
        return styles
    mix = with_options(row.blend, dict(recipe.style_options))
    weights = list(blend)
    if row.joint:
        return (mix(styles, weights),)
    layers = recipe.style_layers
    return ({k: mix([style[k] for style in styles], weights) for k in layers},)


def _content_targets(
    params: Params, content: Image, style: Image, recipe: Recipe
) -> dict[str, Any]:
    row = CONTENT_LOSSES[recipe.content_loss]
    layers = recipe.content_layers
    target = with_options(row.target, dict(recipe.content_options))
    features = network_features(params, content, layers, recipe)
    styles: dict[str, Any] = dict.fromkeys(layers)
    if row.needs_style:
        styles = network_features(params, style, layers, recipe)
    return {k: target(features[k], styles[k]) for k in layers}


def halved(image: Image, times: int) -> Image:
    """Average 2x2 pixels, `times` times over; an odd last row or column is dropped."""
    for _ in range(times):
        image = pool(image, "average", rescale=False, ceil=False)
    return image


def _style_targets(
    params: Params, styles: Sequence[Image], blend: Float[Array, "_"], recipe: Recipe
) -> tuple[Statistic, ...]:
    found = [network_features(params, s, recipe.style_layers, recipe) for s in styles]
    return _blend(tuple(statistics_of(each, recipe) for each in found), blend, recipe)


def make_targets(
    params: Params,
    content: Image | None,
    styles: Sequence[Image],
    blend: Float[Array, "_"],
    recipe: Recipe,
) -> tuple[dict[str, Any], tuple[Statistic, ...], PyTree]:
    """Compute the content's targets, the styles' statistics, the pixels' constants.

    Args:
      params: Parameters of the network.
      content: Content image [1, H, W, 3] in [0, 1]; None if no term needs it.
      styles: Style images, each [1, H, W, 3] in [0, 1] and of any size.
      blend: Weight of each style.
      recipe: The static part of a recipe is enough.

    Returns:
      `Targets.content`, `Targets.styles` and `Targets.image`.
    """
    active = active_terms(recipe)
    targets: dict[str, Any] = {}
    if "content" in active and content is not None:
        first = styles[0] if styles else content
        targets = _content_targets(params, content, first, recipe)
    statistics: tuple[Statistic, ...] = ()
    if "style" in active:
        levels = range(recipe.style_pyramid)
        statistics = tuple(
            _style_targets(params, [halved(s, n) for s in styles], blend, recipe)
            for n in levels
        )
    constants = None
    if "tv" in active:
        row = IMAGE_LOSSES[recipe.tv_loss]
        constants = with_options(row.constants, dict(recipe.tv_options))(content)
    return targets, statistics, constants
