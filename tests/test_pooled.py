"""Moments that add up: the statistics and derivatives of whole maps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnst.losses import STYLE_LOSSES
from jnst.losses.pooled import joined, pooled, pulled

pytestmark = pytest.mark.usefixtures("quick_compile")
NAMES = [name for name, row in STYLE_LOSSES.items() if row.moments]
SHAPE = (1, 9, 8, 5)
PARTS = np.random.default_rng(0).integers(0, 3, (1, 9, 8, 1))
"""Which of three parts a position belongs to; a fourth is empty."""
INSIDE = [jnp.asarray(PARTS == n, jnp.float32) for n in range(4)]


def features(seed, mean=0.5, deviation=1.0):
    noise = np.random.default_rng(seed).normal(0, 1, SHAPE)
    return jnp.asarray(mean + deviation * noise, jnp.float32)


def moments(x):
    found = pooled(x, INSIDE[3])
    for inside in INSIDE[:3]:
        found = joined(found, pooled(x, inside))
    return found


def test_parts_join_to_the_moments_of_the_whole():
    x = features(0)
    found = moments(x)
    vectors = np.asarray(x, np.float64).reshape(-1, 5)
    deviations = vectors - vectors.mean(0)
    assert found.positions == 72
    np.testing.assert_allclose(found.mean, vectors.mean(0), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found.products, deviations.T @ deviations, atol=1e-4)


def test_deviations_far_below_the_mean_keep_their_digits():
    x = features(1, mean=300.0, deviation=1e-2)
    found = moments(x)
    vectors = np.asarray(x, np.float64).reshape(-1, 5)
    expected = np.diag(np.cov(vectors.T, bias=True)) * 72
    # Raw sums are about 6e6: their difference would have no digit of 7e-3 left.
    np.testing.assert_allclose(np.diag(found.products), expected, rtol=2e-2)


@pytest.mark.parametrize("name", NAMES)
def test_moments_give_a_loss_and_its_derivative(name):
    row, x, style = STYLE_LOSSES[name], features(2), features(3, 0.7, 1.3)

    @jax.jit
    def both(x, style):
        target = row.statistic(style)
        whole = moments(x)
        value, pull = jax.value_and_grad(
            lambda known: row.distance(row.moments(known), target)
        )(whole)
        parts = [pulled(x, inside, whole, pull) for inside in INSIDE]
        usual = jax.value_and_grad(lambda x: row.distance(row.statistic(x), target))
        return value, sum(parts), usual(x)

    value, gradient, expected = both(x, style)
    np.testing.assert_allclose(value, expected[0], rtol=1e-5)
    scale = float(jnp.abs(expected[1]).max())
    np.testing.assert_allclose(gradient, expected[1], atol=1e-5 * scale)
