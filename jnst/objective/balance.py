"""Weights for terms that have never been weighed: by gradients, at the first image.

A weight of "balance" asks that each layer of a term pull at the first image as hard as
the same layer of a recipe's own term does: that one was weighed against the others by
somebody who looked at pictures.
"""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from jnst.base import Image
from jnst.network.layers import IMAGE_LAYER
from jnst.objective.features import Own, layers_of
from jnst.objective.fields import ObjectiveFields
from jnst.objective.making import Pictures, build, weight_arrays
from jnst.objective.term import Term, is_joint, kind_of
from jnst.objective.value import Objective, layer_losses
from jnst.program import compiled

ROUNDING = 1e-4
"""Gradients this much smaller than at uniform noise mean that nothing is left to match:
at equality they are 1e-6 of it in float32 (Gram, NNFM, BN statistics on VGG19)."""


def gradient_norms(objective: Objective, image: Image) -> Float[Array, "_"]:
    """Compute the L2 norm of each layer's unweighted gradient, of the only term.

    Args:
      objective: An objective of one term and one picture.
      image: Image in the optimiser's scale, [1, H, W, 3].

    Returns:
      One norm a layer, or one in all for a joint loss.
    """
    key = jax.random.key(0)

    def layers(x: Image) -> Float[Array, "_"]:
        (found,) = layer_losses(objective, x, key).values()
        return found

    losses, pull = jax.vjp(layers, image)
    gradients = jax.lax.map(
        lambda row: pull(row)[0], jnp.eye(len(losses), dtype=losses.dtype)
    )
    return jnp.sqrt(jnp.sum(gradients**2, axis=(1, 2, 3, 4)))


def _norms(
    fields: ObjectiveFields,
    term: Term,
    extract: PyTree,
    pictures: Pictures,
    *images: Image,
) -> list[np.ndarray]:
    """Norms of one term by itself at each image, per unit of a pixel in [0, 1]."""
    terms, scale = (dataclasses.replace(term, weight=1.0),), fields.pixel_scale
    alone = dataclasses.replace(fields, terms=terms)
    objective, _ = build(alone, extract, pictures, None)
    program, _ = compiled(gradient_norms, (objective, images[0] * scale))
    found = [program(objective, image * scale) for image in images]
    return [np.asarray(norms, np.float64) * scale for norms in found]


def measure_of(
    term: Term, reference: Sequence[Term], extract: PyTree, shape: tuple[int, int]
) -> Term:
    """Pick the weighed term that a term is balanced by.

    It is the one of that name, or else the first of that kind; on the term's own layers
    where a user's features have not the ones it was weighed at.

    Raises:
      ValueError: If there is none.
    """
    kind = kind_of(term.loss)
    weighed = [
        each
        for each in reference
        if not isinstance(each.weight, str)
        and each.weight
        and kind_of(each.loss) == kind
    ]
    weighed.sort(key=lambda each: each.name != term.name)
    if not weighed:
        raise ValueError(
            f"cannot balance {term.name!r}: the recipe has no weighed term of its "
            f"kind, {kind}; set {term.name}_weight"
        )
    found = weighed[0]
    if isinstance(extract, Own) and found.layers:
        known = {*layers_of(extract, shape), IMAGE_LAYER}
        if not known.issuperset(found.layers):
            found = dataclasses.replace(found, layers=term.layers, layer_weights=())
    return found


def balanced(
    fields: ObjectiveFields,
    reference: ObjectiveFields,
    extract: PyTree,
    pictures: Pictures,
    image: Image,
) -> ObjectiveFields:
    """Replace "balance" by weights that make gradients as large as a reference's.

    Args:
      fields: Fields some of whose weights are "balance".
      reference: Fields whose terms and weights are taken as the measure.
      extract: The extractor.
      pictures: What is compared with; of a batch, the first.
      image: First image in [0, 1], [1, H, W, 3].

    Returns:
      The fields with numbers; where a term has as many layers as its measure, its
      `layer_weights` match layer by layer.

    Raises:
      ValueError: If a gradient is 0 or not finite, so that no weight would do.
    """
    terms = []
    for term in fields.terms:
        if term.weight == "balance":
            shape = image.shape[1], image.shape[2]
            measure = measure_of(term, reference.terms, extract, shape)
            noise = jax.random.uniform(jax.random.key(0), image.shape, image.dtype)
            ours, unlike = _norms(fields, term, extract, pictures, image, noise)
            _check_pull(term, ours, unlike)
            (theirs,) = _norms(reference, measure, extract, pictures, image)
            term = _matched(term, measure, ours, theirs)
        terms.append(term)
    return dataclasses.replace(fields, terms=tuple(terms))


def _check_pull(term: Term, ours: np.ndarray, unlike: np.ndarray) -> None:
    """Raise if gradients are not finite, or nothing but rounding beside noise's."""
    if not (np.isfinite(ours).all() and (ours > ROUNDING * unlike).any()):
        raise ValueError(
            f"cannot balance {term.loss!r}: its gradient at the first image is "
            f"{ours.tolist()}; begin elsewhere (init=noise) or set {term.name}_weight"
        )


def _matched(term: Term, measure: Term, ours: np.ndarray, theirs: np.ndarray) -> Term:
    """Give a term the weights at which its gradients are as large as its measure's."""
    weights, layers = weight_arrays([measure])
    shares = np.asarray(layers.get(measure.name, np.ones(1)))
    wanted = float(weights[measure.name]) * shares * theirs
    joint = is_joint(term.loss)
    if term.layers and not joint and len(ours) == len(wanted) and (ours > 0).all():
        found = tuple(float(w) for w in wanted / ours)
        return dataclasses.replace(term, weight=1.0, layer_weights=found)
    weight = np.linalg.norm(wanted) / np.linalg.norm(ours)
    equal = (1.0,) * len(term.layers)
    return dataclasses.replace(term, weight=float(weight), layer_weights=equal)


def first_member(pictures: Pictures) -> Pictures:
    """Take the first of a batch; pictures without one stay."""
    one = [x[0] if x is not None and x.ndim == 5 else x for x in pictures[:1]]
    styles = [x[0] if x.ndim == 5 else x for x in pictures.styles]
    return Pictures(one[0], styles, pictures.shares)
