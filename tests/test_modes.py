"""JAX's own switches: doubles, strict types, no compiling, no hidden transfers."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import picture

import jnst
from jnst.bench import topology
from jnst.bench.cases import Case
from jnst.loop.initial import INITS
from jnst.loop.sizes import resized
from jnst.loop.state import shown
from jnst.loop.step import run_chunk
from jnst.objective.features import make_network
from jnst.objective.fields import winograd_serves

pytestmark = pytest.mark.usefixtures("quick_compile")
CONTENT, STYLE = picture(16, 17, 1), picture(18, 16, 2)
SHALLOW = {"style_layers": ("relu1_1",), "content_layers": ("relu1_2",), "steps": 2}
RUNS = {
    "transfer": (CONTENT, "tf-tutorial", {"cooldown": 0.5, "diagnostics": True}),
    "texture": (None, "notebook-texture", {"style_layers": ("relu1_1",), "steps": 2}),
    "lbfgs": (None, "keras-lbfgs", {"convolution": "winograd", "init": "noise"}),
    "lbfgs_torch": (CONTENT, "gatys", {"init": "noise_mix"}),
    "ema": (CONTENT, "crowsonkb", {"scale_ratio": 1.5, "min_size_px": 11}),
    "balanced": (CONTENT, "jnst", {"style_loss": "mean_std"}),
}


def call_of(name, params):
    """Arguments of `stylize` for a run of the table, by place and by name."""
    content, recipe, changes = RUNS[name]
    given = {"weights": params, **SHALLOW, **changes}
    if content is None:
        given.pop("content_layers")
    return (content, STYLE, recipe), given


def as_winograd(recipe):
    """The recipe with convolutions that are particular about types, where it can."""
    if not winograd_serves(recipe.objective):
        return recipe
    return dataclasses.replace(recipe, convolution="winograd")


@pytest.mark.parametrize("name", jnst.RECIPES)
def test_every_recipe_is_traced_with_doubles_and_strict_types(name, vgg19, monkeypatch):
    """It stays in float32; only what a line search keeps for itself may be wider."""
    recipe = as_winograd(jnst.RECIPES[name])
    monkeypatch.setattr(
        topology,
        "make_network",
        lambda params, _: make_network(params, recipe.objective),
    )
    with jax.enable_x64(True), jax.numpy_dtype_promotion("strict"):
        objective, state = topology.abstract_arguments(Case(recipe, 32), vgg19)
        count = jax.ShapeDtypeStruct((), np.int32)
        after, losses = jax.eval_shape(
            lambda *each: run_chunk(*each, 1), objective, state, count
        )
        content = jax.ShapeDtypeStruct((1, 36, 36, 3), np.float32)
        start = dataclasses.replace(objective.start, content=content)
        larger = dataclasses.replace(objective, start=start)
        carried = jax.eval_shape(resized, larger, after)
        image = jax.eval_shape(shown, objective, after)
    types = [[x.dtype for x in jax.tree.leaves(s)] for s in (state, after, carried)]
    assert types[0] == types[1] == types[2]
    assert state.image.dtype == image.dtype == np.float32
    assert {x.dtype for x in losses.values()} == {np.dtype(np.float32)}
    wide = [x for x in jax.tree.leaves((objective, losses)) if x.dtype.itemsize > 4]
    assert not [x for x in wide if jnp.issubdtype(x.dtype, np.number)]


@pytest.mark.parametrize("name", INITS)
def test_first_images_are_of_the_contents_type(name, vgg19):
    image = jnp.full((1, 4, 5, 3), 0.5, np.float32)
    zero = jnp.zeros(3, np.float32)
    with jax.enable_x64(True), jax.numpy_dtype_promotion("strict"):
        found = INITS[name](jax.random.key(0), image, image, zero)
    assert found.dtype == np.float32 and found.shape == image.shape


@pytest.mark.parametrize("name", RUNS)
def test_runs_with_doubles_strict_types_and_a_transfer_guard(name, vgg19):
    arguments, given = call_of(name, vgg19)
    plain = jnst.stylize(*arguments, **given)
    with (
        jax.enable_x64(True),
        jax.numpy_dtype_promotion("strict"),
        jax.transfer_guard("disallow"),
    ):
        found = jnst.stylize(*arguments, **given)
    assert found.image.dtype == np.float32
    assert found.history["loss"].dtype == np.float32
    np.testing.assert_allclose(found.history["loss"], plain.history["loss"], rtol=2e-2)


@pytest.mark.parametrize("name", ["transfer", "texture"])
def test_runs_without_compiling(name, vgg19):
    arguments, given = call_of(name, vgg19)
    plain = jnst.stylize(*arguments, **given)
    with jax.disable_jit():
        found = jnst.stylize(*arguments, **given)
    np.testing.assert_allclose(found.history["loss"], plain.history["loss"], rtol=1e-3)
