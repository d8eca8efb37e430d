"""Maximum mean discrepancy of feature vectors under three kernels.

MMD^2 = mean k(x, x') + mean k(y, y') - 2 mean k(x, y), over all pairs of the vectors x
of one map and y of the other. Two kernels have closed forms in O(H W); the Gaussian has
not, and needs positions sampled, or pairs. To add a kernel, write its pair here and
give it a row.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jnst.base import (
    FeatureMap,
    Scalar,
    as_statistics_dtype,
    check_one_of,
    check_positive,
    matmul,
    vdot,
)
from jnst.losses.gram import gram_matrix, shifted_second
from jnst.losses.picking import taken, taken_once
from jnst.losses.pooled import Pooled

Vectors = Float[Array, "_ _"]
BLOCK_ENTRIES = 2**22
"""Entries of the kernel matrix held at once, 16 MiB in float32."""
TINY_SQUARE = 1e-12


class Moments(NamedTuple):
    """The first two raw moments of the feature vectors.

    Attributes:
      mean: Mean vector, [C].
      second: Gram matrix over the number of positions, [C, C].
    """

    mean: Float[Array, "c"]
    second: Float[Array, "c c"]


def mean_vector(features: FeatureMap) -> Float[Array, "c"]:
    """Average the feature vectors of a map [1, H, W, C]."""
    return jnp.mean(as_statistics_dtype(features), axis=(0, 1, 2))


def mean_of(moments: Pooled) -> Float[Array, "c"]:
    """Take the mean vector from moments."""
    return moments.mean


def mmd_linear(statistic: Float[Array, "c"], target: Float[Array, "c"]) -> Scalar:
    """Compute the MMD under the kernel x.y: |mean x - mean y|^2.

    Args:
      statistic: Mean vector of the image being optimised, [C].
      target: Of the style image.

    Returns:
      Scalar >= 0, summed over channels, of degree 2 in the features.

    References:
      Li et al, "Demystifying Neural Style Transfer", IJCAI 2017. The constant Z of
      each layer is 1 here; their code divides the gradient by C M.
    """
    return jnp.sum((statistic - target) ** 2)


def raw_moments(features: FeatureMap) -> Moments:
    """Summarise a feature map [1, H, W, C] by its mean vector and Gram matrix / M."""
    return Moments(mean_vector(features), gram_matrix(features))


def raw_moments_of(moments: Pooled) -> Moments:
    """Make the statistic of `raw_moments` from moments."""
    return Moments(moments.mean, shifted_second(moments, 0.0))


def mmd_polynomial(statistic: Moments, target: Moments, *, c: float = 0.0) -> Scalar:
    """Compute the MMD under the kernel (x.y + c)^2.

    Args:
      statistic: Of the image being optimised.
      target: Of the style image.
      c: Offset of the kernel, at least 0; at 0 this is Gram's scale "mmd".

    Returns:
      Scalar >= 0: |Gx/M - Gy/M'|^2 + 2 c |mean x - mean y|^2.

    Raises:
      ValueError: If `c` is negative, for then it is no kernel.

    References:
      Li et al, "Demystifying Neural Style Transfer", IJCAI 2017. The constant Z of
      each layer is 1 here; their code divides the gradient by C^2 M.
    """
    if c < 0:
        raise ValueError(f"c of mmd_polynomial must be at least 0, got {c}")
    gram = jnp.sum((statistic.second - target.second) ** 2)
    return gram + 2 * c * mmd_linear(statistic.mean, target.mean)


def _bandwidth(mean_square: Scalar, sigma2: float | None, multiplier: float) -> Array:
    """Return gamma of exp(-gamma d^2), which nothing differentiates."""
    if sigma2 is not None:
        return jnp.asarray(1 / (2 * sigma2), mean_square.dtype)
    mean_square = jnp.maximum(jax.lax.stop_gradient(mean_square), TINY_SQUARE)
    return multiplier / mean_square


def _sampled(key: Array | None, x: Vectors, samples: int) -> Vectors:
    """Take one vector of each of `samples` runs of positions; all, if there are few."""
    count = x.shape[0]
    if not samples or count <= samples:
        return x
    inside = 0.5 if key is None else jax.random.uniform(key, (samples,))
    places = jnp.floor((np.arange(samples) + inside) * (count / samples))
    return taken(x, jnp.clip(places.astype(int), 0, count - 1))


def _kernel_mean(x: Vectors, y: Vectors, gamma: Array) -> Scalar:
    """Average exp(-gamma |x - y|^2) - 1 over all pairs, a block of rows at a time.

    The -1 cancels in an MMD and saves digits where all vectors are close.
    """
    count, channels = x.shape
    rows = min(count, max(1, BLOCK_ENTRIES // y.shape[0]))
    blocks = -(-count // rows)
    padded = jnp.pad(x, ((0, blocks * rows - count), (0, 0)))
    real = jnp.asarray(np.arange(blocks * rows) < count, x.dtype)
    y_squares = jnp.sum(y**2, axis=1)

    @jax.checkpoint
    def block(args: tuple[Array, Array]) -> Array:
        ours, counted = args
        squares = jnp.sum(ours**2, axis=1)[:, None] + y_squares[None]
        products = matmul(ours, y.T)
        squares = jnp.maximum(squares - 2 * products, 0)
        return vdot(counted, jnp.mean(jnp.expm1(-gamma * squares), axis=1))

    parts = padded.reshape(blocks, rows, channels), real.reshape(blocks, rows)
    return jnp.sum(jax.lax.map(block, parts)) / count


def _exact(x: Vectors, y: Vectors, sigma2: float | None, multiplier: float) -> Scalar:
    middle = jax.lax.stop_gradient(jnp.mean(y, axis=0, keepdims=True))
    x, y = x - middle, y - middle
    spread = sum(
        jnp.mean(jnp.sum((v - v.mean(0, keepdims=True)) ** 2, 1)) for v in (x, y)
    )
    # The mean of |x-x'|^2, |y-y'|^2, |x-y|^2 and |y-x|^2 over all pairs.
    mean_square = spread + jnp.sum((x.mean(0) - y.mean(0)) ** 2) / 2
    gamma = _bandwidth(mean_square, sigma2, multiplier)
    within = _kernel_mean(x, x, gamma) + _kernel_mean(y, y, gamma)
    return within - 2 * _kernel_mean(x, y, gamma)


def _linear_time(
    key: Array | None, x: Vectors, y: Vectors, sigma2: float | None, multiplier: float
) -> Scalar:
    if key is not None:
        ours, theirs = jax.random.split(key)
        orders = (
            jax.random.permutation(k, len(v)) for k, v in ((ours, x), (theirs, y))
        )
        x, y = (taken_once(v, order) for v, order in zip((x, y), orders, strict=True))
    pairs = min(x.shape[0], y.shape[0]) // 2
    if not pairs:
        raise ValueError("the linear estimator of mmd_gaussian needs two positions")
    (x0, x1), (y0, y1) = ((v[: 2 * pairs : 2], v[1 : 2 * pairs : 2]) for v in (x, y))
    kinds = (x0, x1), (y0, y1), (x0, y1), (y0, x1)
    squares = jnp.stack([jnp.sum((a - b) ** 2, axis=1) for a, b in kinds])
    gamma = _bandwidth(jnp.mean(squares), sigma2, multiplier)
    signs = np.array([1, 1, -1, -1], squares.dtype)
    return vdot(signs, jnp.sum(jnp.expm1(-gamma * squares), axis=1))


def mmd_gaussian(
    statistic: Vectors,
    target: Vectors,
    *,
    estimator: str = "exact",
    sigma2: float | None = None,
    multiplier: float = 1.0,
    samples: int = 2048,
    key: Array | None = None,
) -> Scalar:
    """Compute the MMD under the kernel exp(-|x - y|^2 / (2 sigma2)).

    Args:
      statistic: Feature vectors of the image being optimised, [M, C].
      target: Of the style image, [M', C].
      estimator: "exact", all pairs of the samples: time O(samples^2), memory O(M) and
        16 MiB blocks of the kernel matrix, one after the other; or "linear", the sum
        (not the mean) over disjoint pairs of the whole maps in a random order, which
        can be negative and is 0 at equality in the mean only.
      sigma2: Squared bandwidth. None takes 1 / (2 sigma2) to be `multiplier` over the
        mean squared distance of the pairs of both maps, which is not differentiated.
      multiplier: See `sigma2`.
      samples: Positions of each map that "exact" compares, one of each of as many
        equal runs of positions: a random one if there is a key, else the middle one.
        Both maps draw the same, so equal maps stay at distance 0. A map with no more
        positions is taken whole. 0 takes all positions: exact sums, in blocks, but at
        512 px relu1_1 has 262144, whose 7e10 kernels take minutes a step.
      key: PRNG key of this step; None neither draws nor shuffles.

    Returns:
      Scalar; "exact" is >= 0 up to rounding, and the biased estimate: sampling adds at
      most 2 / `samples` to the mean.

    Raises:
      ValueError: For an unknown estimator, a bandwidth, multiplier or number of
        samples out of range, or fewer than two positions for "linear".

    References:
      Li et al, "Demystifying Neural Style Transfer", IJCAI 2017; "linear" is
      lyttonhao/Neural-Style-MMD's estimator, `mmd_loss.py`. Where sizes differ we pair
      as many vectors as the smaller map has; the code demands equal sizes. Its scale
      factors, 1 / (C M), are left to the weights.
    """
    check_one_of("estimator of mmd_gaussian", estimator, ("exact", "linear"))
    check_positive("sigma2 of mmd_gaussian", 1.0 if sigma2 is None else sigma2)
    check_positive("multiplier of mmd_gaussian", multiplier)
    if samples < 0:
        raise ValueError(f"samples of mmd_gaussian must be at least 0, got {samples}")
    target = jax.lax.stop_gradient(target)
    if estimator == "linear":
        return _linear_time(key, statistic, target, sigma2, multiplier)
    ours, theirs = (_sampled(key, v, samples) for v in (statistic, target))
    return _exact(ours, theirs, sigma2, multiplier)
