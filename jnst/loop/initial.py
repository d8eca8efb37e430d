"""The first image of a run: one table row a way to begin.

Every function takes a PRNG key, the content image, the style image stretched to its
shape, and the colour that the network sees as zero, and returns an image of that
shape, RGB with 0..1 as the visible range. To add one, add a row to `INITS`.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jnst.base import Image

Colour = Float[Array, "3"]


def _content(key: Array, content: Image, style: Image, zero: Colour) -> Image:
    """The content image itself."""
    return content


def _noise(key: Array, content: Image, style: Image, zero: Colour) -> Image:
    """Uniform noise in [0, 1] (source 000)."""
    return jax.random.uniform(key, content.shape, content.dtype)


def _noise_mix(key: Array, content: Image, style: Image, zero: Colour) -> Image:
    """0.6 of uniform noise in +-20 grey levels, 0.4 of the content, about `zero`.

    References:
      The helper file of source 002, `generate_noise_image`.
    """
    noise = jax.random.uniform(key, content.shape, content.dtype, -20 / 255, 20 / 255)
    centre = zero.reshape(1, 1, 1, 3)
    return centre + 0.6 * noise + 0.4 * (content - centre)


def _mean_noise(key: Array, content: Image, style: Image, zero: Colour) -> Image:
    """Normal noise of 0.001 grey levels about `zero` (jcjohnson/neural-style)."""
    noise = jax.random.normal(key, content.shape, content.dtype) * 0.001 / 255
    return zero.reshape(1, 1, 1, 3) + noise


def _gray(key: Array, content: Image, style: Image, zero: Colour) -> Image:
    """Mid grey with noise of one grey level (crowsonkb/style-transfer-pytorch)."""
    return 0.5 + jax.random.uniform(key, content.shape, content.dtype) / 255


def _style(key: Array, content: Image, style: Image, zero: Colour) -> Image:
    """The style image, stretched."""
    return style


def _style_mean(key: Array, content: Image, style: Image, zero: Colour) -> Image:
    """The style's mean colour with noise of one grey level (the same source)."""
    noise = jax.random.uniform(key, content.shape, content.dtype) / 255
    return jnp.mean(style, axis=(1, 2), keepdims=True) + noise


INITS: dict[str, Callable[[Array, Image, Image, Colour], Image]] = {
    "content": _content,
    "noise": _noise,
    "noise_mix": _noise_mix,
    "mean_noise": _mean_noise,
    "gray": _gray,
    "style": _style,
    "style_mean": _style_mean,
}
