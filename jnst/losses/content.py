"""Content losses: how far two feature maps of one shape are apart.

Every function takes the features of the image being optimised and the target, both
[1, H, W, C], and returns a scalar >= 0 that is 0 when they are equal. To add one,
write it here and give it a row in `jnst.losses.CONTENT_LOSSES`.
"""

import jax
import jax.numpy as jnp

from jnst.base import (
    FeatureMap,
    Scalar,
    as_statistics_dtype,
    check_one_of,
    check_same_shape,
)
from jnst.losses.elementwise import scaled_squares


def _difference(features: FeatureMap, target: FeatureMap) -> FeatureMap:
    check_same_shape("features and target", features, target)
    return as_statistics_dtype(features) - as_statistics_dtype(target)


def mean_squared(features: FeatureMap, target: FeatureMap) -> Scalar:
    """Mean of squared differences.

    Args:
      features: Feature map of the image being optimised, [1, H, W, C].
      target: Feature map of the content image, of the same shape.

    Returns:
      Scalar >= 0.

    Raises:
      ValueError: If the shapes differ; broadcasting would hide a wrong layer.

    References:
      Johnson et al, ECCV 2016, eq. 2; Gatys' own code; source 004. Gatys et al, CVPR
      2016, eq. 1 takes half the sum instead: `half_sum`.
    """
    return jnp.mean(_difference(features, target) ** 2)


def half_sum(features: FeatureMap, target: FeatureMap) -> Scalar:
    """Half the sum of squared differences; arguments as `mean_squared`.

    References:
      Gatys et al, CVPR 2016, eq. 1. Its gradient is F - P.
    """
    return jnp.sum(_difference(features, target) ** 2) / 2


def total_squared(features: FeatureMap, target: FeatureMap) -> Scalar:
    """Sum of squared differences; arguments as `mean_squared`.

    References:
      Source 001; keras-io, "Neural style transfer".
    """
    return jnp.sum(_difference(features, target) ** 2)


def quarter_mean(features: FeatureMap, target: FeatureMap) -> Scalar:
    """A quarter of the mean of squared differences; arguments as `mean_squared`.

    References:
      Source 002, eq. 1: the sum over 4 n_H n_W n_C.
    """
    return mean_squared(features, target) / 4


def squared_mean_difference(features: FeatureMap, target: FeatureMap) -> Scalar:
    """Square of the mean difference; arguments as `mean_squared`.

    It is 0 for any two maps of equal mean, and its gradient is the same in every
    entry: it can only shift the overall level of activation.

    References:
      Source 000, `get_content_loss`, which squares after the mean.
    """
    return jnp.mean(_difference(features, target)) ** 2


def scaled(
    features: FeatureMap, target: FeatureMap, *, epsilon: float = 1e-8
) -> Scalar:
    """Sum of squares over sum of absolute values; arguments as `mean_squared`.

    References:
      crowsonkb/style-transfer-pytorch, `ContentLoss` with `ScaledMSELoss`.
    """
    return scaled_squares(_difference(features, target), epsilon)


CYSMITH_FACTORS = {
    # Form: factor on the sum of squares, given C and M = H * W.
    "sqrt": lambda c, m: 1 / (2 * c**0.5 * m**0.5),
    "mean": lambda c, m: 1 / (c * m),
    "half": lambda c, m: 0.5,
}


def cysmith(features: FeatureMap, target: FeatureMap, *, form: str = "sqrt") -> Scalar:
    """Sum of squared differences under one of three constants.

    Args:
      features: Feature map of the image being optimised, [1, H, W, C].
      target: Feature map of the content image, of the same shape.
      form: "sqrt" for 1 / (2 sqrt(C) sqrt(M)), "mean" for 1 / (C M), "half" for 1/2.

    Returns:
      Scalar >= 0.

    Raises:
      ValueError: If the shapes differ, or for an unknown form.

    References:
      cysmith/neural-style-tf, `content_layer_loss`.
    """
    check_one_of("form of cysmith", form, CYSMITH_FACTORS)
    _, height, width, channels = features.shape
    factor = CYSMITH_FACTORS[form](channels, height * width)
    return factor * total_squared(features, target)


def adain_target(
    content: FeatureMap, style: FeatureMap | None, *, epsilon: float = 1e-5
) -> FeatureMap:
    """Give the content's features the style's channel means and deviations.

    Args:
      content: Feature map of the content image, [1, H, W, C].
      style: Feature map of the style image, of any size, [1, H', W', C].
      epsilon: Added to variances.

    Returns:
      Adaptive instance normalisation of the content's features, of their shape, for
      `mean_squared` to compare with; no gradient.

    Raises:
      ValueError: Without a style.

    References:
      Huang & Belongie, "Arbitrary Style Transfer in Real-time with Adaptive Instance
      Normalization", ICCV 2017, eqs. 8 and 12; naoto0804/pytorch-AdaIN,
      `adaptive_instance_normalization`, with its epsilon and its variance over M - 1.
      There it is what a decoder is trained towards, at relu4_1.
    """
    if style is None:
        raise ValueError("adain_target needs the style's features")
    maps = [as_statistics_dtype(each) for each in (content, style)]
    means = [jnp.mean(each, axis=(1, 2), keepdims=True) for each in maps]
    deviations = []
    for each, mean in zip(maps, means, strict=True):
        freedom = max(each.shape[1] * each.shape[2] - 1, 1)
        squares = jnp.sum((each - mean) ** 2, axis=(1, 2), keepdims=True)
        deviations.append(jnp.sqrt(squares / freedom + epsilon))
    normalised = (maps[0] - means[0]) / deviations[0]
    return jax.lax.stop_gradient(deviations[1] * normalised + means[1])
