"""Weights for a style loss that has never been weighed: by gradients, at the start.

`style_weight="balance"` asks that each layer of a new style loss pull at the first
image as hard as the same layer of a recipe's own style loss does: that one was weighed
against its content by somebody who looked at pictures.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jnst.base import Image, Params
from jnst.objective import style_layers
from jnst.program import compiled
from jnst.recipe import Recipe
from jnst.targets import (
    Targets,
    make_targets,
    network_features,
    static_part,
    weight_arrays,
)


def style_gradient_norms(
    image: Image, params: Params, targets: Targets, recipe: Recipe
) -> Float[Array, "_"]:
    """Compute the L2 norm of each layer's unweighted style gradient.

    Args:
      image: Image in 0..`recipe.pixel_scale`, [1, H, W, 3].
      params: Parameters of the network.
      targets: Targets at the image's size.
      recipe: The static part of a recipe is enough.

    Returns:
      One norm a layer, or one in all for a joint loss.
    """
    key = jax.random.key(0)

    def layers(x: Image) -> Float[Array, "_"]:
        pixels = x / recipe.pixel_scale
        features = network_features(params, pixels, recipe.style_layers, recipe)
        return style_layers(features, pixels, params, targets, recipe, key)

    losses, pull = jax.vjp(layers, image)
    gradients = jax.lax.map(lambda row: pull(row)[0], jnp.eye(len(losses)))
    return jnp.sqrt(jnp.sum(gradients**2, axis=(1, 2, 3, 4)))


def _norms(
    image: Image,
    params: Params,
    styles: list[Image],
    blend: Float[Array, "_"],
    recipe: Recipe,
) -> np.ndarray:
    recipe = dataclasses.replace(recipe, content_weight=0.0, tv_weight=0.0)
    static = static_part(dataclasses.replace(recipe, style_weight=1.0))
    program, _ = compiled(make_targets, (params, image, styles, blend), static)
    content, statistics, constants = program(params, image, styles, blend)
    layers, _ = weight_arrays(dataclasses.replace(recipe, style_weight=1.0))
    targets = Targets(content, statistics, constants, blend, layers, {})
    arguments = image * recipe.pixel_scale, params, targets
    program, _ = compiled(style_gradient_norms, arguments, static)
    return np.asarray(program(*arguments), np.float64)


def balanced(
    recipe: Recipe,
    reference: Recipe,
    image: Image,
    params: Params,
    styles: list[Image],
    blend: Float[Array, "_"],
) -> Recipe:
    """Replace "balance" by weights that make gradients as large as a reference's.

    Args:
      recipe: Recipe whose `style_weight` is "balance".
      reference: Recipe whose style loss and weights are taken as the measure.
      image: First image in [0, 1], [1, H, W, 3].
      params: Parameters of the network.
      styles: Style images at that size.
      blend: Weight of each style.

    Returns:
      The recipe with `style_weight` a number; with the same layers as the reference,
      `style_layer_weights` match layer by layer.

    Raises:
      ValueError: If a gradient is 0 or not finite, so that no weight would do.
    """
    ours = _norms(image, params, styles, blend, recipe)
    layers, terms = weight_arrays(reference)
    theirs = _norms(image, params, styles, blend, reference)
    wanted = float(terms["style"]) * np.asarray(layers["style"]) * theirs
    wanted *= reference.pixel_scale / recipe.pixel_scale
    if not (np.isfinite(ours).all() and ours.sum() > 0):
        raise ValueError(
            f"cannot balance {recipe.style_loss!r}: its gradient at the first image is "
            f"{ours.tolist()}; begin elsewhere (init=noise) or set style_weight"
        )
    if len(ours) == len(wanted) and (ours > 0).all():
        weights = tuple(float(w) for w in wanted / ours)
        return dataclasses.replace(
            recipe, style_weight=1.0, style_layer_weights=weights
        )
    weight = np.linalg.norm(wanted) / np.linalg.norm(ours)
    equal = (1.0,) * len(recipe.style_layers)
    return dataclasses.replace(
        recipe, style_weight=float(weight), style_layer_weights=equal
    )
