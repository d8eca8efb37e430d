"""Feature maps as clouds of vectors, and the blend of statistics that are linear."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jnst.base import FeatureMap, Scalar, Statistic, as_statistics_dtype


def position_vectors(features: FeatureMap) -> Float[Array, "m c"]:
    """List the feature vectors of all positions of a map [1, H, W, C], row by row.

    Returns:
      [H W, C], at least float32.
    """
    return as_statistics_dtype(features).reshape(-1, features.shape[-1])


def mean_vector(vectors: Float[Array, "m c"]) -> Float[Array, "1 c"]:
    """Average rows, so that they may be centred on it: [1, C].

    Each row is divided before they are added. A sum divided after it would be fused
    with the subtraction that follows, in one place rounded and in another not, and
    deviations that are small beside the mean would differ.
    """
    return jnp.sum(vectors / vectors.shape[0], axis=0, keepdims=True)


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
