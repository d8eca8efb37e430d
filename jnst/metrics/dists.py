"""DISTS: structure and texture of VGG16's maps, by learned weights."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from jnst.base import HIGHEST, FeatureMaps, Params, Scalar, check_same_shape
from jnst.metrics.rows import Map, Picture
from jnst.network.convolution import convolve
from jnst.network.layers import layer_names
from jnst.network.vgg import preprocess

STAGES = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")
C1 = C2 = 1e-6
UNDER_ROOT = 1e-12
HANN = np.outer([1, 2, 1], [1, 2, 1]) / 16
"""Weights of a pooling's window, the inside of a Hann window of five points."""


def hann_pool(x: FeatureMaps) -> FeatureMaps:
    """Pool 3x3 windows, two apart, by the root of their weighted mean square.

    Args:
      x: Maps [N, H, W, C], zeros beyond the border.

    Returns:
      Maps [N, (H - 1) // 2 + 1, (W - 1) // 2 + 1, C].
    """
    channels = x.shape[-1]
    kernel = jnp.asarray(HANN, x.dtype).reshape(3, 3, 1, 1)
    squares = lax.conv_general_dilated(
        x**2,
        jnp.broadcast_to(kernel, (3, 3, 1, channels)),
        window_strides=(2, 2),
        padding=[(1, 1), (1, 1)],
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=channels,
        precision=HIGHEST,
    )
    return jnp.sqrt(squares + UNDER_ROOT)


def stages(params: Params, picture: Picture) -> list[Map]:
    """Compute what DISTS compares: the picture and five maps of VGG16.

    Args:
      params: VGG16, torchvision's, see `jnst.base.Params`.
      picture: [H, W, 3] in [0, 1].

    Returns:
      Six maps [h, w, C]: the picture as it is, then those of `STAGES`, each pooling
      `hann_pool`.
    """
    x, found = preprocess(params, picture[None]), [picture]
    for name in layer_names("vgg16")[:-1]:
        if name.startswith("pool"):
            x = hann_pool(x)
        elif name.startswith("conv"):
            x = convolve(x, params[name], padding="constant", rectify=True)
        if name in STAGES:
            found.append(x[0])
    return found


def similarity(
    ours: Sequence[Map],
    theirs: Sequence[Map],
    alpha: Float[Array, "_"],
    beta: Float[Array, "_"],
) -> Scalar:
    """Compute 1 minus the weighted similarity of means and of structure.

    Args:
      ours: Maps of one picture, [h, w, C] each.
      theirs: Those of the other.
      alpha: Weights of the means' similarity, one a channel of all maps together.
      beta: Weights of the structure's; with alpha divided by the sum of both.

    Returns:
      Scalar, 0 if they are equal.

    References:
      Ding et al, TPAMI 2020, eqs. 4-7. Maps are centred before they are multiplied,
      where the code subtracts the product of means from the mean of products.
    """
    first, second = [], []
    for x, y in zip(ours, theirs, strict=True):
        mean_x, mean_y = (jnp.mean(each, axis=(0, 1)) for each in (x, y))
        first.append((2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1))
        a, b = x - mean_x.reshape(1, 1, -1), y - mean_y.reshape(1, 1, -1)
        joint, spread = (jnp.mean(z, axis=(0, 1)) for z in (a * b, a * a + b * b))
        second.append((2 * joint + C2) / (spread + C2))
    total = jnp.sum(alpha) + jnp.sum(beta)
    means, structures = (jnp.concatenate(each) for each in (first, second))
    return 1 - (jnp.sum(alpha * means) + jnp.sum(beta * structures)) / total


def dists(result: Picture, reference: Picture, *, weights: Any) -> Scalar:
    """Compute the deep image structure and texture similarity, a distance.

    Args:
      result: Picture [H, W, 3] in [0, 1].
      reference: The other, of the same size.
      weights: What `jnst.metrics.packaged.load_dists` returns.

    Returns:
      Scalar of about [0, 1], 0 if they are equal.

    Raises:
      ValueError: If the sizes differ.

    References:
      Ding et al, "Image Quality Assessment: Unifying Structure and Texture
      Similarity", TPAMI 2020; dingkeyan93/DISTS, `DISTS_pt.py`. Its command line first
      resizes shorter sides above 256 pixels to it; here pictures keep their size.
    """
    check_same_shape("result and reference", result, reference)
    ours, theirs = (stages(weights["network"], each) for each in (result, reference))
    alpha, beta = (weights[name].astype(result.dtype) for name in ("alpha", "beta"))
    return similarity(ours, theirs, alpha, beta)
