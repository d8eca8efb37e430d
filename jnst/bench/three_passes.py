"""The pattern of Keras' style-transfer example, run by our own network.

Source 001 (after keras-io) puts the content, the style and the generated image into one
batch and computes the features, and their gradients, of all three at every step; only
the generated image ever changes. This is the same objective, optimiser and network as
the user's own step, run in that pattern: what remains is what computing targets once
saves. Keras itself is not needed.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from jnst.base import Image, Params, Scalar
from jnst.losses import CONTENT_LOSSES, IMAGE_LOSSES
from jnst.losses.rows import with_options
from jnst.objective import term
from jnst.optimize import make_optimizer
from jnst.recipe import Recipe
from jnst.targets import Targets, active_terms, network_features, statistics_of

Carry = tuple[Image, PyTree]


def check_recipe(recipe: Recipe) -> None:
    """Raise `ValueError` for what is not in the pattern."""
    if recipe.style_pyramid != 1:
        raise ValueError(
            "--peer keras has no style_pyramid: features of one size a step"
        )


def _targets(
    content: Image, features: list[dict[str, Array]], weights: Any, recipe: Recipe
) -> Targets:
    """Targets from the features that this very step computed."""
    row = CONTENT_LOSSES[recipe.content_loss]
    target = with_options(row.target, dict(recipe.content_options))
    of_content, of_style = features
    pixels = IMAGE_LOSSES[recipe.tv_loss]
    constants = with_options(pixels.constants, dict(recipe.tv_options))(content)
    active, (blend, layers, terms) = active_terms(recipe), weights
    wanted = recipe.content_layers if "content" in active else ()
    return Targets(
        {k: target(of_content[k], of_style[k]) for k in wanted},
        ((statistics_of(of_style, recipe),),) if "style" in active else (),
        constants,
        blend,
        layers,
        terms,
    )


def objective(
    image: Image,
    params: Params,
    pictures: tuple[Image, Image],
    weights: Any,
    recipe: Recipe,
    key: Array,
) -> tuple[Scalar, dict[str, Scalar]]:
    """Compute the loss with all three images in one batch.

    Args:
      image: Image being optimised, [1, H, W, 3], in 0..`recipe.pixel_scale`.
      params: Parameters of the network.
      pictures: Content and style image in [0, 1], of the same shape.
      weights: Blend, factors of layers and of terms, as in `Targets`.
      recipe: The static part of a recipe.
      key: PRNG key of this step.

    Returns:
      The loss and its terms; a gradient goes back through all three.
    """
    active, layers = active_terms(recipe), []
    for kind in ("content", "style"):
        layers += getattr(recipe, f"{kind}_layers") if kind in active else ()
    three = jnp.stack([*pictures, image / recipe.pixel_scale])
    found = jax.vmap(lambda x: network_features(params, x, layers, recipe))(three)
    features = [{k: v[n] for k, v in found.items()} for n in range(3)]
    targets = _targets(pictures[0], features[:2], weights, recipe)
    rest = (image, params, targets, recipe, key)
    terms = {name: term(name, *rest, features=features[2]) for name in active}
    return jax.tree.reduce(jnp.add, list(terms.values())), terms


def run_steps(
    carry: Carry,
    params: Params,
    pictures: tuple[Image, Image],
    weights: Any,
    keys: Array,
    recipe: Recipe,
) -> tuple[Carry, dict[str, Array]]:
    """Take one step for each of `keys`; losses have that length."""

    def step(carry: Carry, key: Array) -> tuple[Carry, dict[str, Scalar]]:
        image, state = carry

        def value(x: Image) -> tuple[Scalar, dict[str, Scalar]]:
            return objective(x, params, pictures, weights, recipe, key)

        (loss, terms), gradient = jax.value_and_grad(value, has_aux=True)(image)
        extra = {"value": loss, "grad": gradient, "value_fn": lambda x: value(x)[0]}
        change, state = make_optimizer(recipe).update(gradient, state, image, **extra)
        image = image + jnp.asarray(change)
        if recipe.clip:
            image = jnp.clip(image, 0, recipe.pixel_scale)
        return (image, state), {"loss": loss, **terms}

    if len(keys) == 1:  # as `run_chunk`: XLA's CPU convolutions are slow in a scan
        carry, losses = step(carry, keys[0])
        return carry, jax.tree.map(lambda x: x[None], losses)
    return jax.lax.scan(step, carry, keys)
