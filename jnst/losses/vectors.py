"""Feature maps as clouds of vectors, and the blend of statistics that are linear."""

from collections.abc import Sequence
from typing import Any

import jax
from jaxtyping import Array, Float

from jnst.base import FeatureMap, Scalar, Statistic, as_statistics_dtype


def position_vectors(features: FeatureMap) -> Float[Array, "m c"]:
    """List the feature vectors of all positions of a map [1, H, W, C], row by row.

    Returns:
      [H W, C], at least float32.
    """
    return as_statistics_dtype(features).reshape(-1, features.shape[-1])


@jax.custom_jvp
def second_moment(vectors: Float[Array, "m c"]) -> Float[Array, "c c"]:
    """Average the outer products x x^T of vectors, [M, C] -> [C, C].

    Its derivative adds a product to its own transpose. Told so, the backward pass takes
    one product of positions by channels; left to itself it takes two.
    """
    return vectors.T @ vectors / vectors.shape[0]


@second_moment.defjvp
def _second_moment_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    (vectors,), (tangent,) = primals, tangents
    half = vectors.T @ tangent / vectors.shape[0]
    return second_moment(vectors), half + half.T


def blend_leaves(
    statistics: Sequence[Statistic], weights: Sequence[float | Scalar]
) -> Any:
    """Average statistics of several styles, leaf by leaf, with weights summing to 1.

    Right for means over positions (Gram matrices, mean vectors), which mix as if the
    positions of all styles were pooled.
    """
    return jax.tree.map(
        lambda *leaves: sum(w * x for w, x in zip(weights, leaves, strict=True)),
        *statistics,
    )
