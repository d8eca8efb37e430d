"""The pattern of Keras' style-transfer example, run by our own network.

Source 001 (after keras-io) puts the content, the style and the generated image into one
batch and computes the features, and their gradients, of all three at every step; only
the generated image ever changes. This is the same objective, optimiser and network as
the user's own step, run in that pattern: what remains is what computing targets once
saves. Keras itself is not needed.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from jnst.base import Image, Scalar
from jnst.loop.optimizers import make_optimizer
from jnst.loop.state import State
from jnst.objective.features import View, features_of
from jnst.objective.making import targets_of
from jnst.objective.term import Term
from jnst.objective.value import Objective, add_up, losses_of, weighed

Carry = tuple[Image, PyTree]


def check_terms(terms: tuple[Term, ...]) -> None:
    """Raise `ValueError` for what is not in the pattern."""
    if any(term.pyramid != 1 for term in terms):
        raise ValueError(
            "--peer keras has no style_pyramid: features of one size a step"
        )


def terms_at(
    objective: Objective, image: Image, pictures: tuple[Image, Image], key: Array
) -> dict[str, Scalar]:
    """Compute the terms with all three images in one batch.

    Args:
      objective: Whose targets are computed anew.
      image: Image being optimised, [1, H, W, 3], in the optimiser's scale.
      pictures: Content and style image in [0, 1], of the same shape.
      key: PRNG key of this step.

    Returns:
      The weighted terms; a gradient goes back through all three.
    """
    structure, shares = objective.structure, objective.shares
    layers = [layer for part in structure.parts for layer in part.layers]
    pixels = image / structure.pixel_scale
    three = jnp.stack([*pictures, pixels])
    found = jax.vmap(lambda x: features_of(objective.extract, x, layers))(three)
    sizes = ((image.shape[1], image.shape[2]),)
    views = [
        View(x, x, sizes, ({k: v[n] for k, v in found.items()},))
        for n, x in enumerate((*pictures, pixels))
    ]
    targets = targets_of(structure, views[0], [views[1]], shares)
    ours = dataclasses.replace(objective, targets=targets)
    return weighed(ours, losses_of(ours, views[2]._replace(image=image), key))


def run_steps(
    objective: Objective,
    carry: Carry,
    state: State,
    pictures: tuple[Image, Image],
    numbers: Array,
) -> tuple[Carry, dict[str, Array]]:
    """Take the steps of these numbers; losses have that length."""

    def step(carry: Carry, number: Array) -> tuple[Carry, dict[str, Scalar]]:
        image, kept = carry
        key = jax.random.fold_in(state.key, number)

        def value(x: Image) -> tuple[Scalar, dict[str, Scalar]]:
            terms = terms_at(objective, x, pictures, key)
            return add_up(terms), terms

        (loss, terms), gradient = jax.value_and_grad(value, has_aux=True)(image)
        extra = {"value": loss, "grad": gradient, "value_fn": lambda x: value(x)[0]}
        optimizer = make_optimizer(state.rule, state.numbers, number)
        change, kept = optimizer.update(gradient, kept, image, **extra)
        image = image + jnp.asarray(change)
        if state.rule.clip:
            image = jnp.clip(image, 0, objective.structure.pixel_scale)
        return (image, kept), {"loss": loss, **terms}

    if len(numbers) == 1:  # as `run_chunk`: XLA's CPU convolutions are slow in a scan
        carry, losses = step(carry, numbers[0])
        return carry, jax.tree.map(lambda x: x[None], losses)
    return jax.lax.scan(step, carry, numbers)
