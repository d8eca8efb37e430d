"""Every loss by name: the tables, and `compute` to try one on raw arrays.

A style loss is a pair of pure functions and one row here: `statistic(features)`
summarises a feature map [1, H, W, C], `distance(statistic, target)` compares two
summaries. A row gets, with no more work, the command-line option, recipe validation,
the contract tests and its line in `jnst losses`. To add a loss: write the pair in the
file of its family, add a row.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jnst.base import Scalar, check_one_of
from jnst.losses import content, gram, smoothness, transport
from jnst.losses.rows import (
    ContentLoss,
    ImageLoss,
    StyleLoss,
    check_options,
    with_options,
)

STYLE_LOSSES: dict[str, StyleLoss] = {
    "gram": StyleLoss(
        gram.gram,
        gram.gram_distance,
        source="Gatys et al, CVPR 2016, eq. 4; constants of seven code bases",
        captures="correlations of all pairs of channels",
        blend=gram.blend_grams,
    ),
    "scaled_gram": StyleLoss(
        gram.gram,
        gram.scaled_gram_distance,
        source="crowsonkb/style-transfer-pytorch, StyleLoss",
        captures="as gram, with the same gradient size at every layer",
        blend=gram.blend_grams,
    ),
    "covariance": StyleLoss(
        gram.covariance,
        gram.covariance_distance,
        source="JCBrouwer/maua-style, covariance option",
        captures="correlations of channels around their means",
    ),
    "wasserstein2": StyleLoss(
        transport.gaussian,
        transport.wasserstein2,
        source="Olkin & Pukelsheim 1982; crowsonkb/style-transfer-pytorch, StyleLossW2",
        captures="means and covariances, as a transport cost",
        blend=transport.blend_gaussians,
    ),
}

CONTENT_LOSSES: dict[str, ContentLoss] = {
    "mean_squared": ContentLoss(
        content.mean_squared, "Johnson et al, ECCV 2016, eq. 2"
    ),
    "half_sum": ContentLoss(content.half_sum, "Gatys et al, CVPR 2016, eq. 1"),
    "sum": ContentLoss(content.total_squared, "source 001; keras-io"),
    "quarter_mean": ContentLoss(content.quarter_mean, "source 002, eq. 1"),
    "squared_mean_difference": ContentLoss(
        content.squared_mean_difference, "source 000, get_content_loss"
    ),
    "scaled": ContentLoss(
        content.scaled, "crowsonkb/style-transfer-pytorch, ContentLoss"
    ),
    "cysmith": ContentLoss(
        content.cysmith, "cysmith/neural-style-tf, content_layer_loss"
    ),
}

IMAGE_LOSSES: dict[str, ImageLoss] = {
    "tv_mean_l2": ImageLoss(
        smoothness.tv_mean_l2, "source 000; anishathalye/neural-style"
    ),
    "tv_sum_l2": ImageLoss(smoothness.tv_sum_l2, "xunhuang1995/AdaIN-style"),
    "tv_sum_l1": ImageLoss(smoothness.tv_sum_l1, "tf.image.total_variation"),
    "tv_half_mean_l1": ImageLoss(smoothness.tv_half_mean_l1, "d2l-ai/d2l-en"),
    "tv_beta": ImageLoss(smoothness.tv_beta, "Mahendran & Vedaldi, CVPR 2015"),
    "tv_johnson": ImageLoss(smoothness.tv_johnson, "jcjohnson/neural-style, TVLoss"),
    "tv_isotropic": ImageLoss(smoothness.tv_isotropic, "Rudin, Osher & Fatemi 1992"),
    "tv_nine_point": ImageLoss(
        smoothness.tv_nine_point, "crowsonkb/style-transfer-pytorch, TVLoss"
    ),
}


def functions_of(name: str) -> tuple[Any, ...]:
    """Return the functions of the loss `name`, whichever table it is in.

    Raises:
      ValueError: If no table has it.
    """
    if name in STYLE_LOSSES:
        return STYLE_LOSSES[name].statistic, STYLE_LOSSES[name].distance
    if name in CONTENT_LOSSES:
        return (CONTENT_LOSSES[name].distance,)
    check_one_of("loss", name, [*STYLE_LOSSES, *CONTENT_LOSSES, *IMAGE_LOSSES])
    return (IMAGE_LOSSES[name].value,)


def _batched(array: Any) -> jax.Array:
    array = jnp.asarray(array)
    array = array[None] if array.ndim == 3 else array
    if array.ndim != 4 or array.shape[0] != 1:
        raise ValueError(
            f"features must be [H, W, C] or [1, H, W, C], got {array.shape}"
        )
    return array


def compute(
    name: str,
    generated: Any,
    target: Any = None,
    key: jax.Array | None = None,
    **options: Any,
) -> Scalar:
    """Compute any loss on raw arrays, without a network.

    Args:
      name: Key of `STYLE_LOSSES`, `CONTENT_LOSSES` or `IMAGE_LOSSES`.
      generated: Features of the generated image, [H, W, C] or [1, H, W, C]; a dict of
        them in layer order for joint losses; the image itself for image losses.
      target: The same of the style or content image; None for image losses.
      key: PRNG key, for keyed losses.
      **options: Options of the loss, see `jnst losses NAME`.

    Returns:
      Scalar, the formula of the loss's reference.

    Raises:
      ValueError: For an unknown loss or option, or arrays of the wrong shape.
    """
    functions = functions_of(name)
    check_options(name, options, *functions)
    bound = [with_options(function, options) for function in functions]
    generated = jax.tree.map(_batched, generated)
    if name in IMAGE_LOSSES:
        return bound[0](generated)
    if target is None:
        raise ValueError(f"loss {name!r} compares two arrays, but target is missing")
    target = jax.tree.map(_batched, target)
    if name in CONTENT_LOSSES:
        return bound[0](generated, target)
    statistic, distance = bound
    keyed = {"key": key} if STYLE_LOSSES[name].keyed else {}
    return distance(statistic(generated), statistic(target), **keyed)
