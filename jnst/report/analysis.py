"""What a picture looks like to its own objective: losses by layer, Gram matrices.

All is computed at the last size, one picture of a batch after the other, without shifts
and on one device.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array

from jnst.drivers.plan import Plan
from jnst.drivers.stages import pictures_at, start_at
from jnst.loop.state import first_image
from jnst.losses.gram import gram_matrix
from jnst.network.layers import IMAGE_LAYER
from jnst.objective.features import features_of
from jnst.objective.fields import active_terms
from jnst.objective.making import Pictures, build
from jnst.objective.term import kind_of
from jnst.objective.value import Objective, layer_losses
from jnst.program import compiled, jitted
from jnst.scale.memory import tile_for

ALL_LAYERS = "all"
"""Stands for the layers of a loss that does not tell them apart."""


class LayerLoss(NamedTuple):
    """The losses of one layer of a term.

    Attributes:
      term: Name of the term.
      layer: Name of the layer, `ALL_LAYERS`, or "image".
      weight: Weight of the layer times weight of the term.
      losses: Unweighted losses of the images, in order.
    """

    term: str
    layer: str
    weight: float
    losses: tuple[float, ...]


class Seen(NamedTuple):
    """One picture of a run with what it was made of, at its last size.

    Attributes:
      content: RGB in [0, 1], [H, W, 3]; None for a texture.
      styles: The styles, each of its own size.
      first: The image that the recipe begins with, at this size.
    """

    content: np.ndarray | None
    styles: list[np.ndarray]
    first: np.ndarray


def pictures_of(plan: Plan) -> list[Seen]:
    """Return the pictures of a plan at its last size, one a picture of the batch."""
    stage = plan.stages[-1]
    with jax.transfer_guard("allow"):
        pictures = pictures_at(plan, stage)
        return [
            Seen(
                None if one.content is None else np.asarray(one.content)[0],
                [np.asarray(style)[0] for style in one.styles],
                np.clip(np.asarray(_first(plan, one, n))[0], 0, 1),
            )
            for n, one in enumerate(_members(pictures, plan.batch))
        ]


def _members(pictures: Pictures, batch: int | None) -> list[Pictures]:
    """Split a batch into its pictures."""

    def one(array: Any, n: int) -> Any:
        return array[n] if array is not None and array.ndim == 5 else array

    return [
        Pictures(
            one(pictures.content, n),
            [one(style, n) for style in pictures.styles],
            pictures.shares,
        )
        for n in range(batch or 1)
    ]


def _first(plan: Plan, one: Pictures, n: int) -> Array:
    """Return the first image of one picture, [1, H, W, 3]."""
    stage = plan.stages[-1]
    start = start_at(plan, stage, one, stage.steps)
    given = {"style": start.style, "first": start.first}
    own = {k: v[n] if v is not None and v.ndim == 5 else v for k, v in given.items()}
    start = dataclasses.replace(start, **own)
    return first_image(start, jax.random.key(start.seed))


def is_tiled(plan: Plan) -> bool:
    """Tell whether a run's last size is too large to be looked at as a whole."""
    fields = plan.recipe.objective
    shape = plan.stages[-1].shape
    return fields.tile_px != "none" and bool(tile_for(fields.tile_px, None, shape))


def losses_by_layer(
    plan: Plan, seen: Seen, images: Sequence[np.ndarray]
) -> list[LayerLoss]:
    """Compute the loss of every layer of every term.

    Args:
      plan: Plan of the run, its weights numbers.
      seen: From `pictures_of`.
      images: Images [H, W, 3] in [0, 1] of the last size.
    """
    fields = dataclasses.replace(plan.recipe.objective, shift_px=0)
    with jax.transfer_guard("allow"):
        shares = jax.device_put(np.asarray(plan.shares, np.float32))
        content = None if seen.content is None else _put(seen.content)
        pictures = Pictures(content, [_put(style) for style in seen.styles], shares)
        objective, _ = build(fields, plan.extract, pictures, None)
        key = jax.random.key(0)
        scaled = [_put(image * np.float32(fields.pixel_scale)) for image in images]
        program, _ = compiled(layer_losses, (objective, scaled[0], key))
        found = [jax.device_get(program(objective, image, key)) for image in scaled]
        return _rows(objective, found)


def _put(image: np.ndarray) -> Array:
    return jax.device_put(np.asarray(image, np.float32)[None])


def _rows(objective: Objective, found: Sequence[dict[str, Any]]) -> list[LayerLoss]:
    rows = []
    for part in objective.structure.parts:
        values = np.stack([np.asarray(each[part.name]) for each in found])
        shares = np.asarray(objective.layer_weights.get(part.name, np.ones(1)))
        count, names = values.shape[1], list(part.layers)
        if count != len(names) or count != len(shares):
            names, shares = [ALL_LAYERS if names else IMAGE_LAYER], np.ones(1)
        weight = float(objective.weights[part.name])
        rows += [
            LayerLoss(part.name, name, weight * float(share), tuple(map(float, losses)))
            for name, share, losses in zip(names, shares, values.T, strict=True)
        ]
    return rows


def _grams(extract: Any, image: Array, layers: tuple[str, ...]) -> dict[str, Array]:
    found = features_of(extract, image, layers)
    return {layer: gram_matrix(maps) for layer, maps in found.items()}


def grams_of(plan: Plan, images: Sequence[np.ndarray]) -> list[dict[str, np.ndarray]]:
    """Compute the Gram matrices of images at the layers of the style terms.

    Args:
      plan: Plan of the run.
      images: Images [H, W, 3] in [0, 1] of any sizes.

    Returns:
      {layer: Gram matrix [C, C]} of each image; nothing where no term has a style.
    """
    terms = active_terms(plan.recipe.objective.terms)
    styled = [term for term in terms if kind_of(term.loss) == "style"]
    layers = tuple(dict.fromkeys(k for term in styled for k in term.layers))
    with jax.transfer_guard("allow"):
        program = jitted(_grams, static=1, donated=())
        return [
            {k: np.asarray(v) for k, v in program(plan.extract, x, layers).items()}
            for x in map(_put, images if layers else [])
        ]
