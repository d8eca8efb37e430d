"""Sorted projections, and their distance: what two metrics of distributions share.

XLA sorts floats on a CPU six times as slowly as whole numbers. Values are sorted as
the whole numbers that have their bits; only where a derivative is asked for are they
sorted with their places.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jnst.base import Scalar, matmul
from jnst.losses.distributions import at_quantiles
from jnst.losses.picking import sorted_rows

Rows = Float[Array, "k _"]
SIGN_APART = 0x7FFFFFFF


def _flipped(bits: Array) -> Array:
    """Turn bits of floats into whole numbers of the same order, or back."""
    return jnp.where(bits < 0, bits ^ SIGN_APART, bits)


def sorted_values(rows: Rows) -> Rows:
    """Sort each of k rows [k, m] upwards, without a derivative."""
    rows = lax.stop_gradient(rows)
    if rows.dtype != jnp.float32:
        return jnp.sort(rows, axis=1)
    whole = _flipped(lax.bitcast_convert_type(rows, jnp.int32))
    found = _flipped(lax.sort(whole, dimension=1, is_stable=False))
    return lax.bitcast_convert_type(found, jnp.float32)


# A scalar, whose batches JAX can only put in one place: those of a function that
# returns rows may lie elsewhere than those of its derivative, and JAX mistakes them.
@jax.custom_jvp
def _mean_squares(rows: Rows, match: Rows) -> Scalar:
    """Average the squared differences of sorted rows and others."""
    return jnp.mean((sorted_values(rows) - match) ** 2)


@_mean_squares.defjvp
def _tangent(
    primals: tuple[Rows, Rows], tangents: tuple[Rows, Rows]
) -> tuple[Scalar, Scalar]:
    def slow(rows: Rows, match: Rows) -> Scalar:
        return jnp.mean((sorted_rows(rows) - match) ** 2)

    return jax.jvp(slow, primals, tangents)


def sliced_distance(
    ours: Float[Array, "_ c"], theirs: Float[Array, "_ c"], directions: Rows
) -> Scalar:
    """Average the squared Wasserstein-2 distances along directions.

    Args:
      ours: Vectors [M, C].
      theirs: Vectors [M', C]; where M is no multiple of M' they are read at the
        quantiles of ours. No derivative goes into them.
      directions: Unit vectors [K, C].

    Returns:
      Scalar >= 0: the formula of `jnst.losses.distributions.sliced_wasserstein`.
    """
    count = len(ours)
    match = sorted_values(matmul(directions, theirs.T))
    if count % match.shape[1] == 0:
        match = jnp.repeat(match, count // match.shape[1], axis=1)
    return _mean_squares(matmul(directions, ours.T), at_quantiles(match, count))
