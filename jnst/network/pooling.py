"""Poolings of 2x2 windows. To add one, add a row to `POOLINGS`.

The derivative of a maximum goes to the first largest pixel of its window in row order,
as in TensorFlow, Keras, PyTorch and Caffe: flat and clipped areas of a picture tie.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array

from jnst.base import FeatureMaps


class Pooling(NamedTuple):
    """A 2x2 pooling of stride 2.

    Attributes:
      reduce: Joins the four corners of all windows, each [N, h, w, C], in row order.
      rescale: Factor that brings activations back to max pooling's scale
        (crowsonkb/style-transfer-pytorch, `pooling_scales`).
      commutes: Whether a ReLU may as well come after it.
    """

    reduce: Any
    rescale: float
    commutes: bool = False


def _larger(one: Array, other: Array) -> Array:
    # Not `jnp.maximum`, which shares a derivative at a tie. What is not a number stays.
    return jnp.where((one >= other) | jnp.isnan(one), one, other)


def _max4(a: Array, b: Array, c: Array, d: Array) -> Array:
    # Strided slices and choices: XLA's reduce_window has a slow backward on CPU.
    return _larger(_larger(a, b), _larger(c, d))


def _mean4(a: Array, b: Array, c: Array, d: Array) -> Array:
    return (a + b + c + d) / 4


def _norm4(a: Array, b: Array, c: Array, d: Array) -> Array:
    squares = a * a + b * b + c * c + d * d
    positive = squares > 0  # the root's derivative at 0 is infinite
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, squares, 1)), 0)


POOLINGS: dict[str, Pooling] = {
    "max": Pooling(_max4, 1.0, commutes=True),
    "average": Pooling(_mean4, 2.0),
    "l2": Pooling(_norm4, 0.78),
}


def pool(
    x: FeatureMaps,
    kind: str,
    *,
    rescale: bool,
    ceil: bool,
    reduce: Callable[[FeatureMaps], FeatureMaps] | None = None,
) -> FeatureMaps:
    """Pool 2x2 windows with stride 2.

    Args:
      x: Feature map [N, H, W, C].
      kind: Key of `POOLINGS`.
      rescale: Whether to multiply by the pooling's `rescale`.
      ceil: Whether an odd last row or column makes a window of its own (Caffe,
        MatConvNet, TensorFlow's "SAME") or is dropped (Keras, torchvision).
      reduce: Pools a map of whole windows; by default as `kind` says.

    Returns:
      Feature map [N, H // 2, W // 2, C], rounded up where `ceil`.
    """
    _, height, width, _ = x.shape
    # A repeated edge changes neither the maximum nor the mean of a window, and comes
    # after what it repeats: the first largest pixel is never one of it.
    if ceil:
        x = jnp.pad(x, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), "edge")
    else:
        x = x[:, : height // 2 * 2, : width // 2 * 2]
    if reduce is None:
        corners = [x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]
        pooled = POOLINGS[kind].reduce(*corners)
    else:
        pooled = reduce(x)
    factor = POOLINGS[kind].rescale if rescale else 1.0
    return pooled if factor == 1.0 else pooled * factor
