"""SSIM and MS-SSIM: structure of pixels, window by window."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from jnst.base import HIGHEST, Scalar, check_one_of
from jnst.losses.elementwise import power
from jnst.metrics.rows import Map, Picture, check_pair

WINDOW, DEVIATION = 11, 1.5
K1, K2 = 0.01, 0.03
"""Over a range of 1: the constants are their squares."""
LEVEL_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
LEAST_SIDE = 161
"""Of MS-SSIM: the window must fit into the coarsest level."""
ODD = {
    "zeros": lambda odd: ((odd, odd), "constant"),  # VainF/pytorch-msssim
    "edge": lambda odd: ((0, odd), "edge"),  # plenoptic
}
"""What is put around an odd side before it is halved, and how."""


def _window() -> np.ndarray:
    places = np.arange(WINDOW) - WINDOW // 2
    weights = np.exp(-(places**2) / (2 * DEVIATION**2))
    return weights / weights.sum()


def _blurred(x: Map) -> Map:
    """Average by the Gaussian window where it fits, rows and then columns."""
    kernel = jnp.asarray(_window(), x.dtype)
    found = jnp.moveaxis(x, -1, 0)[..., None]  # channels stand in for the batch
    for shape in ((WINDOW, 1, 1, 1), (1, WINDOW, 1, 1)):
        found = lax.conv_general_dilated(
            found,
            kernel.reshape(shape),
            window_strides=(1, 1),
            padding="VALID",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            precision=HIGHEST,
        )
    return jnp.moveaxis(found[..., 0], 0, -1)


def _parts(x: Map, y: Map) -> tuple[Float[Array, "_"], Float[Array, "_"]]:
    """Return the means over positions of SSIM and of its part without luminance.

    Variances do not change with what both are moved by; moved to about 0 their
    differences of squares keep float32's digits.
    """
    move = lax.stop_gradient(jnp.mean(y, axis=(0, 1), keepdims=True))
    a, b = x - move, y - move
    mean_a, mean_b = _blurred(a), _blurred(b)
    spread = _blurred(a * a) - mean_a**2 + _blurred(b * b) - mean_b**2
    joint = _blurred(a * b) - mean_a * mean_b
    structure = (2 * joint + K2**2) / (spread + K2**2)
    mean_x, mean_y = mean_a + move, mean_b + move
    luminance = (2 * mean_x * mean_y + K1**2) / (mean_x**2 + mean_y**2 + K1**2)
    means = [jnp.mean(each, axis=(0, 1)) for each in (luminance * structure, structure)]
    return means[0], means[1]


def ssim(result: Picture, reference: Picture) -> Scalar:
    """Compute the structural similarity of two pictures.

    Args:
      result: Picture [H, W, 3] in [0, 1].
      reference: The other, of the same size.

    Returns:
      Scalar in [-1, 1], 1 if they are equal: a similarity.

    Raises:
      ValueError: If the sizes differ, or a side is below 11 pixels.

    References:
      Wang et al, "Image Quality Assessment", IEEE TIP 2004: Gaussian window of 11
      pixels, deviation 1.5, no padding, variances over the window's weights. The mean
      over channels, as VainF/pytorch-msssim. scikit-image's default is another number.
    """
    check_pair("ssim", result, reference, WINDOW)
    return jnp.mean(_parts(result, reference)[0])


def _halved(x: Map, odd: str) -> Map:
    """Average 2x2 pixels; odd sides are first made even, or longer by two."""
    for axis in (0, 1):
        (before, after), mode = ODD[odd](x.shape[axis] % 2)
        widths = [(0, 0)] * 3
        widths[axis] = (before, after)
        x = jnp.pad(x, widths, mode)
    height, width = x.shape[0] // 2, x.shape[1] // 2
    x = x[: 2 * height, : 2 * width]
    return (x[::2, ::2] + x[1::2, ::2] + x[::2, 1::2] + x[1::2, 1::2]) / 4


def ms_ssim(result: Picture, reference: Picture, *, odd: str = "zeros") -> Scalar:
    """Compute the structural similarity over five sizes, each half of the one before.

    Args:
      result: Picture [H, W, 3] in [0, 1].
      reference: The other, of the same size.
      odd: How an odd side is halved: "zeros" on both sides, as VainF/pytorch-msssim,
        or "edge", the last line repeated, as plenoptic.

    Returns:
      Scalar in [0, 1], 1 if they are equal.

    Raises:
      ValueError: If the sizes differ, a side is below 161 pixels, or `odd` is unknown.

    References:
      Wang et al, "Multiscale Structural Similarity", Asilomar 2003. Products by
      channel, then their mean. Where a level's mean is not positive its power is 0,
      and so is its derivative, which would be infinite.
    """
    check_one_of("odd of ms_ssim", odd, ODD)
    check_pair("ms_ssim", result, reference, LEAST_SIDE)
    product = jnp.ones(result.shape[-1], result.dtype)
    for level, weight in enumerate(LEVEL_WEIGHTS):
        whole, structure = _parts(result, reference)
        last = level == len(LEVEL_WEIGHTS) - 1
        product *= power(jax.nn.relu(whole if last else structure), weight)
        if not last:
            result, reference = _halved(result, odd), _halved(reference, odd)
    return jnp.mean(product)
