"""Total variation in every published form: scalars >= 0 of an image alone.

Images are [1, H, W, C] in whichever scale the recipe optimises: 0..1 or 0..255. Means
do not change with the size of the image, sums grow with it. To add a form, write it
here and give it a row in `jnst.losses.IMAGE_LOSSES`.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jnst.base import (
    FeatureMap,
    Scalar,
    as_statistics_dtype,
    check_one_of,
    check_positive,
)
from jnst.losses.elementwise import absolute, power

Differences = tuple[Float[Array, "1 _ _ _"], Float[Array, "1 _ _ _"]]


def _differences(image: FeatureMap) -> Differences:
    """Differences to the right and to the lower neighbour, full extent each."""
    image = as_statistics_dtype(image)
    return image[:, :, 1:] - image[:, :, :-1], image[:, 1:] - image[:, :-1]


def _cropped(image: FeatureMap) -> Differences:
    """Both differences where both exist: without the last row and column."""
    right, down = _differences(image)
    return right[:, :-1], down[:, :, :-1]


def _replicated(image: FeatureMap) -> Differences:
    """Both differences everywhere, 0 past the edge."""
    right, down = _differences(image)
    right = jnp.pad(right, ((0, 0), (0, 0), (0, 1), (0, 0)))
    return right, jnp.pad(down, ((0, 0), (0, 1), (0, 0), (0, 0)))


def tv_mean_l2(image: FeatureMap) -> Scalar:
    """Mean squared difference to the right plus mean squared difference down.

    Args:
      image: Pixels [1, H, W, 3] in any scale.

    Returns:
      Scalar >= 0, of degree 2; 1/3 is expected of uniform noise in [0, 1].

    References:
      Source 000, `total_variation_loss`; anishathalye/neural-style.
    """
    right, down = _differences(image)
    return jnp.mean(right**2) + jnp.mean(down**2)


def tv_sum_l2(image: FeatureMap) -> Scalar:
    """Sum of squared differences in both directions.

    References:
      xunhuang1995/AdaIN-style, `TVLossCriterion`.
    """
    right, down = _differences(image)
    return jnp.sum(right**2) + jnp.sum(down**2)


def tv_sum_l1(image: FeatureMap) -> Scalar:
    """Sum of absolute differences in both directions: anisotropic total variation.

    References:
      `tf.image.total_variation`; ProGamerGov/neural-style-pt.
    """
    right, down = _differences(image)
    return jnp.sum(absolute(right)) + jnp.sum(absolute(down))


def tv_half_mean_l1(image: FeatureMap) -> Scalar:
    """Half of the mean absolute differences of both directions.

    References:
      d2l-ai/d2l-en, "Neural Style Transfer", `tv_loss`.
    """
    right, down = _differences(image)
    return (jnp.mean(absolute(right)) + jnp.mean(absolute(down))) / 2


BOUNDARIES = {"crop": _cropped, "replicate": _replicated}


def tv_beta(
    image: FeatureMap, *, beta: float = 2.0, mode: str = "crop", reduction: str = "sum"
) -> Scalar:
    """Sum of gradient magnitudes to a power, per colour channel.

    Args:
      image: Pixels [1, H, W, 3] in any scale.
      beta: Power of the magnitude, above 0; 2.5 is source 001's.
      mode: "crop" drops the last row and column, "replicate" counts a difference past
        the edge as 0.
      reduction: "sum" or "mean" over what `mode` leaves.

    Returns:
      Scalar >= 0, of degree beta. Flat spots have derivative 0 for every beta.

    Raises:
      ValueError: For an unknown mode or reduction, or beta <= 0.

    References:
      Mahendran & Vedaldi, CVPR 2015, section 3 ("replicate" is their code's);
      keras-io and source 001 ("crop", beta 2.5); pystiche ("crop", "mean").
    """
    check_one_of("mode of tv_beta", mode, BOUNDARIES)
    check_one_of("reduction", reduction, ("sum", "mean"))
    check_positive("beta", beta)
    right, down = BOUNDARIES[mode](image)
    magnitudes = power(right**2 + down**2, beta / 2)
    return jnp.sum(magnitudes) if reduction == "sum" else jnp.mean(magnitudes)


def tv_johnson(image: FeatureMap) -> Scalar:
    """Half the sum of squared differences, without the last row and column.

    References:
      jcjohnson/neural-style and fast-neural-style, `TVLoss`, which give the gradient
      only; this is the function it belongs to.
    """
    return tv_beta(image, beta=2.0, mode="crop") / 2


def tv_isotropic(image: FeatureMap, *, epsilon: float = 1e-8) -> Scalar:
    """Sum of gradient magnitudes, smoothed by `epsilon` under the root.

    References:
      Rudin, Osher & Fatemi 1992, discretised without the last row and column.
    """
    right, down = _cropped(image)
    return jnp.sum(jnp.sqrt(right**2 + down**2 + epsilon))


def tv_nine_point(image: FeatureMap) -> Scalar:
    """Mean squared differences to right, lower and both diagonal neighbours.

    Args:
      image: Pixels [1, H, W, 3] in any scale; its edge is repeated once.

    Returns:
      Scalar >= 0, of degree 2.

    References:
      crowsonkb/style-transfer-pytorch, `TVLoss`.
    """
    padded = jnp.pad(
        as_statistics_dtype(image), ((0, 0), (1, 1), (1, 1), (0, 0)), "edge"
    )
    inner = padded[:, 1:-1, 1:-1]
    straight = jnp.mean((padded[:, 1:-1, 2:] - inner) ** 2)
    straight += jnp.mean((padded[:, 2:, 1:-1] - inner) ** 2)
    diagonal = jnp.mean((padded[:, 1:, 1:] - padded[:, :-1, :-1]) ** 2)
    diagonal += jnp.mean((padded[:, 1:, :-1] - padded[:, :-1, 1:]) ** 2)
    return 2 * (straight / 3 + diagonal / 12)
