"""Layers that keep little for the backward pass, for networks that a run prepared.

XLA on a CPU decides by itself what to compute twice: to save a pass over memory it
computes a ReLU, or which pixel of a window was the largest, anew in all that use it,
and so keeps what those are computed from, which is larger. Here each layer says what it
keeps, and is compiled as one, `apart`. Values and derivatives are those of
`jax.nn.relu` and of `jnst.network.pooling`'s max pooling, ties and all; the maps are
Winograd's, whose rounding parts pixels that tie, see `TIE`.
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
PLACES = np.array([[0, 1], [2, 3]], np.uint8).reshape(1, 1, 2, 1, 2, 1)
"""Codes of the pixels of a window, in row order."""
NOWHERE = np.uint8(4)
"""Code of a window that has no derivative."""

TIE = 7e-7
"""Share of a channel's largest value up to which pixels of a window count as equal.
Winograd's rounding differs by a pixel's place in its tile: 2e-7 in flat areas, where
the definition gives the same to the last bit."""


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
def _rectified(maps: Maps, *bias: Array) -> Maps:
    return jnp.maximum(sum(bias, maps), 0)


@jax.custom_jvp
def relu(maps: Maps, *bias: Float[Array, "1 1 1 _"]) -> Maps:
    """Rectify, a bias added first if one is given; the result is all that is kept.

    The bias is taken as frozen: its gradient is zero.
    """
    return _rectified(maps, *bias)


_let_through = linear(
    "rectified",
    lambda maps, result: jnp.where(result > 0, maps, 0),
    {0: lambda cotangent, result: _let_through(cotangent, result)},
    batch=merged(),
)


@relu.defjvp
def _relu_tangent(
    primals: tuple[Array, ...], tangents: tuple[Array, ...]
) -> tuple[Maps, Maps]:
    found = relu(*primals)
    return found, _let_through(tangents[0], found)


def _corners(maps: Maps) -> list[Maps]:
    """List the pixels of all windows, in row order."""
    return [maps[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]


@apart
def _largest(maps: Maps) -> Maps:
    """Find the largest pixel of each window, once for what asks for it twice."""
    return functools.reduce(jnp.maximum, _corners(maps))


@apart
def _pooled(maps: Maps) -> tuple[Maps, UInt8[Array, "n _ _ _"]]:
    """Pool, rectify, and tell in a byte which pixel was the first largest."""
    a, b, c, _ = _corners(maps)
    largest = _largest(maps)
    least = largest - TIE * jnp.max(largest, axis=(1, 2), keepdims=True)
    last = np.uint8(2) + (c < least).astype(jnp.uint8)
    code = jnp.where(a >= least, np.uint8(0), jnp.where(b >= least, np.uint8(1), last))
    return jnp.maximum(largest, 0), jnp.where(largest > 0, code, NOWHERE)


def _gathered(maps: Maps, code: Array) -> Maps:
    """Take the pixel of each window that its code names."""
    n, height, width, channels = code.shape
    windows = maps.reshape(n, height, 2, width, 2, channels)
    named = code[:, :, None, :, None, :] == PLACES
    return jnp.sum(jnp.where(named, windows, 0), axis=(2, 4))


def _spread(cotangent: Maps, code: Array) -> Maps:
    """Give it to the pixel of each window that its code names."""
    n, height, width, channels = code.shape
    named = code[:, :, None, :, None, :] == PLACES
    found = jnp.where(named, cotangent[:, :, None, :, None, :], 0)
    return found.reshape(n, 2 * height, 2 * width, channels)


_gather = linear(
    "pooled", _gathered, {0: lambda x, code: _scatter(x, code)}, batch=merged()
)
_scatter = linear(
    "unpooled", _spread, {0: lambda x, code: _gather(x, code)}, batch=merged()
)


@jax.custom_jvp
def _pooled_and_code(maps: Maps) -> tuple[Maps, UInt8[Array, "n _ _ _"]]:
    return _pooled(maps)


@_pooled_and_code.defjvp
def _pool_tangent(primals: tuple[Maps], tangents: tuple[Maps]) -> tuple[Any, Any]:
    found, code = _pooled_and_code(*primals)
    none = np.zeros(code.shape, jax.dtypes.float0)
    return (found, code), (_gather(*tangents, code), none)


def pooled_relu(maps: Maps) -> Maps:
    """Pool 2x2 windows by their maximum, and rectify; a byte a window is kept.

    Args:
      maps: Of shape [N, H, W, C], both sides even.

    Returns:
      Of shape [N, H / 2, W / 2, C].
    """
    return _pooled_and_code(maps)[0]
