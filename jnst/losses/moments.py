"""Statistics of each channel on its own: means, deviations, higher central moments.

Deviations and norms have derivative 0 where they are 0: JAX's own say NaN. To add a
loss, write its pair here and give it a row.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jnst.base import FeatureMap, Scalar, as_statistics_dtype, check_one_of
from jnst.losses.elementwise import power
from jnst.losses.pooled import Pooled

MEAN_STD_FORMS = ("paper", "lua", "pytorch")
SQUASHES = {"sigmoid": jax.nn.sigmoid, "none": lambda x: x}
PYTORCH_EPSILON = 1e-5
POSITIONS = (0, 1, 2)
"""Axes of a map's positions. Not joined to one: a map split over devices stays so."""


class MeanStd(NamedTuple):
    """Mean and standard deviation of every channel.

    Attributes:
      mean: Over positions, [C].
      std: Over positions, [C].
    """

    mean: Float[Array, "c"]
    std: Float[Array, "c"]


def _norm(vector: Float[Array, "c"]) -> Scalar:
    return power(jnp.sum(vector**2), 0.5)


def _squared_sums(statistic: MeanStd, target: MeanStd) -> Scalar:
    means = jnp.sum((statistic.mean - target.mean) ** 2)
    return means + jnp.sum((statistic.std - target.std) ** 2)


def mean_and_std(features: FeatureMap, *, form: str = "paper") -> MeanStd:
    """Take every channel's mean and deviation over the positions of [1, H, W, C].

    Args:
      features: Feature map [1, H, W, C].
      form: Deviations are of the population, but for "pytorch", which divides the
        squares by H W - 1 and adds 1e-5 under the root.

    Raises:
      ValueError: For an unknown form.
    """
    check_one_of("form of mean_std", form, MEAN_STD_FORMS)
    maps = as_statistics_dtype(features)
    mean = jnp.mean(maps, axis=POSITIONS)
    squares = jnp.sum((maps - mean[None, None, None]) ** 2, axis=POSITIONS)
    return _from_squares(mean, squares, maps.shape[1] * maps.shape[2], form)


def _from_squares(mean: Array, squares: Array, positions: Any, form: str) -> MeanStd:
    if form == "pytorch":
        variance = squares / jnp.maximum(1, positions - 1)
        return MeanStd(mean, jnp.sqrt(variance + PYTORCH_EPSILON))
    return MeanStd(mean, power(squares / positions, 0.5))


def mean_and_std_of(moments: Pooled, *, form: str = "paper") -> MeanStd:
    """Make the statistic of `mean_and_std` from moments.

    Raises:
      ValueError: For an unknown form.
    """
    check_one_of("form of mean_std", form, MEAN_STD_FORMS)
    squares = jnp.diagonal(moments.products)
    return _from_squares(moments.mean, squares, moments.positions, form)


def channel_mean_std(features: FeatureMap) -> MeanStd:
    """Take every channel's mean and population deviation over [1, H, W, C]."""
    return mean_and_std(features)


def channel_mean_std_of(moments: Pooled) -> MeanStd:
    """Make the statistic of `channel_mean_std` from moments."""
    return mean_and_std_of(moments)


def bn_statistics(statistic: MeanStd, target: MeanStd) -> Scalar:
    """Compare the statistics that batch normalisation keeps.

    Args:
      statistic: Means and deviations of the image being optimised.
      target: Of the style image.

    Returns:
      Scalar >= 0: the mean over channels of squared differences of mean and of
      population deviation, added.

    References:
      Li et al, "Demystifying Neural Style Transfer", IJCAI 2017;
      lyttonhao/Neural-Style-MMD, `bn_loss.py`, without its factor M. No epsilon.
    """
    return _squared_sums(statistic, target) / statistic.mean.shape[0]


def mean_std(statistic: MeanStd, target: MeanStd, *, form: str = "paper") -> Scalar:
    """Compare means and deviations as AdaIN's training does.

    Args:
      statistic: Means and deviations of the image being optimised, of the same form.
      target: Of the style image.
      form: "paper" for |m - m'|_2 + |s - s'|_2, roots of sums over channels; "lua" for
        the sums of squares; "pytorch" for the means of squares.

    Returns:
      Scalar >= 0, of degree 1 in the features for "paper", else 2.

    Raises:
      ValueError: For an unknown form.

    References:
      Huang & Belongie, "Arbitrary Style Transfer in Real-time with Adaptive Instance
      Normalization", ICCV 2017, eq. 13; xunhuang1995/AdaIN-style,
      `StyleINLossModule.lua`; naoto0804/pytorch-AdaIN, `net.py`.
    """
    check_one_of("form of mean_std", form, MEAN_STD_FORMS)
    if form == "paper":
        means = _norm(statistic.mean - target.mean)
        return means + _norm(statistic.std - target.std)
    sums = _squared_sums(statistic, target)
    return sums / statistic.mean.shape[0] if form == "pytorch" else sums


def central_moments(
    features: FeatureMap, *, moments: int = 5, squash: str = "sigmoid"
) -> Float[Array, "k c"]:
    """Take every channel's mean and central moments of order 2 to `moments`.

    Args:
      features: Feature map [1, H, W, C]; the paper takes it before the ReLU.
      moments: Highest order, at least 1.
      squash: "sigmoid" brings features into (0, 1) first, "none" leaves them, which
        wants features of size about 1: the fifth moment grows with the fifth power.

    Returns:
      [moments, C], the mean in row 0.

    Raises:
      ValueError: For an unknown squash, or less than one moment.
    """
    check_one_of("squash of cmd", squash, SQUASHES)
    if moments < 1:
        raise ValueError(f"moments of cmd must be at least 1, got {moments}")
    maps = SQUASHES[squash](as_statistics_dtype(features))
    mean = jnp.mean(maps, axis=POSITIONS)
    centred = maps - mean[None, None, None]
    higher = [jnp.mean(centred**k, axis=POSITIONS) for k in range(2, moments + 1)]
    return jnp.stack([mean, *higher])


def cmd(statistic: Float[Array, "k c"], target: Float[Array, "k c"]) -> Scalar:
    """Compute the central moment discrepancy.

    Args:
      statistic: Central moments of the image being optimised, [K, C].
      target: Of the style image.

    Returns:
      Scalar >= 0: the sum over orders k of |c_k - c_k'|_2, the root of a sum over
      channels; its derivative is taken as 0 where a moment agrees exactly.

    References:
      Kalischek et al, "In the Light of Feature Distributions", CVPR 2021, with
      b - a = 1, the range of the sigmoid; D1noFuzi/cmd_styletransfer, `losses.py`,
      which gives every moment the weight 1.
    """
    return jnp.sum(jax.vmap(_norm)(statistic - target))
