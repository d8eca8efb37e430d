"""The first image: what the network sees of it, as the sources begin."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from made import objective_of
from tiny import batch, picture

import jnst
from jnst.loop.initial import INITS
from jnst.loop.state import first_image
from jnst.network.vgg import preprocess

CONTENT, STYLE = picture(60, 70, 1), picture(60, 70, 2)
KEY = jax.random.key(0)


def first(params, recipe, **changes):
    """The first image of a run, [0, 1], and what its network sees in grey levels."""
    objective = jnst.make_objective(CONTENT, STYLE, recipe, weights=params, **changes)
    white = objective.extract.options.white
    image = first_image(objective.start, jax.random.key(0))
    return image, preprocess(params, image * (white / 255))


def test_neural_style_begins_where_its_network_sees_nothing(vgg19):
    # jcjohnson/neural-style: torch.randn * 0.001 as the network's own input.
    seen = first(vgg19, "neural-style")[1]
    np.testing.assert_allclose(seen, 0, rtol=0, atol=0.006)
    assert 0.0009 < float(jnp.std(seen)) < 0.0011


def test_the_course_mixes_noise_and_content_in_the_networks_own_scale(vgg19):
    # losses.md, A3: 0.6 uniform(-20, 20) + 0.4 content, both minus the means.
    seen = np.asarray(first(vgg19, "course")[1])
    content = np.asarray(preprocess(vgg19, batch(CONTENT)))
    noise = (seen - 0.4 * content) / 0.6
    assert 19 < noise.max() < 20.001 and -20.001 < noise.min() < -19
    # 12,600 uniform numbers: four standard deviations of their mean and spread.
    np.testing.assert_allclose(noise.mean(), 0, rtol=0, atol=0.5)
    np.testing.assert_allclose(noise.std(), 20 / np.sqrt(3), rtol=0.02)


def test_source_000_begins_with_uniform_noise(vgg19):
    image = np.asarray(first(vgg19, "notebook-texture")[0])
    assert 0 <= image.min() < 0.01 and 0.99 < image.max() <= 1
    np.testing.assert_allclose(image.mean(), 0.5, rtol=0, atol=0.011)


def test_crowsonkbs_grey_and_style_means_carry_one_grey_level_of_noise(vgg19):
    # style_transfer.py: rand / 255 + 0.5; its style_stats means, here with that noise.
    for name, level in (("gray", 0.5), ("style_mean", STYLE.mean(axis=(0, 1)))):
        noise = (np.asarray(first(vgg19, "crowsonkb", init=name)[0]) - level) * 255
        # Of 12,600 uniform numbers the ends are within 0.002 but for one in 1e11.
        assert -0.002 < noise.min() < 0.002 and 0.998 < noise.max() < 1.002, name


@pytest.mark.parametrize(("name", "expected"), [("content", CONTENT), ("style", STYLE)])
def test_an_image_begins_as_itself(vgg19, name, expected):
    image = first(vgg19, "tf-eager", init=name)[0]
    np.testing.assert_allclose(image[0], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", INITS)
def test_the_key_decides_every_random_number(name):
    zero = jnp.full(3, 0.4)
    draw = lambda key: INITS[name](key, batch(CONTENT), batch(STYLE), zero)  # noqa: E731
    np.testing.assert_array_equal(draw(KEY), draw(KEY))
    random = name not in ("content", "style")
    assert (np.abs(draw(KEY) - draw(jax.random.key(1))).max() > 0) == random


def test_the_seed_decides_the_first_image_and_the_key_of_the_steps(vgg19):
    recipe = jnst.Recipe(terms=(jnst.Term("tv", "tv_mean_l2"),), init="noise", seed=5)
    objective = objective_of(vgg19, recipe, batch(picture(6, 7)))
    own, *others = (jnst.init(objective, seed=seed) for seed in (None, 5, 6))
    for other, same in zip(others, (True, False), strict=True):
        keys = [jax.random.key_data(state.key) for state in (own, other)]
        assert np.array_equal(*keys) == same
        assert np.array_equal(own.image, other.image) == same
    image = 3 * picture(6, 7) - 1  # values outside [0, 1] are kept
    given = jnst.init(objective, image)
    np.testing.assert_allclose(given.image[0] / recipe.pixel_scale, image, rtol=1e-6)
    # Steps do not draw the numbers of the first image again.
    noise = jax.random.uniform(own.key, own.image.shape)
    assert np.abs(own.image / recipe.pixel_scale - noise).max() > 0.1
