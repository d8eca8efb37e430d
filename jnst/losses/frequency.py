"""Long-range structure by Fourier transform: how a feature repeats over distances."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jnst.base import FeatureMap, Scalar, as_statistics_dtype, check_positive

Correlations = Float[Array, "_ _ c"]


def autocorrelation(features: FeatureMap, *, shifts: int = 8) -> Correlations:
    """Average the products of each channel with its own shifted copies.

    Args:
      features: Feature map [1, H, W, C].
      shifts: Largest shift in positions along each axis; less where the map is smaller.

    Returns:
      [2 s + 1, 2 s + 1, C] for shifts -s .. s down and right, each the mean over the
      positions where both copies are; s is at most min(H, W) - 1.

    Raises:
      ValueError: If `shifts` is not above 0.

    References:
      Sendik & Cohen-Or, "Deep Correlations for Texture Synthesis", ACM TOG 2017,
      eq. 4; computed as the inverse transform of the power spectrum (Wiener-Khinchin).
    """
    check_positive("shifts", float(shifts))
    maps = as_statistics_dtype(features)[0]
    height, width, _ = maps.shape
    s = min(shifts, height - 1, width - 1)
    size = height + s, width + s  # padding keeps far borders from meeting
    power = jnp.abs(jnp.fft.rfft2(maps, s=size, axes=(0, 1))) ** 2
    sums = jnp.fft.irfft2(power, s=size, axes=(0, 1))
    for axis in (0, 1):  # negative shifts are at the end
        sums = jnp.concatenate(
            [
                jax.lax.slice_in_dim(sums, size[axis] - s, size[axis], axis=axis),
                jax.lax.slice_in_dim(sums, 0, s + 1, axis=axis),
            ],
            axis,
        )
    lags = jnp.arange(-s, s + 1)
    counts = jnp.outer(height - jnp.abs(lags), width - jnp.abs(lags))
    return sums / counts.astype(sums.dtype)[:, :, None]


def autocorrelation_distance(statistic: Correlations, target: Correlations) -> Scalar:
    """Take the mean squared difference over all shifts that both have, and channels.

    References:
      Sendik & Cohen-Or 2017, eq. 5, a quarter of the sum; this takes the mean, so that
      weights do not change with the number of shifts.
    """
    shared = min(statistic.shape[0], target.shape[0]) // 2

    def centre(found: Correlations) -> Correlations:
        middle = found.shape[0] // 2
        keep = slice(middle - shared, middle + shared + 1)
        return found[keep, keep]

    return jnp.mean((centre(statistic) - centre(target)) ** 2)
