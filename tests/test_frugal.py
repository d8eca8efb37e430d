"""Frugal layers: values and derivatives of the usual ones, and how little they keep."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import batch, picture, tiny_params

from jnst.network import frugal
from jnst.network.convolution import prepare
from jnst.network.pooling import pool
from jnst.network.vgg import extract

DEEP = "relu4_1"


def usual_pooling(maps):
    return jax.nn.relu(pool(maps, "max", rescale=False, ceil=False))


PAIRS = {
    "relu": (frugal.relu, jax.nn.relu),
    "biased relu": (
        lambda maps: frugal.relu(maps, jnp.ones((1, 1, 1, 6))),
        lambda maps: jax.nn.relu(maps + 1),
    ),
    "pooled_relu": (frugal.pooled_relu, usual_pooling),
}


def maps_with_ties():
    """Small whole numbers: every way in which two, three or four pixels tie, and 0."""
    draws = np.random.default_rng(0).integers(-2, 3, (1, 24, 40, 6))
    return jnp.asarray(draws, jnp.float32)


def value_and_gradient(function, maps):
    found = function(maps)
    weights = jnp.cos(jnp.arange(found.size)).reshape(found.shape)
    return found, jax.grad(lambda x: jnp.sum(weights * function(x)))(maps)


@pytest.mark.parametrize("name", PAIRS)
def test_values_and_derivatives_are_the_usual_ones_to_the_last_bit(name, maybe_jit):
    ours, usual = (
        maybe_jit(lambda x, f=function: value_and_gradient(f, x))(maps_with_ties())
        for function in PAIRS[name]
    )
    np.testing.assert_array_equal(ours[0], usual[0])
    np.testing.assert_array_equal(ours[1], usual[1])
    assert np.any(ours[1])


def test_pixels_that_rounding_parts_are_equal_and_others_are_not():
    """Winograd's parts them, see `TIE`: a share of the channel's largest, here 8."""
    near, far = 8 * frugal.TIE / 4, 8 * frugal.TIE * 4
    windows = [
        [1, 1 + near, 1, 1],
        [1, 1 + far, 1, 1],
        [0, 1, 1 + near, 1],
        [0, 0, 0, 8],
    ]
    maps = jnp.asarray(windows, jnp.float32).reshape(1, 8, 2, 1)
    gradient = jax.grad(lambda x: jnp.sum(frugal.pooled_relu(x)))(maps)
    assert list(jnp.argmax(gradient.reshape(4, 4), 1)) == [0, 1, 1, 3]
    assert np.sum(gradient) == 4


def kept(function, maps):
    """Bytes that the backward pass needs of the forward one."""
    pull = jax.eval_shape(lambda x: jax.vjp(function, x)[1], maps)
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(pull))


def test_a_pooling_keeps_a_byte_a_window_and_a_relu_its_result():
    maps = maps_with_ties()
    assert kept(frugal.pooled_relu, maps) == maps.size // 4
    assert kept(frugal.relu, maps) == 4 * maps.size
    assert kept(usual_pooling, maps) > 3 * maps.size // 4


def test_apart_is_one_piece_on_a_cpu_and_nothing_in_it_is():
    function = frugal.apart(lambda x: jnp.where(x > 0, x, 0) + jnp.clip(x, 0, 1))
    text = jax.jit(lambda x: function(2 * x) + 1).lower(jnp.ones(3)).as_text()
    on_cpu = jax.default_backend() == "cpu"
    assert text.count('inlineable = "false"') == on_cpu
    np.testing.assert_array_equal(function(jnp.array([-1.0, 0.5, 3.0])), [0, 1, 4])


@pytest.mark.parametrize("asked", [(), ("conv1_2", "relu1_2", "relu2_2", "conv3_1")])
@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("pooling", ["max", "average"])
def test_a_prepared_network_is_the_one_it_was_made_of(asked, ceil, pooling):
    params, image = tiny_params(channels=8), batch(picture(27, 30))
    layers = (DEEP, *asked)
    prepared = prepare(params, layers, convolution="winograd")

    def value(image, params):
        options = {"pooling": pooling, "pooling_ceil": ceil}
        found = extract(params, image, layers, **options)
        return sum(jnp.sum(jnp.sin(x)) for x in found.values()), found

    ours, usual = (
        jax.jit(jax.grad(value, has_aux=True))(image, each)
        for each in (prepared, params)
    )
    for layer in layers:  # rounding of Winograd's, relative to the largest
        scale = np.abs(usual[1][layer]).max()
        np.testing.assert_allclose(ours[1][layer], usual[1][layer], atol=1e-5 * scale)
    scale = np.abs(usual[0]).max()  # where rounding decides a window, a little more
    np.testing.assert_allclose(ours[0], usual[0], rtol=0, atol=1e-3 * scale)


def test_a_network_as_loaded_keeps_its_forward_mode_derivative():
    params, image = tiny_params(), batch(picture(24, 24))
    _, tangent = jax.jvp(
        lambda x: extract(params, x, [DEEP])[DEEP], (image,), (jnp.ones_like(image),)
    )
    assert np.all(np.isfinite(tangent))
