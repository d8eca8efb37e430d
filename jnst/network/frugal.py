"""Layers that keep little for the backward pass, for networks that a run prepared.

XLA on a CPU decides by itself what to compute twice: to save a pass over memory it
computes a ReLU, or which pixel of a window was the largest, anew in all that use it,
and so keeps what those are computed from, which is larger. Here each layer says what it
keeps, and is compiled as one, `apart`. Values and derivatives are those of
`jax.nn.relu` and of max pooling by `jnp.maximum`, ties and all.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.xla_metadata import set_xla_metadata
from jaxtyping import Array, Float, UInt8

from jnst.linear import linear, merged

Maps = Float[Array, "n _ _ _"]
SHIFTS = np.array([[0, 2], [4, 6]], np.uint8).reshape(1, 1, 2, 1, 2, 1)
"""Bits at which a window's code tells the share of each of its pixels."""


def apart(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """Compile a function as one piece, neither joined nor mixed with what is around it.

    Args:
      function: A pure function of arrays.
      **options: Of `jax.jit`.

    Returns:
      The function, to be called in one that is jitted. On other backends than the CPU's
      it is `jax.jit` alone: XLA knows better there.
    """

    @functools.wraps(function)
    def own(*arguments: Any) -> Any:
        with set_xla_metadata(inlineable=None):  # for itself, not for what it calls
            return function(*arguments)

    jitted = jax.jit(own, **options)

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        if jax.default_backend() != "cpu":
            return jitted(*arguments)
        with set_xla_metadata(inlineable="false"):
            return jitted(*arguments)

    return call


@apart
def _rectified(maps: Maps) -> Maps:
    return jnp.maximum(maps, 0)


@jax.custom_jvp
def relu(maps: Maps) -> Maps:
    """Rectify; the result is all that is kept."""
    return _rectified(maps)


_let_through = linear(
    "rectified",
    lambda maps, result: jnp.where(result > 0, maps, 0),
    {0: lambda cotangent, result: _let_through(cotangent, result)},
    batch=merged(),
)


@relu.defjvp
def _relu_tangent(primals: tuple[Maps], tangents: tuple[Maps]) -> tuple[Maps, Maps]:
    found = relu(*primals)
    return found, _let_through(*tangents, found)


def _share(one: Array, other: Array) -> Array:
    """Which of two is the larger, in halves: 2, 1 for a tie, 0."""
    return (one >= other).astype(jnp.uint8) + (one > other).astype(jnp.uint8)


@apart
def _pooled(maps: Maps) -> tuple[Maps, UInt8[Array, "n _ _ _"]]:
    """Pool, rectify, and tell in a byte what share of a derivative each pixel gets."""
    (a, b), (c, d) = ([maps[:, i::2, j::2] for j in (0, 1)] for i in (0, 1))
    top, bottom = jnp.maximum(a, b), jnp.maximum(c, d)
    largest = jnp.maximum(top, bottom)
    upper, left, right = _share(top, bottom), _share(a, b), _share(c, d)
    quarters = upper * left, upper * (2 - left), (2 - upper) * right
    quarters += ((2 - upper) * (2 - right),)
    code = sum(jnp.minimum(q, 3) << np.uint8(2 * n) for n, q in enumerate(quarters))
    return jnp.maximum(largest, 0), jnp.where(largest > 0, code, 0).astype(jnp.uint8)


def _shares(code: Array, dtype: Any) -> Float[Array, "n _ 2 _ 2 _"]:
    """Read a byte a window: the share of each of its four pixels."""
    quarters = (code[:, :, None, :, None, :] >> SHIFTS) & np.uint8(3)
    return jnp.where(quarters == 3, 1, quarters.astype(dtype) / 4)


def _gathered(maps: Maps, code: Array) -> Maps:
    """Add up the shares of each window's pixels."""
    n, height, width, channels = code.shape
    windows = maps.reshape(n, height, 2, width, 2, channels)
    return jnp.sum(_shares(code, maps.dtype) * windows, axis=(2, 4))


def _spread(cotangent: Maps, code: Array) -> Maps:
    """Give each pixel of a window its share."""
    n, height, width, channels = code.shape
    found = _shares(code, cotangent.dtype) * cotangent[:, :, None, :, None, :]
    return found.reshape(n, 2 * height, 2 * width, channels)


_gather = linear(
    "pooled", _gathered, {0: lambda x, code: _scatter(x, code)}, batch=merged()
)
_scatter = linear(
    "unpooled", _spread, {0: lambda x, code: _gather(x, code)}, batch=merged()
)


@jax.custom_jvp
def pooled_relu(maps: Maps) -> Maps:
    """Pool 2x2 windows by their maximum, and rectify; a byte a window is kept.

    Args:
      maps: Of shape [N, H, W, C], both sides even.

    Returns:
      Of shape [N, H / 2, W / 2, C].
    """
    return _pooled(maps)[0]


@pooled_relu.defjvp
def _pool_tangent(primals: tuple[Maps], tangents: tuple[Maps]) -> tuple[Maps, Maps]:
    found, code = _pooled(*primals)
    return found, _gather(*tangents, code)
