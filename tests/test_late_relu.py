"""A ReLU after its max pooling gives what it gave before it, ties and all."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import batch, picture, tiny_params

from jnst.network.vgg import extract

pytestmark = pytest.mark.usefixtures("quick_compile")
BEFORE_POOLING = ("relu1_2", "relu2_2", "relu3_4")
DEEP = "relu4_1"


def found(image, params, **options):
    """Features and a gradient, with ReLUs late and with ReLUs that must stay early."""
    draws = np.random.default_rng(0)
    shape = extract(params, image, [DEEP], **options)[DEEP].shape
    weights = jnp.asarray(draws.normal(size=shape), image.dtype)

    def value(image, layers):
        features = extract(params, image, layers, **options)
        return jnp.sum(weights * features[DEEP]), features[DEEP]

    for layers in ([DEEP], [DEEP, *BEFORE_POOLING]):
        both = jax.jit(jax.grad(value, has_aux=True), static_argnums=1)
        gradient, features = both(image, tuple(layers))
        yield np.asarray(gradient), np.asarray(features)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("flat", [False, True], ids=["waves", "flat"])
def test_features_and_gradients_are_the_same_to_the_last_bit(dtype, ceil, flat):
    with jax.enable_x64(dtype == "float64"):
        params = tiny_params(dtype=dtype)
        pixels = picture(27, 30, dtype=dtype)
        # Flat areas make equal activations in one window: ties, the first wins.
        pixels = np.full_like(pixels, 0.7) if flat else pixels
        late, early = found(batch(pixels, dtype), params, pooling_ceil=ceil)
    np.testing.assert_array_equal(late[1], early[1])
    np.testing.assert_array_equal(late[0], early[0])
    assert np.any(late[0]) and np.all(np.isfinite(late[0]))


@pytest.mark.parametrize("pooling", ["average", "l2"])
def test_other_poolings_see_no_negative_values(pooling):
    params = tiny_params()
    late, early = found(batch(picture(24, 24)), params, pooling=pooling)
    np.testing.assert_array_equal(late[1], early[1])
    assert np.all(extract(params, batch(picture(24, 24)), ["pool1"])["pool1"] >= 0)


def test_relus_before_a_pooling_see_a_quarter_of_its_values():
    params, image = tiny_params(), batch(picture(32, 32))

    def sizes(layers):
        jaxpr = jax.make_jaxpr(lambda x: extract(params, x, layers))(image)
        calls = [e for e in jaxpr.eqns if e.primitive.name == "custom_jvp_call"]
        return [call.outvars[0].aval.shape[1] for call in calls]

    early = [32, 32, 16, 16, 8, 8, 8, 8, 4]
    assert sizes([DEEP, *BEFORE_POOLING]) == early
    assert sizes([DEEP]) == [32, 16, 16, 8, 8, 8, 8, 4, 4]
