"""Picking and sorting: values and every derivative are those of plain indexing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnst.losses.picking import along_rows, sorted_rows, taken, taken_once

ROWS = jnp.asarray(np.random.default_rng(0).normal(size=(7, 3)), jnp.float32)
EQUAL = jnp.asarray([4, 0, 4, 6, 4, 0, 1, 2, 2])
DISTINCT = jnp.asarray([4, 0, 6, 1])
TIES = jnp.round(2 * ROWS.T) / 2
PAIRS = {
    # Name: (what is tested, plain JAX, rows).
    "taken": (lambda x: taken(x, EQUAL), lambda x: x[EQUAL], ROWS),
    "one row": (lambda x: taken(x, EQUAL[:1]), lambda x: x[EQUAL[:1]], ROWS),
    "taken_once": (lambda x: taken_once(x, DISTINCT), lambda x: x[DISTINCT], ROWS),
    "along_rows": (
        lambda x: along_rows(x, jnp.tile(DISTINCT, (3, 1))),
        lambda x: x[:, DISTINCT],
        ROWS.T,
    ),
    "sorted_rows": (sorted_rows, lambda x: jnp.sort(x, axis=1), ROWS.T),
    "sorted ties": (sorted_rows, lambda x: jnp.sort(x, axis=1), TIES),
}


def weighed(function):
    """A scalar with derivatives of every order, other ones at every entry."""

    def value(x):
        found = function(x)
        weights = jnp.arange(1.0, 1.0 + found.size).reshape(found.shape)
        return jnp.sum(jnp.sin(found * weights / found.size))

    return value


@pytest.mark.parametrize("name", PAIRS)
def test_values_and_derivatives_are_those_of_plain_indexing(name):
    ours, plain, rows = PAIRS[name]
    np.testing.assert_array_equal(ours(rows), plain(rows))
    ours, plain = weighed(ours), weighed(plain)
    change = jnp.cos(rows)

    def every_mode(function):
        gradient = jax.grad(function)
        two = jnp.stack([rows, change])
        return (
            gradient(rows),
            jax.jvp(function, (rows,), (change,))[1],
            jax.jvp(gradient, (rows,), (change,))[1],
            jax.vjp(gradient, rows)[1](change)[0],
            jax.vmap(gradient)(two),
            jax.grad(lambda x: jnp.sum(jax.vmap(function)(x)))(two),
        )

    for found, wanted in zip(
        jax.jit(lambda: every_mode(ours))(),
        jax.jit(lambda: every_mode(plain))(),
        strict=True,
    ):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_each_member_of_a_batch_has_its_own_indices():
    both = jnp.stack([ROWS, 2 * ROWS])
    indices = jnp.stack([EQUAL, EQUAL[::-1]])

    def loss(rows, indices):
        return jnp.sum(jnp.sin(taken(rows, indices)))

    for axes, rows in (((0, 0), both), ((None, 0), ROWS)):
        found = jax.vmap(jax.grad(loss), axes)(rows, indices)
        for n, each in enumerate(indices):
            one = rows[n] if rows.ndim == 3 else rows
            wanted = jax.grad(lambda x, at=each: jnp.sum(jnp.sin(x[at])))(one)
            np.testing.assert_allclose(found[n], wanted, rtol=1e-5, atol=1e-6)


def test_equal_indices_add_up_to_rounding_in_float32():
    # As many as a sum in turn would lose digits over.
    at = jnp.asarray(np.random.default_rng(1).integers(0, 3, 4096))
    cotangent = jnp.asarray(np.random.default_rng(2).uniform(size=(4096, 2)), "float32")
    found = jax.vjp(lambda x: taken(x, at), jnp.zeros((5, 2)))[1](cotangent)[0]
    wanted = np.zeros((5, 2))
    np.add.at(wanted, np.asarray(at), np.asarray(cotangent, np.float64))
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
