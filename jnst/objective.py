"""From an image and targets to the terms of the objective.

Everything here is pure and runs under `jax.jit` with the recipe static. Images are in
the optimiser's scale: RGB with 0..`recipe.pixel_scale` as the visible range.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jnst.base import Features, Image, Params, Scalar, Statistic
from jnst.losses import CONTENT_LOSSES, IMAGE_LOSSES, STYLE_LOSSES
from jnst.losses.gradients import normalise_gradient
from jnst.losses.rows import with_options
from jnst.recipe import Recipe
from jnst.targets import (
    Targets,
    active_terms,
    halved,
    network_features,
)

LossOfFeatures = Callable[[Any, Any], Scalar]


def _style_loss(recipe: Recipe, size: tuple[int, int], key: Array) -> LossOfFeatures:
    """Return the style loss as a function of features and a statistic."""
    row = STYLE_LOSSES[recipe.style_loss]
    options = dict(recipe.style_options) | {"image_size": size}
    if row.keyed:
        options["key"] = key
    statistic = with_options(row.statistic, options)
    distance = with_options(row.distance, options)

    def loss(features: Any, target: Statistic) -> Scalar:
        return distance(statistic(features), target)

    return normalise_gradient(loss) if recipe.normalize_gradients else loss


def _level_layers(
    features: Features,
    styles: tuple[Statistic, ...],
    blend: Float[Array, "_"],
    recipe: Recipe,
    loss: LossOfFeatures,
) -> Float[Array, "_"]:
    """Style losses of each layer (one, if joint), unweighted, blended over styles."""
    chosen = {layer: features[layer] for layer in recipe.style_layers}
    losses = []
    for style in styles:
        if STYLE_LOSSES[recipe.style_loss].joint:
            losses.append(jnp.stack([loss(chosen, style)]))
        else:
            losses.append(jnp.stack([loss(f, style[k]) for k, f in chosen.items()]))
    return losses[0] if len(losses) == 1 else blend @ jnp.stack(losses)


def style_layers(
    features: Features,
    image: Image,
    params: Params,
    targets: Targets,
    recipe: Recipe,
    key: Array,
) -> Float[Array, "_"]:
    """Compute the style loss of each layer, unweighted.

    Args:
      features: Features of the image, with all style layers.
      image: The image in [0, 1], which coarser levels of the pyramid start from.
      params: Parameters of the network.
      targets: From the same recipe.
      recipe: The static part of a recipe is enough.
      key: PRNG key of this step.

    Returns:
      One value a layer, or one in all for a joint loss; the mean over the levels of
      `recipe.style_pyramid`.
    """
    found = []
    for level, styles in enumerate(targets.styles):
        small = halved(image, level)
        if level:
            features = network_features(params, small, recipe.style_layers, recipe)
        size = (small.shape[1], small.shape[2])
        loss = _style_loss(recipe, size, key)
        found.append(_level_layers(features, styles, targets.blend, recipe, loss))
    return found[0] if len(found) == 1 else jnp.mean(jnp.stack(found), axis=0)


def _weighted(losses: Float[Array, "_"], weights: Float[Array, "_"]) -> Scalar:
    return losses[0] if losses.shape != weights.shape else jnp.dot(weights, losses)


def _content_term(
    features: Features, targets: Targets, recipe: Recipe, key: Array
) -> Scalar:
    row = CONTENT_LOSSES[recipe.content_loss]
    options = dict(recipe.content_options) | ({"key": key} if row.keyed else {})
    distance = with_options(row.distance, options)
    loss = normalise_gradient(distance) if recipe.normalize_gradients else distance
    losses = [loss(features[k], targets.content[k]) for k in recipe.content_layers]
    return _weighted(jnp.stack(losses), targets.layer_weights["content"])


def term(
    name: str,
    image: Image,
    params: Params,
    targets: Targets,
    recipe: Recipe,
    key: Array,
    *,
    features: Features | None = None,
) -> Scalar:
    """Compute one weighted term of the objective; arguments as `terms`."""
    pixels = image / recipe.pixel_scale
    if name == "tv":
        row = IMAGE_LOSSES[recipe.tv_loss]
        value = with_options(row.value, dict(recipe.tv_options))
        return targets.weights["tv"] * value(image, targets.image)
    if features is None:
        layers = getattr(recipe, f"{name}_layers")
        features = network_features(params, pixels, layers, recipe)
    if name == "content":
        loss = _content_term(features, targets, recipe, key)
    else:
        layers = style_layers(features, pixels, params, targets, recipe, key)
        loss = _weighted(layers, targets.layer_weights["style"])
    return targets.weights[name] * loss


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
    pixels = image / recipe.pixel_scale
    features = network_features(params, pixels, layers, recipe)
    rest = (image, params, targets, recipe, key)
    return {name: term(name, *rest, features=features) for name in active}


def total(
    image: Image, params: Params, targets: Targets, recipe: Recipe, key: Array
) -> tuple[Scalar, dict[str, Scalar]]:
    """Add up `terms`, and return them beside."""
    found = terms(image, params, targets, recipe, key)
    return jax.tree.reduce(jnp.add, list(found.values())), found


def _cosine(first: Image, second: Image) -> Scalar:
    norms = jnp.linalg.norm(first) * jnp.linalg.norm(second)
    return jnp.vdot(first, second) / jnp.maximum(norms, jnp.finfo(first.dtype).tiny)


def diagnostics(
    image: Image, params: Params, targets: Targets, recipe: Recipe, key: Array
) -> dict[str, Scalar]:
    """Compute the norm of each term's gradient and the cosine between any two.

    Args:
      image: As in `terms`, with the other arguments.
      params: Parameters of the network.
      targets: Targets at the image's size.
      recipe: The static part of a recipe is enough.
      key: PRNG key of this step.

    Returns:
      {"gradient_norm_TERM": scalar >= 0, "cosine_TERM_TERM": scalar in [-1, 1]}.
    """
    names: Sequence[str] = active_terms(recipe)
    gradients = {
        name: jax.grad(term, argnums=1)(name, image, params, targets, recipe, key)
        for name in names
    }
    found = {f"gradient_norm_{k}": jnp.linalg.norm(g) for k, g in gradients.items()}
    for one, other in itertools.combinations(names, 2):
        found[f"cosine_{one}_{other}"] = _cosine(gradients[one], gradients[other])
    return found
