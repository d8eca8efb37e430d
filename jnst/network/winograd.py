"""Winograd's F(4x4, 3x3) and F(2x2, 3x3): convolutions with zeros beyond the border.

The map is cut into tiles of 4x4 outputs, each 6x6 inputs; input and kernel are
transformed, multiplied position by position (2.25 products for each output where the
definition takes 9), and transformed back. Tiles of 2x2 take 4 products, and kernels of
less than half the memory. Kernels are frozen: theirs is transformed once. Maps are
[N, H, W, C], kernels HWIO. Who uses it is told in `jnst.network.convolution`.
"""

import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from jnst.linear import linear, merged
from jnst.network.frugal import Maps, apart

POINTS = {2: (0.0, 1.0, -1.0), 4: (0.0, 1.0, -1.0, 2.0, -0.5)}
"""By the side of a tile: where polynomials are evaluated, besides infinity. Of the sets
tried the most exact; closed under p -> -1 / p, so that the backward pass shares the
transformed kernel."""

STRIP_TILES, MOST_STRIPS = {2: 1152, 4: 512}, 8
"""Tiles worked on together: few save memory, many save compiling."""

STRIP_NUMBERS = 2**16
"""Tiles times channels worked on together, if that allows more tiles."""

FEW_TILES = 64
"""Up to so many, the kernel is the larger factor of the product."""

_dot = functools.partial(lax.dot, precision="highest")  # no TF32, nor bfloat16


@functools.cache
def matrices(tile: int) -> tuple[np.ndarray, ...]:
    """Return the transforms of Winograd's F(tile, 3).

    Args:
      tile: Outputs of a tile, a key of `POINTS`; it has tile + 2 inputs.

    Returns:
      With n = tile + 2: kernel's [n, 3], input's [n, n] and output's [tile, n]; then
      input's and output's for the backward pass, where the kernel is flipped, with the
      kernel's kept.

    References:
      Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016,
      eq. 8. Theirs are the points 0, 1, -1, 2, -2 for tiles of 4; ours have half the
      rounding error (Barabasz et al, "Error Analysis and Improving the Accuracy of
      Winograd Convolution", 2018). The backward transforms are ours: alternating signs
      turn the flipped kernel's value at p into p^2 times the kernel's own at -1 / p.
    """
    points, n = POINTS[tile], tile + 2

    def powers(count: int) -> np.ndarray:
        rows = [[p**k for k in range(count)] for p in points]
        return np.array([*rows, [0] * (count - 1) + [1]])

    factors = [np.prod([p - q for q in points if q != p]) for p in points] + [1]
    scale = np.array(factors).reshape(n, 1)
    kernel, output = powers(3) / scale, powers(tile).T
    input_ = np.linalg.inv(powers(n)).T * scale
    partner = [n - 1, *(points.index(-1 / p) for p in points[1:]), 0]
    weight = np.array([1, *(p**2 for p in points[1:]), 1]).reshape(n, 1) / scale
    signs = (-1.0) ** np.arange(n)
    turned_input = (weight * scale[partner] * input_ * signs)[partner]
    turned_output = (signs[:tile].reshape(tile, 1) * output)[:, partner]
    found = kernel, input_, output, turned_input, turned_output
    return tuple(matrix.astype(np.float32) for matrix in found)


@functools.partial(jax.jit, static_argnums=1)
def transformed_kernel(
    kernel: Float[Array, "3 3 i o"], tile: int
) -> Float[Array, "_ o i"]:
    """Transform a kernel for `winograd`, to [(tile + 2)^2, O, I]."""
    matrix = np.kron(matrices(tile)[0], matrices(tile)[0])
    taps = kernel.swapaxes(2, 3).reshape(9, -1)
    return _dot(matrix, taps).reshape(-1, *kernel.shape[:1:-1])


def _wide(array: Array) -> Any:
    """Return the type of transforms and sums: float32 for bfloat16."""
    return jnp.float32 if array.dtype == jnp.bfloat16 else array.dtype


def _products(left: Array, right: Array, *contracted: int) -> Array:
    """Multiply as many pairs of matrices, over one dimension of each."""
    over = (contracted[:1], contracted[1:]), ((0,), (0,))
    how: Any = {"precision": "highest", "preferred_element_type": _wide(left)}
    return lax.dot_general(left, right, over, **how)


def _combined(matrix: np.ndarray, parts: Sequence[Array]) -> Array:
    """Multiply a matrix with parts that are no array yet: [rows, *part]."""
    columns = matrix.T.reshape(*matrix.T.shape, *[1] * parts[0].ndim)
    terms = [column * part[None] for column, part in zip(columns, parts, strict=True)]
    return functools.reduce(jnp.add, terms)


# Each transform has two passes. XLA would join them, and compute the first anew for
# each of the numbers that the second makes of one: hence `apart`.
@functools.partial(apart, static_argnums=(1, 2, 3, 4))
def _transformed(maps: Array, tile: int, which: int, axis: int, dtype: Any) -> Array:
    """Transform overlapping tiles along an axis, which counts tiles then: [n, ...]."""
    last = maps.shape[axis] - tile - 1
    phases = [lax.slice_in_dim(maps, a, a + last, tile, axis) for a in range(tile + 2)]
    phases = [phase.astype(_wide(maps)) for phase in phases]
    return _combined(matrices(tile)[which], phases).astype(dtype)


@functools.partial(apart, static_argnums=(1, 2))
def _transformed_back(products: Array, tile: int, which: int) -> Array:
    """Transform [n, ...] back along its first axis: [tile, ...]."""
    return _combined(matrices(tile)[which], list(products))


def _from_tiles(
    products: Array, tile: int, which: int, grid: tuple[int, ...], first: bool
) -> Array:
    """Transform [n^2, N R C, O] back to a strip [N, tile R, tile C, O].

    Args:
      products: As they came.
      tile: Key of `POINTS`.
      which: Of its `matrices`.
      grid: N, R and C.
      first: Whether channels come first instead, [n^2, O, N R C].
    """
    rows = products.reshape(
        tile + 2, -1, products.shape[-1]
    )  # XLA would copy for N = 1
    found, square = _transformed_back(rows, tile, which), (tile, tile + 2)
    if first:
        found = found.reshape(*square, -1, *grid).transpose(1, 3, 4, 0, 5, 2)
    else:
        found = found.reshape(*square, *grid, -1).transpose(1, 2, 3, 0, 4, 5)
    columns = matrices(tile)[which].T.reshape(-1, 1, 1, 1, 1, tile, 1)
    summed = functools.reduce(jnp.add, list(found[..., None, :] * columns))
    n, rows, _, wide, _, channels = summed.shape
    return summed.reshape(n, rows * tile, wide * tile, channels)


def _convolved_strip(strip: Array, kernel: Array, backward: bool) -> Array:
    """Convolve [N, tile R + 2, tile C + 2, I] to [N, tile R, tile C, O]."""
    tile, n, channels = tile_of(kernel), strip.shape[0], strip.shape[-1]
    grid = (n, *((pixels - 2) // tile for pixels in strip.shape[1:3]))
    input_, output = (3, 4) if backward else (1, 2)
    found = _transformed(strip, tile, input_, 2, _wide(strip))
    found = _transformed(found, tile, input_, 2, kernel.dtype)
    found = found.reshape((tile + 2) ** 2, -1, channels)  # tiles, row by row
    # XLA packs the second factor: let that be the small one.
    first = found.shape[1] <= FEW_TILES and not backward
    if first:
        found = _products(kernel, found, 2, 2)
    else:
        found = _products(found, kernel, 2, 1 if backward else 2)
    return _from_tiles(found, tile, output, grid, first)


def tile_of(kernel: Array) -> int:
    """Return the side of the tiles that a transformed kernel is for."""
    return math.isqrt(kernel.shape[0]) - 2


def _convolved(maps: Maps, kernel: Array, backward: bool) -> Maps:
    """Pad maps to whole tiles and convolve them strip by strip."""
    tile, (_, height, width, _) = tile_of(kernel), maps.shape
    rows, columns = -(-height // tile), -(-width // tile)
    border = (1, tile * rows + 1 - height, 0), (1, tile * columns + 1 - width, 0)
    none = (0, 0, 0)
    padded = lax.pad(maps, np.zeros((), maps.dtype), (none, *border, none))
    most = max(STRIP_TILES[tile], STRIP_NUMBERS // max(kernel.shape[1:]))
    tall = max(most // columns, -(-rows // MOST_STRIPS))
    starts = range(0, rows, tall)
    strips = [padded[:, tile * r : tile * min(r + tall, rows) + 2] for r in starts]
    found = [_convolved_strip(strip, kernel, backward) for strip in strips]
    joined = found[0] if len(found) == 1 else lax.concatenate(found, 1)
    return joined[:, :height, :width]


@functools.partial(apart, static_argnums=3)
def _layer(maps: Maps, kernel: Array, bias: Array, rectify: bool) -> Maps:
    """Convolve, add the bias and rectify, in one piece."""
    found = _convolved(maps, kernel, False) + bias.astype(_wide(bias))
    return (jnp.maximum(found, 0) if rectify else found).astype(maps.dtype)


@apart
def _masked(maps: Maps, kernel: Array, *result: Maps) -> Maps:
    """Convolve, in one piece, and leave what a ReLU with this result let through."""
    found = _convolved(maps, kernel, False)
    return (jnp.where(result[0] > 0, found, 0) if result else found).astype(maps.dtype)


@apart
def _pulled(cotangent: Maps, kernel: Array, *result: Maps) -> Maps:
    """Pull a cotangent back through `_masked`, in one piece."""
    if result:
        cotangent = jnp.where(result[0] > 0, cotangent, 0)
    return _convolved(cotangent, kernel, True).astype(cotangent.dtype)


def _as_many(axis: int, maps: Any, kernel: Any, *result: Any) -> jax.ShapeDtypeStruct:
    """Maps with as many channels as a kernel has on an axis."""
    del result
    shape = (*maps.shape[:3], kernel.shape[axis])
    return jax.ShapeDtypeStruct(shape, maps.dtype)


_push = linear(
    "winograd",
    _masked,
    {0: lambda cotangent, *kept: _pull(cotangent, *kept)},
    batch=merged(1),
    like=functools.partial(_as_many, 1),
)
_pull = linear(
    "winograd_transpose",
    _pulled,
    {0: lambda cotangent, *kept: _push(cotangent, *kept)},
    batch=merged(1),
    like=functools.partial(_as_many, 2),
)


@functools.partial(jax.custom_jvp, nondiff_argnums=(3,))
def winograd(
    maps: Maps,
    kernel: Float[Array, "_ o i"],
    bias: Float[Array, "1 1 1 _"],
    rectify: bool,
) -> Maps:
    """Convolve with zeros beyond the border, by Winograd's algorithm.

    Args:
      maps: Of shape [N, H, W, I], float32 or bfloat16.
      kernel: From `transformed_kernel`, perhaps cast to bfloat16, the type that factors
        of products have then; transforms and sums are in float32. It is taken as
        frozen: its gradient is zero.
      bias: Added to each output channel; frozen too.
      rectify: Whether a ReLU follows: in one pass, and nothing but its result is kept
        for the backward pass.

    Returns:
      Of shape [N, H, W, O], of the type of `maps`; about 1e-6 of the largest value from
      the definition; with maps and kernel in bfloat16 4e-3 by tiles of 2x2 and 2e-2 by
      those of 4x4, where the definition in bfloat16 is 3e-3 off (noise, 32 channels).
    """
    return _layer(maps, kernel, bias, rectify)


@winograd.defjvp
def _winograd_tangent(
    rectify: bool, primals: tuple[Array, ...], tangents: tuple[Array, ...]
) -> tuple[Maps, Maps]:
    maps, kernel, bias = primals
    found = winograd(maps, kernel, bias, rectify)
    return found, _push(tangents[0], kernel, *((found,) if rectify else ()))
