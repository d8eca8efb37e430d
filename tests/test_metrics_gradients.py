"""Derivatives of metrics in float64, and pictures that have no contrast or no light."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from references_metrics import blocks, q
from tiny import tiny_lpips, tiny_params

from jnst import metrics
from jnst.metrics import lpips
from jnst.metrics.computing import run
from jnst.metrics.table import METRICS

pytestmark = pytest.mark.usefixtures("quick_compile")
SMALL = 0.1 + 0.8 * blocks(3, 24, 22), 0.1 + 0.8 * blocks(5, 24, 22)
LARGER = 0.1 + 0.8 * blocks(3, 36, 33), 0.1 + 0.8 * blocks(5, 36, 33)
LARGEST = blocks(3, 161, 163), 0.75 * blocks(3, 161, 163) + 0.25 * q(1, 161, 163, 3)
APART = 0.1 + 0.8 * q(3, 8, 7, 3), 0.1 + 0.8 * q(5, 8, 7, 3)
"""Few pixels, and none twice: where sorted values tie there is no derivative."""
MAPS = 2 * q(1, 4, 5, 6), 3 * q(2, 4, 5, 6)
PAIRS = {
    **dict.fromkeys(METRICS, SMALL),
    **dict.fromkeys(("lpips_alex", "lpips_grey", "artfid_content"), LARGER),
    **{"ms_ssim": LARGEST, "cfsd": MAPS, "frechet": MAPS, "colour": APART},
}
"""What each metric is given, [H, W, C]."""


@functools.cache
def weights_of(name, dtype):
    """Arrays of a small network for a metric that needs one."""
    if name in ("lpips_alex", "lpips_grey", "artfid_content"):
        return tiny_lpips(dtype=dtype)
    rng = np.random.default_rng(0)
    network = tiny_params("vgg16", dtype=dtype)
    if name == "lpips_vgg":
        heads = [jnp.asarray(rng.uniform(0, 1, 4), dtype) for _ in range(5)]
        return {"network": network, "heads": heads}
    if name == "dists":
        alpha, beta = (jnp.asarray(rng.uniform(0, 1, 23), dtype) for _ in range(2))
        return {"network": network, "alpha": alpha, "beta": beta}
    if name in ("gram", "sliced_wasserstein"):
        return tiny_params("vgg19", dtype=dtype)
    return None


def value_of(name, dtype):
    """The metric as a function of two arrays of a type."""
    weights = weights_of(name, dtype)
    return lambda x, y: run(x, y, weights, name, axes=(None, None))


# That of lpips_grey, rounded to 8 bits, is tested below; artfid_content is 1 more.
SMOOTH = [name for name in METRICS if name not in ("lpips_grey", "artfid_content")]


@pytest.mark.parametrize("name", SMOOTH)
def test_derivatives_are_finite_differences(name):
    with jax.enable_x64(True):
        first, second = (jnp.asarray(each, np.float64) for each in PAIRS[name])
        value = value_of(name, np.float64)
        both = jax.jit(jax.value_and_grad(value))
        change = jnp.asarray(np.random.default_rng(0).normal(size=first.shape))
        ends = [float(both(first + step * change, second)[0]) for step in (1e-7, -1e-7)]
        expected = (ends[0] - ends[1]) / 2e-7
        found = float(jnp.sum(both(first, second)[1] * change))
        np.testing.assert_allclose(found, expected, rtol=1e-4)
        assert abs(found) > 1e-6


def test_grey_has_the_derivative_of_the_weighted_sum():
    picture = jnp.asarray(SMALL[0], jnp.float32)
    change = jnp.asarray(SMALL[1], jnp.float32)
    _, found = jax.jvp(lpips.as_grey, (picture,), (change,))
    weights = np.array([19595, 38470, 7471]) / 65536
    expected = np.repeat((SMALL[1] @ weights)[..., None], 3, axis=-1)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def degenerate(first, second):
    """Pairs without contrast, without light, and equal ones."""
    black, white = np.zeros_like(first), np.ones_like(first)
    return {
        "equal": (first, first),
        "black": (black, black),
        "black against a picture": (black, second),
        "a picture against black": (first, black),
        "black and white": (black, white),
        "constant": (0.5 * white, 0.25 * white),
    }


# float32's rounding: SSIM and DISTS are 1 minus a sum near 1, CFSD a difference of
# logarithms over 20 positions, the Fréchet distance one of traces of about 10.
BEST = {"ssim": 1, "ms_ssim": 1, "artfid_content": 1}
ROUNDING = {"cfsd": 1e-4, "frechet": 1e-4}


@pytest.mark.parametrize("name", METRICS)
def test_no_picture_is_better_than_the_same_or_gives_what_is_no_number(name):
    both = jax.jit(jax.value_and_grad(value_of(name, np.float32)))
    values = {}
    pairs = {"another": PAIRS[name], **degenerate(*PAIRS[name])}
    for what, pair in pairs.items():
        found, gradient = both(*(jnp.asarray(each, jnp.float32) for each in pair))
        assert np.isfinite(found) and np.isfinite(gradient).all(), what
        values[what] = float(found)
    best, sign = BEST.get(name, 0), 1 if METRICS[name].better == "lower" else -1
    for what in ("equal", "black"):
        assert abs(values[what] - best) <= ROUNDING.get(name, 1e-6), what
    assert sign * (values["another"] - best) > 1e-3


def test_batches_are_the_pairs_one_by_one():
    for name in ("ssim", "frechet"):
        first, second = (np.float32(each) for each in PAIRS[name])
        several = np.stack([first, 0.5 * first])
        alone = [float(metrics.compute(name, each, second)) for each in several]
        found = metrics.compute(name, several, second)
        assert found.shape == (2,)
        np.testing.assert_allclose(found, alone, rtol=2e-5)
        found = metrics.compute(name, several, np.stack([second, second]))
        np.testing.assert_allclose(found, alone, rtol=2e-5)
        assert metrics.compute(name, first[None], second[None]).shape == (1,)


@pytest.mark.parametrize("count", [1, 2])
def test_derivatives_of_a_batch_are_those_of_its_pictures(count):
    first, second = (jnp.asarray(each, jnp.float32) for each in SMALL)
    several = jnp.stack([first, 0.5 * second[::-1]][:count])

    def total(pictures):
        return metrics.compute("colour", pictures, second, count=8).sum()

    found = jax.jit(jax.grad(total))(several)
    alone = jnp.stack([jax.grad(total)(each) for each in several])
    assert jnp.abs(alone).max() > 0
    np.testing.assert_allclose(found, alone, atol=1e-6 * float(jnp.abs(alone).max()))


def test_products_are_of_the_highest_precision():
    from jaxprs import named
    from rounding import EXACT

    for name, pair in PAIRS.items():
        value = value_of(name, np.float32)
        arrays = [jnp.asarray(each, jnp.float32) for each in pair]
        program = jax.make_jaxpr(jax.grad(value))(*arrays)
        for equation, inside in named(program, "dot_general", "conv_general_dilated"):
            assert equation.params["precision"] == EXACT, (name, equation, inside)
