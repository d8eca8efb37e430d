"""From a recipe to targets, and from an image and targets to terms.

Everything here is pure and runs under `jax.jit` with the recipe static. Weights ride
in `Targets` as arrays, so that changing one compiles nothing. Images are in the
optimiser's scale: RGB with 0..`recipe.pixel_scale` as the visible range.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from jnst.base import Features, Image, Params, Scalar, Statistic
from jnst.losses import CONTENT_LOSSES, IMAGE_LOSSES, STYLE_LOSSES
from jnst.losses.rows import StyleLoss, with_options
from jnst.recipe import Recipe
from jnst.vgg import extract

IMAGE_LAYER = "image"
TERMS = ("content", "style", "tv")


class Targets(NamedTuple):
    """What an image is compared with, computed once a size.

    Attributes:
      content: What the content loss compares with, by layer.
      styles: For each style its statistics by layer (one statistic, if joint).
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
    return [name for name in TERMS if getattr(recipe, f"{name}_weight") > 0]


def static_part(recipe: Recipe) -> Recipe:
    """Reset what a compiled step does not depend on, so that runs share programs."""
    weights = {f"{name}_weight": 0.0 for name in TERMS}
    weights |= {f"{name}_weight": 1.0 for name in active_terms(recipe)}
    return dataclasses.replace(
        recipe,
        **weights,  # type: ignore[arg-type]
        style_layer_weights=(),
        content_layer_weights=(),
        init="content",
        steps=None,
        scale_steps=(1,),
        scale_ratio=1.0,
        min_size_px=1,
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
    return jnp.asarray(weights or [1 / len(layers)] * len(layers), jnp.float32)


def weight_arrays(recipe: Recipe) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return the factors of layers and of terms as float32 arrays."""
    layers = {kind: _layer_weights(recipe, kind) for kind in ("content", "style")}
    terms = {
        name: jnp.asarray(getattr(recipe, f"{name}_weight"), jnp.float32)
        for name in active_terms(recipe)
    }
    return layers, terms


def _network(
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


def _statistics(features: Features, recipe: Recipe) -> Statistic:
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
    features = _network(params, content, layers, recipe)
    styles: dict[str, Any] = dict.fromkeys(layers)
    if row.needs_style:
        styles = _network(params, style, layers, recipe)
    return {k: target(features[k], styles[k]) for k in layers}


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
        found = [_network(params, s, recipe.style_layers, recipe) for s in styles]
        statistics = tuple(_statistics(each, recipe) for each in found)
        statistics = _blend(statistics, blend, recipe)
    constants = None
    if "tv" in active:
        row = IMAGE_LOSSES[recipe.tv_loss]
        constants = with_options(row.constants, dict(recipe.tv_options))(content)
    return targets, statistics, constants


def _style_distance(
    row: StyleLoss, recipe: Recipe, image_size: tuple[int, int], key: Array
) -> Any:
    options = dict(recipe.style_options) | {"image_size": image_size}
    if row.keyed:
        options["key"] = key
    return with_options(row.distance, options)


def _style_term(
    features: Features,
    targets: Targets,
    recipe: Recipe,
    size: tuple[int, int],
    key: Array,
) -> Scalar:
    row = STYLE_LOSSES[recipe.style_loss]
    distance = _style_distance(row, recipe, size, key)
    ours = _statistics(features, recipe)
    losses = []
    for style in targets.styles:
        if row.joint:
            losses.append(distance(ours, style))
        else:
            pairs = [distance(ours[k], style[k]) for k in recipe.style_layers]
            losses.append(jnp.dot(targets.layer_weights["style"], jnp.stack(pairs)))
    if len(losses) == 1:
        return losses[0]
    return jnp.dot(targets.blend, jnp.stack(losses))


def _content_term(
    features: Features, targets: Targets, recipe: Recipe, key: Array
) -> Scalar:
    row = CONTENT_LOSSES[recipe.content_loss]
    options = dict(recipe.content_options) | ({"key": key} if row.keyed else {})
    distance = with_options(row.distance, options)
    losses = [distance(features[k], targets.content[k]) for k in recipe.content_layers]
    return jnp.dot(targets.layer_weights["content"], jnp.stack(losses))


def terms(
    image: Image, params: Params, targets: Targets, recipe: Recipe, key: Array
) -> dict[str, Scalar]:
    """Compute the weighted terms of the objective; their sum is the loss.

    Args:
      image: Image being optimised, [1, H, W, 3], in 0..`recipe.pixel_scale`.
      params: Parameters of the network.
      targets: From the same recipe, at the same size.
      recipe: The static part of a recipe is enough.
      key: PRNG key of this step, for keyed losses.

    Returns:
      {"content", "style", "tv": scalar}, of those whose weight is not 0.

    Raises:
      ValueError: If the image is too small for the deepest layer.
    """
    active = active_terms(recipe)
    layers: list[str] = []
    layers += recipe.content_layers if "content" in active else ()
    layers += recipe.style_layers if "style" in active else ()
    features = _network(params, image / recipe.pixel_scale, layers, recipe)
    found: dict[str, Scalar] = {}
    if "content" in active:
        found["content"] = _content_term(features, targets, recipe, key)
    if "style" in active:
        size = (image.shape[1], image.shape[2])
        found["style"] = _style_term(features, targets, recipe, size, key)
    if "tv" in active:
        value = IMAGE_LOSSES[recipe.tv_loss].value
        options = dict(recipe.tv_options)
        found["tv"] = with_options(value, options)(image, targets.image)
    return {name: targets.weights[name] * loss for name, loss in found.items()}


def total(
    image: Image, params: Params, targets: Targets, recipe: Recipe, key: Array
) -> tuple[Scalar, dict[str, Scalar]]:
    """Add up `terms`, and return them beside."""
    found = terms(image, params, targets, recipe, key)
    return jax.tree.reduce(jnp.add, list(found.values())), found
