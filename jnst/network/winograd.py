"""Winograd's F(4x4, 3x3) and F(2x2, 3x3): convolutions with zeros beyond the border.

The map is cut into tiles of 4x4 outputs, each 6x6 inputs; input and kernel are
transformed, multiplied position by position (2.25 products for each output where the
definition takes 9), and transformed back. Tiles of 2x2 take 4 products, and kernels of
less than half the memory. Kernels are frozen: theirs is transformed once. Maps are
[N, H, W, C], kernels HWIO. Who uses it is told in `jnst.network.convolution`.
"""

import functools
import math
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


def _products(left: Array, right: Array, *contracted: int) -> Array:
    """Multiply as many pairs of matrices, over one dimension of each."""
    over = (contracted[:1], contracted[1:]), ((0,), (0,))
    return lax.dot_general(left, right, over, precision="highest")


def _phases(maps: Array, axis: int, tile: int, count: int) -> Array:
    """List the phases of overlapping tiles: [tile + 2, ...], `axis` counts tiles."""
    last = tile * (count - 1) + 1
    phases = [lax.slice_in_dim(maps, a, a + last, tile, axis) for a in range(tile + 2)]
    return lax.concatenate([phase.reshape(1, -1) for phase in phases], 0)


def _to_tiles(strip: Array, transform: np.ndarray, rows: int, columns: int) -> Array:
    """Transform a strip [N, tile R + 2, tile C + 2, I] to tiles [n^2, N R C, I]."""
    (side, _), (n, height, _, channels) = transform.shape, strip.shape
    # Matrix products with as few as six rows beat sums of slices, and compile faster.
    found = _dot(transform, _phases(strip, 2, side - 2, columns))
    found = found.reshape(side, n, height, columns, channels)
    found = _dot(transform, _phases(found, 2, side - 2, rows))
    return found.reshape(side**2, -1, channels)


def _convolved_strip(strip: Array, kernel: Array, backward: bool) -> Array:
    """Convolve [N, tile R + 2, tile C + 2, I] to [N, tile R, tile C, O]."""
    tile, n = tile_of(kernel), strip.shape[0]
    rows, columns = ((side - 2) // tile for side in strip.shape[1:3])
    transform, output = matrices(tile)[3:] if backward else matrices(tile)[1:3]
    found = _to_tiles(strip, transform, rows, columns)
    channels_first = found.shape[1] <= FEW_TILES and not backward
    if channels_first:  # XLA packs the second factor: let that be the small one
        found = _products(kernel, found, 2, 2)  # [.., O, T]
    else:
        found = _products(found, kernel, 2, 1 if backward else 2)  # [.., T, O]
    found = _dot(np.kron(output, output), found.reshape(found.shape[0], -1))
    if channels_first:
        found = found.reshape(tile, tile, -1, n, rows, columns)
        found = found.transpose(3, 4, 0, 5, 1, 2)
    else:
        found = found.reshape(tile, tile, n, rows, columns, -1)
        found = found.transpose(2, 3, 0, 4, 1, 5)
    return found.reshape(n, tile * rows, tile * columns, -1)


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
    tall = max(STRIP_TILES[tile] // columns, -(-rows // MOST_STRIPS))
    starts = range(0, rows, tall)
    strips = [padded[:, tile * r : tile * min(r + tall, rows) + 2] for r in starts]
    found = [_convolved_strip(strip, kernel, backward) for strip in strips]
    joined = found[0] if len(found) == 1 else lax.concatenate(found, 1)
    return joined[:, :height, :width]


@functools.partial(apart, static_argnums=3)
def _layer(maps: Maps, kernel: Array, bias: Array, rectify: bool) -> Maps:
    """Convolve, add the bias and rectify, in one piece."""
    found = _convolved(maps, kernel, False) + bias
    return jnp.maximum(found, 0) if rectify else found


@apart
def _masked(maps: Maps, kernel: Array, *result: Maps) -> Maps:
    """Convolve, in one piece, and leave what a ReLU with this result let through."""
    found = _convolved(maps, kernel, False)
    return jnp.where(result[0] > 0, found, 0) if result else found


@apart
def _pulled(cotangent: Maps, kernel: Array, *result: Maps) -> Maps:
    """Pull a cotangent back through `_masked`, in one piece."""
    if result:
        cotangent = jnp.where(result[0] > 0, cotangent, 0)
    return _convolved(cotangent, kernel, True)


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
      maps: Of shape [N, H, W, I], float32.
      kernel: From `transformed_kernel`; it is taken as frozen: its gradient is zero.
      bias: Added to each output channel; frozen too.
      rectify: Whether a ReLU follows: in one pass, and nothing but its result is kept
        for the backward pass.

    Returns:
      Of shape [N, H, W, O]; about 1e-6 of the largest value from the definition.
    """
    return _layer(maps, kernel, bias, rectify)


@winograd.defjvp
def _winograd_tangent(
    rectify: bool, primals: tuple[Array, ...], tangents: tuple[Array, ...]
) -> tuple[Maps, Maps]:
    maps, kernel, bias = primals
    found = winograd(maps, kernel, bias, rectify)
    return found, _push(tangents[0], kernel, *((found,) if rectify else ()))
