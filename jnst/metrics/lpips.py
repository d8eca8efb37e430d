"""LPIPS: learned distances of features of AlexNet or VGG16, and what is made of it."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jnst.base import HIGHEST, Params, Scalar
from jnst.metrics.rows import Map, Picture, check_pair
from jnst.network.vgg import extract, preprocess

VGG_LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")
LEAST_ALEXNET, LEAST_VGG = 31, 16
STRIDES = {"conv1": (4, 2), "conv2": (1, 2), "conv3": (1, 1), "conv4": (1, 1)}
STRIDES |= {"conv5": (1, 1)}
"""AlexNet's convolutions: stride, and zeros on each side."""
POOLED = ("conv2", "conv3")
"""Convolutions that see 3x3 maxima, two apart, of what is before them."""
EPSILON = 1e-10
GREY = (19595, 38470, 7471)
"""Pillow's weights of red, green and blue, over 65536."""
Maps = Float[Array, "1 _ _ _"]


def _largest(x: Maps) -> Maps:
    start = -jnp.inf if x.dtype != jnp.bfloat16 else -jnp.asarray(jnp.inf, x.dtype)
    return lax.reduce_window(x, start, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), "VALID")


def alexnet(params: Params, picture: Picture) -> list[Map]:
    """Compute the five maps of torchvision's AlexNet past its ReLUs.

    Args:
      params: {"preprocess", "conv1" .. "conv5"}, each {"kernel", "bias"}.
      picture: [H, W, 3] in [0, 1].

    Returns:
      Maps [h, w, C] of 64, 192, 384, 256 and 256 channels.

    References:
      Krizhevsky, "One weird trick for parallelizing convolutional neural networks",
      2014; `torchvision.models.alexnet`.
    """
    x, found = preprocess(params, picture[None]), []
    for name, (stride, padding) in STRIDES.items():
        x = lax.conv_general_dilated(
            _largest(x) if name in POOLED else x,
            params[name]["kernel"].astype(x.dtype),
            window_strides=(stride, stride),
            padding=[(padding, padding)] * 2,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            precision=HIGHEST,
        )
        x = jax.nn.relu(x + params[name]["bias"].astype(x.dtype).reshape(1, 1, 1, -1))
        found.append(x[0])
    return found


def layer_distance(ours: Map, theirs: Map, heads: Float[Array, "c"]) -> Scalar:
    """Average over positions the weighted squared difference of unit vectors.

    Args:
      ours: Map [H, W, C].
      theirs: The other, of the same shape.
      heads: Weight of each channel, >= 0.

    References:
      Zhang et al, CVPR 2018, eq. 1. 1e-20 under the root keeps the derivative of a
      vector of zeros a number.
    """

    def unit(x: Map) -> Map:
        squares = jnp.sum(x**2, axis=-1, keepdims=True)
        return x / (jnp.sqrt(squares + EPSILON**2) + EPSILON)

    difference = (unit(ours) - unit(theirs)) ** 2
    return jnp.mean(jnp.sum(difference * heads.reshape(1, 1, -1), axis=-1))


def _total(ours: list[Map], theirs: list[Map], weights: Any) -> Scalar:
    triples = zip(ours, theirs, weights["heads"], strict=True)
    return sum(
        (layer_distance(a, b, w.astype(a.dtype)) for a, b, w in triples),
        jnp.zeros((), ours[0].dtype),
    )


def lpips_alex(result: Picture, reference: Picture, *, weights: Any) -> Scalar:
    """Compute LPIPS version 0.1 on AlexNet.

    Args:
      result: Picture [H, W, 3] in [0, 1].
      reference: The other, of the same size.
      weights: What `jnst.metrics.packaged.load_alexnet` returns.

    Returns:
      Scalar >= 0, 0 if they are equal.

    Raises:
      ValueError: If the sizes differ, or a side is below 31 pixels.

    References:
      Zhang et al, "The Unreasonable Effectiveness of Deep Features as a Perceptual
      Metric", CVPR 2018; richzhang/PerceptualSimilarity. The input is 2I - 1, shifted
      and scaled, which is ImageNet's mean and deviation of I.
    """
    check_pair("AlexNet", result, reference, LEAST_ALEXNET)
    ours, theirs = (alexnet(weights["network"], each) for each in (result, reference))
    return _total(ours, theirs, weights)


def lpips_vgg(result: Picture, reference: Picture, *, weights: Any) -> Scalar:
    """Compute LPIPS version 0.1 on VGG16.

    Args:
      result: Picture [H, W, 3] in [0, 1].
      reference: The other, of the same size.
      weights: What `jnst.metrics.packaged.load_vgg16` returns.

    Returns:
      Scalar >= 0, 0 if they are equal.

    Raises:
      ValueError: If the sizes differ, or a side is below 16 pixels.

    References:
      As `lpips_alex`.
    """
    check_pair("relu5_3 of vgg16", result, reference, LEAST_VGG)

    def look(picture: Picture) -> list[Map]:
        found = extract(weights["network"], picture[None], VGG_LAYERS)
        return [found[layer][0] for layer in VGG_LAYERS]

    return _total(look(result), look(reference), weights)


def as_grey(picture: Picture) -> Picture:
    """Turn a picture into grey as Pillow does on 8 bits, three equal channels.

    Args:
      picture: [H, W, 3] in [0, 1].

    Returns:
      The same shape, in whole 255ths. The derivative is that of the weighted sum, as
      if nothing were rounded.
    """
    weights = jnp.asarray(GREY, picture.dtype).reshape(1, 1, 3) / 65536
    smooth = jnp.sum(picture * weights, axis=-1, keepdims=True)
    levels = jnp.clip(jnp.floor(255 * picture + 0.5), 0, 255).astype(jnp.int32)
    total = jnp.sum(levels * jnp.asarray(GREY).reshape(1, 1, 3), axis=-1, keepdims=True)
    exact = ((total + 32768) >> 16).astype(picture.dtype) / 255
    grey = smooth + lax.stop_gradient(exact - smooth)
    return jnp.broadcast_to(grey, picture.shape)


def lpips_grey(result: Picture, reference: Picture, *, weights: Any) -> Scalar:
    """Compute LPIPS on AlexNet of both pictures in grey.

    Args:
      result: Picture [H, W, 3] in [0, 1].
      reference: The other, of the same size.
      weights: As `lpips_alex`.

    Returns:
      Scalar >= 0, 0 if they are equal in grey.

    Raises:
      ValueError: As `lpips_alex`.

    References:
      Chung et al, "Style Injection in Diffusion" (StyleID), CVPR 2024,
      `eval_artfid.py`. There shorter sides are first resized to 512 pixels; here
      pictures keep their size.
    """
    return lpips_alex(as_grey(result), as_grey(reference), weights=weights)


def artfid_content(result: Picture, reference: Picture, *, weights: Any) -> Scalar:
    """Compute the content factor of ArtFID, 1 + LPIPS, which is not ArtFID.

    Args:
      result: Picture [H, W, 3] in [0, 1].
      reference: The content, of the same size.
      weights: As `lpips_alex`.

    Returns:
      Scalar >= 1.

    Raises:
      ValueError: As `lpips_alex`.

    References:
      Wright & Ommer, "ArtFID", GCPR 2022, eq. 3. Its other factor needs an Inception
      trained on art and thousands of pictures.
    """
    return 1 + lpips_alex(result, reference, weights=weights)
