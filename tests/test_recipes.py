"""Every recipe's objective and gradient against a NumPy float64 twin."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import references_network
from made import objective_of
from tiny import batch, picture, tiny_arrays

from jnst.objective.value import terms_at
from jnst.recipes import RECIPES

TERMS_RTOL = 1e-6  # float64 against float64 with weights rounded to float32
GRADIENT_RTOL = 1e-5  # the twin's by central differences, error about 1e-8
STEP = 1e-6  # along features as they move at the image: there all is smooth


def saturated(height, width, seed):
    """A picture of too much contrast with a grey and a white corner."""
    pixels = np.clip(2.2 * picture(height, width, seed, np.float64) - 0.6, 0, 1)
    pixels[-height // 3 :, : width // 3] = 0.4
    pixels[: height // 3, -width // 3 :] = 1
    return pixels


def smooth(height, width, seed):
    """A picture whose roots the iterations resolve to the last digits."""
    return picture(height, width, seed, np.float64)


def pictures(name, make=saturated):
    """The image being optimised, content, and style, of another size if it may be.

    The first two are clipped and partly flat, so that pixels of a pooling's window tie.
    """
    # Roots by Newton-Schulz need more positions than channels at relu5_1:
    # 12 iterations resolve no eigenvalue as small as its 1e-4 on the diagonal.
    wide = RECIPES[name].style_loss == "wasserstein2"
    shape, other = ((64, 79), (70, 66)) if wide else ((40, 47), (36, 50))
    other = shape if RECIPES[name].style_fit else other
    image, content = (make(*shape, seed) for seed in (1, 2))
    return [image, content, smooth(*other, 3)]


def twin_terms(name, along, make=saturated):
    image, content, style = pictures(name, make)
    if name in ("jnst", "jnst-lbfgs"):
        return references_network.terms_by_fields(
            RECIPES[name], tiny_arrays(), image, content, style, along
        )
    return references_network.recipe_terms(
        name, tiny_arrays(), image, content, style, along
    )


@functools.cache
def case(name, make=saturated):
    """Our terms and their gradients, in float64."""
    recipe = RECIPES[name]

    def terms(image, objective):
        found = terms_at(objective, image, key=jax.random.key(0))
        return found, found

    with jax.enable_x64(True):
        params = jax.tree.map(jnp.asarray, tiny_arrays())
        image, content, style = (batch(x, np.float64) for x in pictures(name, make))
        objective = objective_of(params, recipe, content, [style])
        fn = jax.jit(jax.jacrev(terms, has_aux=True))
        gradients, values = jax.device_get(fn(recipe.pixel_scale * image, objective))
    return values, gradients


def check_terms(name, make, rtol):
    values, _ = case(name, make)
    expected = twin_terms(name, np.zeros_like(pictures(name)[0]), make)
    assert values.keys() == expected.keys()
    for term, value in expected.items():
        assert value > 0
        np.testing.assert_allclose(values[term], value, rtol=rtol, err_msg=term)
    total = sum(values.values())
    np.testing.assert_allclose(total, sum(expected.values()), rtol=rtol)


@pytest.mark.parametrize("name", RECIPES)
def test_every_term_equals_the_twin(name, quick_compile):
    rtol = {"crowsonkb": 2}.get(name, 100 if name.startswith("jnst") else 1)
    check_terms(name, saturated, rtol * TERMS_RTOL)  # of a flat picture's roots


@pytest.mark.parametrize("name", ["jnst", "jnst-lbfgs", "crowsonkb"])
def test_roots_of_a_smooth_picture_equal_the_twins(name, quick_compile):
    # Thirteen scaled Newton-Schulz iterations leave 1e-6 of a root.
    check_terms(name, smooth, (5 if name.startswith("jnst") else 1) * TERMS_RTOL)


@pytest.mark.parametrize("name", RECIPES)
def test_every_gradient_equals_the_twins_finite_differences(name, quick_compile):
    _, gradients = case(name)
    image = pictures(name)[0]
    scale = RECIPES[name].pixel_scale
    rng = np.random.default_rng(0)
    for _ in range(2):
        direction = rng.normal(size=image.shape)
        ahead = twin_terms(name, STEP * direction)
        behind = twin_terms(name, -STEP * direction)
        for term, gradient in gradients.items():
            # Per pixel of [0, 1] here, of the optimiser's scale there.
            slope = (ahead[term] - behind[term]) / (2 * STEP)
            actual = scale * np.sum(gradient[0] * direction)
            size = scale * np.linalg.norm(gradient) * np.linalg.norm(direction)
            tolerance = GRADIENT_RTOL * max(abs(slope), 0.01 * size)
            assert abs(actual - slope) <= tolerance, term
