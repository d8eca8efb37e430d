"""Where pixels of a window tie, the first largest in row order gets the derivative.

The twin searches it as TensorFlow, PyTorch and Caffe do. Values are whole numbers,
which bfloat16 holds, so that every way in which two, three or four pixels tie is there.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import references_network

from jnst.network import frugal
from jnst.network.pooling import pool

DTYPES = ("float32", "bfloat16")


def plain(x, ceil):
    return jax.nn.relu(pool(x, "max", rescale=False, ceil=ceil))


def rectified_first(x, ceil):
    return pool(jax.nn.relu(x), "max", rescale=False, ceil=ceil)


def prepared(x, ceil):
    return pool(x, "max", rescale=False, ceil=ceil, reduce=frugal.pooled_relu)


PATHS = {"plain": plain, "rectified first": rectified_first, "prepared": prepared}
every_path = pytest.mark.parametrize("name", PATHS)
every_window = pytest.mark.parametrize("ceil", [False, True])


def whole(*shape, seed=0):
    return np.random.default_rng(seed).integers(-2, 3, shape).astype(np.float64)


def case(ceil):
    """Maps [9, 11, 4], weights of the pooled ones, and which of these are above 0."""
    maps = whole(9, 11, 4)
    pooled = references_network.at_first_largest(maps, maps, ceil)
    return maps, whole(*pooled.shape, seed=1), pooled > 0


@every_path
@every_window
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_first_largest_gets_it_all(name, ceil, dtype, maybe_jit):
    maps, weights, above = case(ceil)
    x, w = (jnp.asarray(v, dtype)[None] for v in (maps, weights))
    found = maybe_jit(jax.grad(lambda x: jnp.sum(w * PATHS[name](x, ceil))))(x)
    expected = references_network.to_first_largest(weights * above, maps, ceil)
    np.testing.assert_array_equal(np.float64(found[0]), expected)


@every_path
@every_window
def test_forward_mode_and_second_derivatives_go_the_same_way(name, ceil):
    maps, weights, above = case(ceil)
    change = whole(*maps.shape, seed=2)
    x, v = (jnp.asarray(values, jnp.float32)[None] for values in (maps, change))
    w = jnp.asarray(weights, jnp.float32)[None]
    apply = lambda x: PATHS[name](x, ceil)  # noqa: E731
    moved = references_network.at_first_largest(change, maps, ceil) * above
    np.testing.assert_array_equal(jax.jvp(apply, (x,), (v,))[1][0], moved)
    slope = jax.grad(lambda x: jnp.sum(w * apply(x) ** 2))
    expected = references_network.to_first_largest(2 * weights * moved, maps, ceil)
    np.testing.assert_array_equal(jax.jvp(slope, (x,), (v,))[1][0], expected)


@every_path
def test_members_of_a_batch_go_their_own_ways(name):
    several = jnp.asarray(whole(3, 1, 6, 8, 4), jnp.float32)
    slope = jax.grad(lambda x: jnp.sum(jnp.sin(PATHS[name](x, False))))
    each = np.stack([slope(x) for x in several])
    np.testing.assert_allclose(jax.vmap(slope)(several), each, rtol=1e-6)
    np.testing.assert_allclose(slope(several[:, 0]), each[:, 0], rtol=1e-6)


@pytest.mark.parametrize("place", range(4))
def test_what_is_not_a_number_stays(place):
    window = np.ones(4, np.float32)
    window[place] = np.nan
    maps = jnp.asarray(window.reshape(1, 2, 2, 1))
    for path in PATHS.values():
        assert np.isnan(path(maps, False)).all()
