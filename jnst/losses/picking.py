"""Picking and sorting whose derivatives never add twice at one place.

The transpose of a gather is a scatter that adds. Where indices may be equal XLA must
take them in turn, or atomically: on some devices a slow loop. So whoever picks distinct
rows says so (`taken_once`), a sort is a permutation (`sorted_rows`), and rows that may
be equal are added up after a sort (`taken`).
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from jnst.linear import Axes, Function, in_front, linear

Rows = Float[Array, "_ _"]
Indices = Int[Array, "_"]


def _at(values: Array, indices: Array) -> Array:
    return values.at[indices].get(unique_indices=True, mode="promise_in_bounds")


def taken_once(rows: Rows, indices: Indices) -> Rows:
    """Take rows [m, C] at distinct indices [n], each in 0..m - 1."""
    return _at(rows, indices)


def along_rows(rows: Rows, indices: Int[Array, "_ _"]) -> Rows:
    """Take from each of k rows [k, m] its entries at distinct indices [k, n]."""
    return jax.vmap(_at)(rows, indices)


def sorted_rows(rows: Rows) -> Rows:
    """Sort each of k rows [k, m] upwards; equal entries keep their order."""
    return along_rows(rows, jnp.argsort(lax.stop_gradient(rows), axis=1))


def _shifted(function: Function, operands: Sequence[Any], axes: Axes) -> Array:
    """Take a batch as one: rows joined, and the indices of each member moved on."""
    rows, indices, many = in_front(operands, axes, ())
    size = len(many)
    moved = indices + many.shape[1] * jnp.arange(size, dtype=indices.dtype)[:, None]
    joined = (x.reshape(-1, *x.shape[2:]) for x in (rows, moved, many))
    found = function(*joined)
    return found.reshape(size, -1, found.shape[-1])


def _picked(rows: Rows, indices: Indices, many: Array) -> Rows:
    del many
    return rows.at[indices].get(mode="promise_in_bounds")


def _run_sums(rows: Rows, starts: Array) -> Rows:
    """Add up runs of rows, each begun where `starts` [n, 1]; complete at its last."""

    def join(left: Any, right: Any) -> Any:
        return left[0] | right[0], right[1] + jnp.where(right[0], 0, left[1])

    return lax.associative_scan(join, (starts, rows))[1]


def _added(rows: Rows, indices: Indices, many: Array) -> Rows:
    """Add rows [n, C] at indices [n] of zeros [m, C], m the length of `many`."""
    order = jnp.argsort(indices)
    places = _at(indices, order)
    new = places[1:] != places[:-1]
    edge = jnp.ones(1, bool)
    starts, ends = (jnp.concatenate(x) for x in ((edge, new), (new, edge)))
    sums = _run_sums(_at(rows, order), starts[:, None])
    beyond = len(many) + jnp.arange(len(places), dtype=places.dtype)
    blank = jnp.zeros((len(many), rows.shape[1]), rows.dtype)
    target = blank.at[jnp.where(ends, places, beyond)]
    return target.set(sums, mode="drop", unique_indices=True)


_pick = linear(
    "picked_rows",
    _picked,
    {0: lambda cotangent, indices, many: _add(cotangent, indices, many)},
    batch=_shifted,
)
_add = linear(
    "added_rows",
    _added,
    {0: lambda cotangent, indices, many: _pick(cotangent, indices, many)},
    batch=_shifted,
)


def taken(rows: Rows, indices: Indices) -> Rows:
    """Take rows [m, C] at any indices [n], each in 0..m - 1, equal ones among them."""
    return _pick(rows, indices, jnp.zeros(len(rows), bool))
