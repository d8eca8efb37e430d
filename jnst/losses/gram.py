"""Second-order statistics: the Gram matrix under every normalisation, and covariance.

A statistic divides the Gram matrix by its own number of positions M = H * W, so that
images of different size can be compared. The constants that peers put in front of the
squared difference are one table, `SCALES`. To add one, add a row.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jnst.base import FeatureMap, Scalar, as_statistics_dtype, check_one_of
from jnst.losses.elementwise import scaled_squares
from jnst.losses.pooled import Pooled
from jnst.losses.products import centred_products, outer_products

SCALES: dict[str, Callable[[int, Array, int | Array], Array]] = {
    # Factor on the sum of squares of G/M - A/M', given C, M and the image's H * W.
    "hw": lambda c, m, area: 1 / c**2 + 0 * m,  # A1, A4: mean over C x C
    "image": lambda c, m, area: (m / area) ** 2 / (4 * 9),  # A2: 3 channels, image size
    "gatys": lambda c, m, area: 1 / (4 * c**2) + 0 * m,  # A3, B1: the paper's E_l
    "chw_sum": lambda c, m, area: 1 / c**2 + 0 * m,  # B2: Johnson's paper, G/CHW summed
    "chw": lambda c, m, area: 1 / c**4 + 0 * m,  # B2: Johnson's code, neural-style
    "mmd": lambda c, m, area: 1 + 0 * m,  # B6: MMD^2 with the quadratic kernel
    "raw": lambda c, m, area: m**2 / c**2,  # B10: mean over C x C of raw G
}


class GramStatistic(NamedTuple):
    """A Gram matrix and what its normalisations need.

    Attributes:
      matrix: Gram matrix over the number of positions, [C, C].
      positions: Number of positions M, a scalar.
    """

    matrix: Float[Array, "c c"]
    positions: Float[Array, ""]


def gram_matrix(features: FeatureMap) -> Float[Array, "c c"]:
    """Average the outer products of the feature vectors of all positions.

    Args:
      features: Feature map [1, H, W, C].

    Returns:
      F^T F / (H W), shape [C, C], for F of shape [H W, C].

    References:
      Gatys et al, "Texture Synthesis Using Convolutional Neural Networks", NIPS 2015,
      eq. 1. The paper does not divide by the number of positions.
    """
    return outer_products(features) / (features.shape[1] * features.shape[2])


def gram(features: FeatureMap) -> GramStatistic:
    """Summarise a feature map [1, H, W, C] by its Gram matrix."""
    matrix = gram_matrix(features)
    positions = features.shape[1] * features.shape[2]
    return GramStatistic(matrix, jnp.asarray(positions, matrix.dtype))


def shifted_second(moments: Pooled, shift: float | Scalar) -> Float[Array, "c c"]:
    """Average (f - shift) (f - shift)^T over positions, from their moments."""
    mean = moments.mean - shift
    return moments.products / moments.positions + mean[:, None] * mean[None]


def gram_of(moments: Pooled) -> GramStatistic:
    """Make the statistic of `gram` from moments."""
    return GramStatistic(shifted_second(moments, 0.0), moments.positions)


def activation_shift_of(moments: Pooled, *, shift: float = 1.0) -> Float[Array, "c c"]:
    """Make the Gram matrix of activations less `shift` from moments."""
    return shifted_second(moments, shift)


def blend_grams(
    statistics: Sequence[GramStatistic], weights: Sequence[float | Scalar]
) -> GramStatistic:
    """Mix the Gram matrices of several styles with weights that sum to 1.

    References:
      jcjohnson/neural-style, `StyleLoss` with `blend_weight`.
    """
    pairs = zip(statistics, weights, strict=True)
    return jax.tree.map(
        lambda *leaves: sum(leaves),
        *(
            jax.tree.map(lambda leaf, w=weight: w * leaf, statistic)
            for statistic, weight in pairs
        ),
    )


def gram_distance(
    statistic: GramStatistic,
    target: GramStatistic,
    *,
    scale: str = "hw",
    image_size: tuple[int, int] | None = None,
) -> Scalar:
    """Compare two Gram matrices by a multiple of their squared difference.

    Args:
      statistic: Of the image being optimised.
      target: Of the style image; its feature map may have another size.
      scale: Key of `SCALES`.
      image_size: Height and width in pixels, for the scale "image" alone; the feature
        map's number of positions stands in for it if absent.

    Returns:
      Scalar >= 0, of degree 4 in the features.

    Raises:
      ValueError: For an unknown scale.

    References:
      Section 1 of the catalogue; Gatys et al, CVPR 2016, eq. 4 is "gatys". Where sizes
      differ each Gram matrix is divided by its own M and then taken at the image's M:
      the sources with raw matrices demand equal sizes.
    """
    check_one_of("Gram scale", scale, SCALES)
    channels = statistic.matrix.shape[0]
    area = image_size[0] * image_size[1] if image_size else statistic.positions
    factor = SCALES[scale](channels, statistic.positions, area)
    return factor * jnp.sum((statistic.matrix - target.matrix) ** 2)


def scaled_gram_distance(
    statistic: GramStatistic, target: GramStatistic, *, epsilon: float = 1e-8
) -> Scalar:
    """Compare two Gram matrices by squares over absolute values.

    Args:
      statistic: Of the image being optimised.
      target: Of the style image.
      epsilon: Added to the denominator.

    Returns:
      Scalar >= 0 whose gradient has an L1 norm of about 1 at any layer.

    References:
      crowsonkb/style-transfer-pytorch, `StyleLoss`.
    """
    return scaled_squares(statistic.matrix - target.matrix, epsilon)


def covariance(features: FeatureMap) -> Float[Array, "c c"]:
    """Compute the population covariance [C, C] of the feature vectors."""
    features = as_statistics_dtype(features)
    return centred_products(features)[1] / (features.shape[1] * features.shape[2])


def covariance_of(moments: Pooled) -> Float[Array, "c c"]:
    """Make the population covariance from moments."""
    return moments.products / moments.positions


def covariance_distance(
    statistic: Float[Array, "c c"], target: Float[Array, "c c"]
) -> Scalar:
    """Take the mean squared difference of two covariances over C x C.

    References:
      The covariance option of JCBrouwer/maua-style.
    """
    return jnp.mean((statistic - target) ** 2)
