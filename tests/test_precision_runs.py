"""Every recipe with the products of an accelerator, emulated: none dies."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from made import begin, objective_of
from rounding import products_rounded
from tiny import batch, picture, tiny_params

import jnst
from jnst.loop.step import run_chunk

STEPS = 50
SCALE = 300.0
"""Brings activations of about 1 to where VGG's are."""


def test_emulated_products_round_their_factors_and_nothing_else():
    rng = np.random.default_rng(0)
    maps = jnp.asarray(rng.normal(size=(1, 5, 6, 4)), jnp.float32)
    kernel = jnp.asarray(rng.normal(size=(3, 3, 4, 2)), jnp.float32)
    cotangent = jnp.asarray(rng.normal(size=(1, 5, 6, 2)), jnp.float32)

    def convolved(maps, kernel, precision):
        layout = ("NHWC", "HWIO", "NHWC")
        how = {"dimension_numbers": layout, "precision": precision}
        return jax.lax.conv_general_dilated(maps, kernel, (1, 1), "SAME", **how)

    def both(maps, kernel, cotangent, precision):
        found, pull = jax.vjp(lambda x: convolved(x, kernel, precision), maps)
        return found, pull(cotangent)[0]

    given = maps, kernel, cotangent
    halves = (x.astype(jnp.bfloat16).astype(jnp.float32) for x in given)
    exact, wanted = both(*given, "highest"), both(*halves, "highest")
    with products_rounded():
        found = jax.jit(both, static_argnums=3)(*given, "default")
        kept = jax.jit(both, static_argnums=3)(*given, "highest")
    for one, other in ((found, wanted), (kept, exact)):
        for x, y in zip(one, other, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-5)
    assert np.abs(found[0] - exact[0]).max() > 1e-3


@pytest.fixture(scope="module")
def vgg_like():
    """A tiny VGG19 whose activations are in the hundreds, as those of the real one."""
    params = {name: dict(layer) for name, layer in tiny_params().items()}
    for name, layer in params.items():
        if name != "preprocess":
            layer["bias"] *= SCALE
    params["conv1_1"]["kernel"] *= SCALE
    return params


@pytest.mark.parametrize("name", jnst.RECIPES)
def test_no_recipe_dies_where_convolutions_are_rounded(name, vgg_like, quick_compile):
    recipe = dataclasses.replace(
        jnst.RECIPES[name], convolution="xla", precision="default"
    )
    content, style = batch(picture(18, 17)), batch(picture(17, 16, seed=1))
    with products_rounded():
        objective = objective_of(vgg_like, recipe, content, [style])
        state = begin(recipe, (0.9 * content + 0.05) * recipe.pixel_scale)
        chunk = jax.jit(run_chunk, static_argnums=3)
        state, losses = chunk(objective, state, np.int32(STEPS), STEPS)
    assert np.isfinite(losses["loss"]).all()
    assert jnp.isfinite(state.image).all()
