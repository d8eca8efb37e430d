"""Products and gathers as programs have them: what no CPU can tell by its results.

An accelerator left to itself rounds the factors of a product. That is for the network's
convolutions to choose, by the field `precision`; all other products are exact. And no
derivative adds twice at one place, which some devices do in turn.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxprs import named
from made import objective_of
from rounding import EXACT
from tiny import batch, feature_map, picture

import jnst
from jnst import losses
from jnst.bench.cases import Case
from jnst.bench.topology import abstract_arguments
from jnst.linear import linear
from jnst.loop.step import run_chunk
from jnst.losses.products import outer_products
from jnst.losses.rows import option_names, with_options

PRODUCTS = ("dot_general", "conv_general_dilated")
each_recipe = pytest.mark.parametrize("name", jnst.RECIPES)


def program_of(params, recipe, steps=2):
    """The jaxpr of a recipe's steps on a small picture; nothing is computed."""
    arguments = abstract_arguments(Case(recipe, 32), params)
    count = jax.ShapeDtypeStruct((), np.int32)
    return jax.make_jaxpr(lambda *each: run_chunk(*each, steps))(*arguments, count)


def changed(name, **fields):
    return dataclasses.replace(jnst.RECIPES[name], **fields)


def assert_exact(jaxpr):
    """Every product is of the highest precision, of which there must be some."""
    found = named(jaxpr, *PRODUCTS)
    assert found
    for equation, inside in found:
        assert equation.params["precision"] == EXACT, (equation, inside)


def assert_no_sum_in_turn(jaxpr):
    """Every scatter, of a derivative or not, has indices that differ."""
    for equation, inside in named(jaxpr, "scatter", "scatter-add"):
        assert equation.params["unique_indices"], (equation, inside)


@each_recipe
def test_a_step_is_exact_but_for_the_networks_convolutions(name, vgg19):
    program = program_of(vgg19, changed(name, precision="default"))
    networks = 0
    for equation, inside in named(program, *PRODUCTS):
        ours = equation.primitive.name == "conv_general_dilated" and inside is None
        wanted = (jax.lax.Precision.DEFAULT,) * 2 if ours else EXACT
        assert equation.params["precision"] == wanted, (equation, inside)
        networks += ours
    assert networks >= 2 * 9  # to relu4_1 and back, whichever the recipe
    assert_no_sum_in_turn(program)


@pytest.mark.parametrize("precision", ["default", "high", "highest"])
def test_convolutions_carry_the_field_forward_and_backward(precision, vgg19):
    recipe = jnst.Recipe(precision=precision, diagnostics=True)
    program = program_of(vgg19, recipe)
    found = {
        equation.params["precision"]
        for equation, inside in named(program, "conv_general_dilated")
        if inside is None
    }
    assert found == {(jax.lax.Precision[precision.upper()],) * 2}


def test_winograds_products_are_exact_whatever_the_field_says(vgg19):
    recipe = jnst.Recipe(precision="default", convolution="winograd")
    image = batch(picture(16, 16))
    objective = objective_of(vgg19, recipe, image, [image])
    program = jax.make_jaxpr(jax.value_and_grad(objective))(image[0])
    insides = set()
    for equation, inside in named(program, *PRODUCTS):
        first = equation.primitive.name == "conv_general_dilated" and inside is None
        assert (equation.params["precision"] == EXACT) != first
        insides.add(inside)
    assert "winograd_transpose" in insides


def test_an_unknown_precision_is_one_line():
    with pytest.raises(ValueError, match="unknown precision 'hihg'. Did you mean 'hig"):
        jnst.Recipe(precision="hihg")


def test_frozen_kernels_are_cast_before_the_first_step(vgg19):
    recipe = changed("jnst", dtype="bfloat16")
    objective, _ = abstract_arguments(Case(recipe, 32), vgg19)
    for name, layer in objective.extract.params.items():
        wanted = "float32" if name == "preprocess" else "bfloat16"
        assert {leaf.dtype for leaf in layer.values()} == {jnp.dtype(wanted)}
    for equation, _ in named(program_of(vgg19, recipe), "convert_element_type"):
        shape = equation.invars[0].aval.shape
        assert shape[:2] != (3, 3) and shape != (4,), equation  # no kernel, no bias


def test_products_of_bfloat16_maps_copy_nothing_to_widen_it():
    maps = feature_map(6, 7).astype(jnp.bfloat16)
    program = jax.make_jaxpr(outer_products)(maps)
    assert not named(program, "convert_element_type")
    assert {e.outvars[0].aval.dtype for e, _ in named(program, *PRODUCTS)} == {
        jnp.dtype("float32")
    }


def maps_for(name):
    """What a style loss takes: a map, or several for one that is joint."""
    if not losses.STYLE_LOSSES[name].joint:
        return feature_map(12, 13, 5)
    maps = {f"layer{n}": feature_map(12 // n, 13 // n, 3 + n, n) for n in (1, 2, 4)}
    return maps | ({"image": feature_map(12, 13, 3)} if name == "strotss" else {})


OPTIONS = {
    "mmd_gaussian": ({"samples": 100}, {"estimator": "linear"}),
    "strotss": ({"samples": 40, "style_samples": 50}, {"samples": 0}),
    "histogram": ({}, {"bins": 8}),
    "guided_gram": ({"masks": np.ones((2, 12, 13), np.float32)},),
}


CASES = [
    (name, options)
    for name in losses.STYLE_LOSSES
    for options in OPTIONS.get(name, ({},))
]


def distance_to_itself(name, options):
    """A function of maps alone, the distance to the same maps turned round."""
    row = losses.STYLE_LOSSES[name]
    keyed = {"key": jax.random.key(0)} if row.keyed else {}
    if "samples" in option_names(row.distance):
        options = {"samples": 60} | options
    statistic = with_options(row.statistic, options)
    distance = with_options(row.distance, options | keyed)
    turned = jax.tree.map(lambda x: x[:, ::-1], maps_for(name))
    return lambda maps: distance(statistic(maps), statistic(turned))


def modes(function, maps):
    """The gradient, that of a batch, and the product of a Hessian and a vector."""
    both = jax.tree.map(lambda x: jnp.stack([x, 2 * x]), maps)
    yield jax.make_jaxpr(jax.grad(function))(maps)
    yield jax.make_jaxpr(jax.grad(lambda x: jnp.sum(jax.vmap(function)(x))))(both)
    gradient = jax.grad(function)
    yield jax.make_jaxpr(lambda x: jax.jvp(gradient, (x,), (x,)))(maps)
    yield jax.make_jaxpr(lambda x: jax.vjp(gradient, x)[1](x))(maps)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_style_losses_are_exact_and_add_nothing_in_turn(name, options):
    if name == "sinkhorn":
        pytest.importorskip("ott")
    for program in modes(distance_to_itself(name, options), maps_for(name)):
        for equation, inside in named(program, *PRODUCTS):
            assert equation.params["precision"] == EXACT, (equation, inside)
        assert_no_sum_in_turn(program)


@pytest.mark.parametrize("name", [*losses.CONTENT_LOSSES, *losses.IMAGE_LOSSES])
def test_losses_of_content_and_pixels_are_too(name):
    image, other = feature_map(13, 14), feature_map(13, 14, seed=1)
    needs = name in losses.CONTENT_LOSSES or losses.IMAGE_LOSSES[name].constants
    more = {"samples": 20} if name == "self_similarity" else {}

    def loss(x):
        style = {"style": other} if name in losses.CONTENT_LOSSES else {}
        target = other if needs else None
        return losses.compute(name, x, target, jax.random.key(0), **style, **more)

    for program in modes(loss, image):
        for equation, inside in named(program, *PRODUCTS):
            assert equation.params["precision"] == EXACT, (equation, inside)
        assert_no_sum_in_turn(program)


def test_readers_see_into_our_own_primitives():
    careless = linear("careless", lambda x: x @ x.T, {})

    def function(x):
        return jax.lax.scan(lambda c, _: (careless(c) + c, None), x, None, 2)[0]

    with pytest.raises(AssertionError, match="careless"):
        assert_exact(jax.make_jaxpr(jax.jit(function))(jnp.ones((3, 3))))
