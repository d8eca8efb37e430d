"""Whole distributions of values, by sorting: of channels, and along random directions.

A sorted list against a sorted list is optimal transport in one dimension. Where the
style has another number of positions, its sorted values are read at the quantiles of
the image's. To add a loss, write its pair here and give it a row.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jnst.base import FeatureMap, Scalar, check_one_of, matmul
from jnst.losses.picking import sorted_rows
from jnst.losses.vectors import position_vectors

Rows = Float[Array, "k _"]
REDUCTIONS = {"sum": jnp.sum, "mean": jnp.mean}
Directions = tuple[tuple[float, ...], ...]


def sorted_channels(features: FeatureMap) -> Rows:
    """Sort the values of every channel of a map [1, H, W, C] upwards: [C, H W].

    The sort is stable: equal values keep their order by row and column.
    """
    return sorted_rows(position_vectors(features).T)


def at_quantiles(values: Rows, count: int) -> Rows:
    """Read sorted rows of m values, at (k + 1/2) / m each, at all (i + 1/2) / count.

    Linear between values, and the first or last beyond them.
    """
    given = values.shape[1]
    if given == count:
        return values
    places = np.clip((np.arange(count) + 0.5) * given / count - 0.5, 0, given - 1)
    low = np.floor(places).astype(int)
    high = np.minimum(low + 1, given - 1)
    part = jnp.asarray((places - low)[None], values.dtype)
    return values[:, low] * (1 - part) + values[:, high] * part


def _left_edges(matches: Rows, values: Rows, bins: int) -> Rows:
    """Replace every match by the left edge of its bin in a row's own range."""
    low, high = (values[:, [at]] for at in (0, -1))
    extent = jnp.where(high > low, high - low, 1)
    index = jnp.clip(jnp.floor((matches - low) / extent * bins), 0, bins - 1)
    return jnp.where(high > low, low + index / bins * extent, low)


def histogram(
    statistic: Rows, target: Rows, *, reduction: str = "sum", bins: int = 0
) -> Scalar:
    """Compare activations with their histogram match to the style's, by channel.

    Args:
      statistic: Sorted values of the image being optimised, [C, M].
      target: Of the style image, [C, M'].
      reduction: "sum" over channels and positions, which grows with M, or "mean".
      bins: 0 matches value by value; 256 as the co-author's code, where a matched
        value is the left edge of its bin in the style channel's range.

    Returns:
      Scalar >= 0: sum over k of (o_k - R_k)^2, R constant in the gradient. With `bins`
      it is not 0 at equality.

    Raises:
      ValueError: For an unknown reduction or a negative number of bins.

    References:
      Risser et al, "Stable and Controllable Neural Texture Synthesis and Style
      Transfer Using Histogram Losses", 2017; bins as in
      pierre-wilmot/NeuralTextureSynthesis, `histogram.cu`. Other sizes: R reads the
      sorted style at (rank + 1/2) / M, linear between (k + 1/2) / M' (ours). Equal
      values are matched in the order of their positions, where that code draws at
      random; the zeros of a ReLU, the usual ties, pass no gradient on anyway.
    """
    check_one_of("reduction of histogram", reduction, REDUCTIONS)
    if bins < 0:
        raise ValueError(f"bins of histogram must be at least 0, got {bins}")
    match = at_quantiles(target, statistic.shape[1])
    if bins:
        match = _left_edges(match, target, bins)
    return REDUCTIONS[reduction]((statistic - jax.lax.stop_gradient(match)) ** 2)


def _unit_rows(
    key: Array | None, directions: Directions | None, channels: int, dtype: jnp.dtype
) -> Float[Array, "k c"]:
    if directions is not None:
        rows = jnp.asarray(directions, dtype)
        if rows.ndim != 2 or rows.shape[1] != channels:
            raise ValueError(
                f"directions of sliced_wasserstein must be [K, {channels}] for "
                f"{channels} channels, got {rows.shape}"
            )
    elif key is not None:
        # In float32 for any dtype: a key stands for the same directions.
        rows = jax.random.normal(key, (channels, channels), jnp.float32).astype(dtype)
    else:
        raise ValueError("sliced_wasserstein draws directions: pass key, or directions")
    return rows / jnp.linalg.norm(rows, axis=1, keepdims=True)


def _sorted_along(rows: Rows, vectors: Float[Array, "_ c"]) -> Rows:
    # In full precision: TF32's steps would be ties.
    return sorted_rows(matmul(rows, vectors.T))


def sliced_wasserstein(
    statistic: Float[Array, "_ c"],
    target: Float[Array, "_ c"],
    *,
    directions: Directions | None = None,
    key: Array | None = None,
) -> Scalar:
    """Compare distributions of feature vectors along directions, new ones each step.

    Args:
      statistic: Feature vectors of the image being optimised, [M, C].
      target: Of the style image, [M', C].
      directions: [K, C] as tuples, made unit vectors; None draws K = C of them,
        uniformly on the sphere.
      key: PRNG key of this step; needed where no directions are given.

    Returns:
      Scalar >= 0, the mean over directions and positions of squared differences of
      sorted projections.

    Raises:
      ValueError: If there are neither directions nor a key, or their shape is wrong.

    References:
      Heitz et al, "A Sliced Wasserstein Loss for Neural Texture Synthesis", CVPR 2021;
      tchambon/A-Sliced-Wasserstein-Loss-for-Neural-Texture-Synthesis. If
      M is a multiple of M' the sorted style is repeated, as there; else it is read at
      the image's quantiles (ours). Spatial tags are left out.
    """
    count, channels = statistic.shape
    rows = _unit_rows(key, directions, channels, statistic.dtype)
    match = _sorted_along(rows, target)
    if count % match.shape[1] == 0:
        match = jnp.repeat(match, count // match.shape[1], axis=1)
    match = jax.lax.stop_gradient(at_quantiles(match, count))
    return jnp.mean((_sorted_along(rows, statistic) - match) ** 2)
