"""Sums of outer products: every platform's form, values and gradients, types."""

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import feature_map

from jnst.linear import WAYS
from jnst.losses.products import FORM_BY_PLATFORM, FORMS, outer_products

# Rounding of sums over 20 positions, relative to the largest entry.
TOLERANCE = {"float32": 1e-6, "float64": 1e-14}


def twin(features):
    """Loops over positions in float64."""
    vectors = np.asarray(features, np.float64).reshape(-1, features.shape[-1])
    return sum(np.outer(each, each) for each in vectors)


def assert_close(actual, expected, tolerance):
    scale = np.abs(np.asarray(expected, np.float64)).max()
    np.testing.assert_allclose(
        np.asarray(actual, np.float64), expected, rtol=0, atol=tolerance * scale
    )


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_definition_and_its_gradient(form, dtype):
    with jax.enable_x64(dtype == "float64"):
        features = feature_map(dtype=dtype)
        matrix = np.random.default_rng(1).normal(size=(3, 3)).astype(dtype)
        symmetric = jnp.asarray(matrix + matrix.T)
        assert_close(
            FORMS[form].products(features, features), twin(features), TOLERANCE[dtype]
        )
        pulled = FORMS[form].pull(features, symmetric)
        assert pulled.dtype == features.dtype
        expected = np.asarray(features, np.float64) @ np.asarray(symmetric, np.float64)
        assert_close(pulled, expected, TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_the_gradient_is_that_of_the_product_as_written(dtype):
    with jax.enable_x64(dtype == "float64"):
        features = feature_map(dtype=dtype)
        weights = jnp.asarray(np.random.default_rng(2).normal(size=(3, 3)), dtype)

        def as_written(each):
            vectors = each.reshape(-1, 3)
            return jnp.sum(weights * (vectors.T @ vectors) ** 2)

        def ours(each):
            return jnp.sum(weights * outer_products(each) ** 2)

        expected = np.asarray(jax.grad(as_written)(features), np.float64)
        assert_close(jax.grad(ours)(features), expected, 2 * TOLERANCE[dtype])


@pytest.mark.parametrize("form", FORMS)
def test_bfloat16_maps_are_summed_in_float32(form):
    features = feature_map(40, 40).astype(jnp.bfloat16)
    found = FORMS[form].products(features, features)
    assert found.dtype == jnp.float32
    # Products of bfloat16 are exact in float32, 1600 of them are not: in bfloat16
    # their sums would be off by 1e-2.
    assert_close(found, twin(features), 1e-5)
    assert FORMS[form].pull(features, found).dtype == jnp.bfloat16


def test_a_batch_of_maps_is_summed_map_by_map():
    batch = jnp.stack([feature_map(seed=seed) for seed in range(3)])
    found = jax.vmap(outer_products)(batch)
    for each, products in zip(batch, found, strict=True):
        assert_close(products, twin(each), TOLERANCE["float32"])


@pytest.mark.parametrize("platform", ["cpu", *FORM_BY_PLATFORM])
def test_each_platform_gets_its_form(platform):
    lowered = jax.jit(outer_products).trace(feature_map()).lower
    text = lowered(lowering_platforms=(platform,)).as_text()
    form = FORM_BY_PLATFORM.get(platform, "matrix")
    assert ("stablehlo.convolution" in text) == (form == "convolution")
    assert ("stablehlo.dot_general" in text) == (form == "matrix")


@pytest.mark.parametrize("platform", FORM_BY_PLATFORM)
def test_a_platform_takes_its_own_form_of_the_sum_and_of_its_derivative(platform):
    ours = {x.name: x for x in WAYS if x.name in ("cross_products", "pulled_products")}
    form = FORMS[FORM_BY_PLATFORM[platform]]
    assert WAYS[ours["cross_products"]][platform] is form.products
    assert WAYS[ours["pulled_products"]][platform] is form.pull
    program = jax.jit(jax.grad(lambda x: jnp.sum(outer_products(x) ** 2)))
    lowered = jax.export.export(program, platforms=[platform])(feature_map())
    assert "stablehlo.dot_general" not in lowered.mlir_module()
