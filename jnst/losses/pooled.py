"""Moments of feature vectors that add up over parts of a map, and their derivative.

A map too large for memory is looked at in parts. A loss whose statistic is a function
of the number of positions, their mean vector and the sum of outer products of
deviations says so in its row's `moments`. Parts are joined by their means and
deviations: the difference of raw sums would leave no digits where deviations are small
beside the mean, as VGG's are.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from jnst.base import FeatureMap, Scalar, as_statistics_dtype, matmul
from jnst.losses.products import outer_products
from jnst.losses.vectors import position_vectors

Inside = Float[Array, "1 _ _ 1"]
"""1 at the positions of a map that count, else 0."""


class Pooled(NamedTuple):
    """The first two moments of the feature vectors f of some positions.

    Attributes:
      positions: Number of positions, a scalar.
      mean: Mean vector, [C].
      products: Sum of (f - mean) (f - mean)^T, [C, C].
    """

    positions: Scalar
    mean: Float[Array, "c"]
    products: Float[Array, "c c"]


def pooled(features: FeatureMap, inside: Inside) -> Pooled:
    """Take the moments of some positions of a map [1, H, W, C]; there may be none."""
    features = as_statistics_dtype(features)
    count = jnp.sum(inside)
    share = 1 / jnp.maximum(count, 1)
    mean = jnp.sum(features * (inside * share), axis=(0, 1, 2))
    deviations = (features - mean[None, None, None]) * inside
    return Pooled(count, mean, outer_products(deviations))


def joined(one: Pooled, other: Pooled) -> Pooled:
    """Join the moments of two parts of a map.

    References:
      Chan, Golub & LeVeque, "Updating formulae and a pairwise algorithm for computing
      sample variances", 1979, eq. 2.1, for vectors.
    """
    positions = one.positions + other.positions
    share = other.positions / jnp.maximum(positions, 1)
    apart = other.mean - one.mean
    between = one.positions * share * (apart[:, None] * apart[None])
    products = one.products + other.products + between
    return Pooled(positions, one.mean + share * apart, products)


def pulled(features: FeatureMap, inside: Inside, whole: Pooled, pull: Pooled) -> Array:
    """Pull the derivative of a function of a whole map's moments back to a part of it.

    Deviations sum to 0, so it does not go through the mean inside the products.

    Args:
      features: Part of the map, [1, h, w, C].
      inside: Which of its positions count.
      whole: Moments of the whole map.
      pull: The function's derivative by `whole`.

    Returns:
      The derivative by `features`, of their shape and type.
    """
    deviations = position_vectors(features) - whole.mean[None]
    found = matmul(deviations, pull.products + pull.products.T)
    found = (found + (pull.mean / whole.positions)[None]).reshape(features.shape)
    return (found * inside).astype(features.dtype)
