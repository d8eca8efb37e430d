"""Total variation: worked values, twins, and its behaviour on special images."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import references
from tiny import picture
from worked import RTOL, X8, A, B, X, Y

from jnst.losses import IMAGE_LOSSES, compute

pytestmark = pytest.mark.usefixtures("quick_compile")

BETAS = [
    {"beta": beta, "mode": mode, "reduction": reduction}
    for beta in (0.5, 1.0, 1.5, 2.0, 2.5)
    for mode in ("crop", "replicate")
    for reduction in ("sum", "mean")
]
VARIATIONS = [name for name in IMAGE_LOSSES if name.startswith("tv_")]
FORMS = [(name, {}) for name in VARIATIONS] + [("tv_beta", o) for o in BETAS]


@pytest.mark.parametrize(
    ("name", "options", "image", "expected"),
    [
        ("tv_mean_l2", {}, X, 0.2960973669),  # A1, B4
        ("tv_beta", {"beta": 2.5}, X, 5.158953945),  # A2
        ("tv_beta", {"beta": 2.5}, 255 * X, 5356882.272),  # A2
        ("tv_johnson", {}, X, 3.146484375),  # B2
        ("tv_johnson", {}, 255 * X, 204600.1465),  # B2
        ("tv_beta", {"beta": 1.0}, X, 10.03119136),  # B3, crop
        ("tv_beta", {"beta": 1.0, "mode": "replicate"}, X, 13.78119136),
        ("tv_beta", {"beta": 2.0}, X, 6.29296875),
        ("tv_beta", {"beta": 2.0, "mode": "replicate"}, X, 7.64453125),
        ("tv_beta", {"beta": 2.5, "mode": "replicate"}, X, 6.023105554),
        ("tv_beta", {"beta": 2.0, "reduction": "mean"}, X, 0.349609375),  # pystiche
        ("tv_sum_l1", {}, X, 16.5625),  # B4, columns X and Y
        ("tv_sum_l1", {}, Y, 15.3125),
        ("tv_half_mean_l1", {}, X, 0.3219039352),
        ("tv_half_mean_l1", {}, Y, 0.3012152778),
        ("tv_sum_l2", {}, X, 7.64453125),
        ("tv_sum_l2", {}, Y, 6.50390625),
        ("tv_mean_l2", {}, Y, 0.2572699653),
        ("tv_isotropic", {}, X, 10.03119155),
        ("tv_nine_point", {}, X, 0.1799442998),
        ("tv_nine_point", {}, Y, 0.1459635417),
    ],
)
def test_total_variations_equal_the_catalogue(name, options, image, expected):
    actual = compute(name, image, **options)
    np.testing.assert_allclose(actual, expected, rtol=RTOL)


@pytest.mark.parametrize(("name", "options"), FORMS)
def test_every_total_variation_matches_its_twin(name, options, maybe_jit):
    image = picture(6, 7, seed=4)
    actual = maybe_jit(lambda x: compute(name, x, **options))(image)
    expected = references.image_loss(image.astype(np.float64), name, **options)
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_part_2_of_source_000_adds_up_to_the_catalogues_total():
    # losses.md, A1: 0.01 style + 1e9 TV(X) + 1e4 content.
    style = 0.2808825374
    total = 0.01 * style + 1e9 * float(compute("tv_mean_l2", X))
    total += 1e4 * float(compute("squared_mean_difference", A, B))
    np.testing.assert_allclose(total, 296097368, rtol=RTOL)


def test_uniform_noise_has_a_total_variation_of_a_third():
    # Each mean is 2 Var(U[0, 1]) = 1/6; source 000 printed 0.33467752 for its noise.
    # The deviation of the mean of 224 * 223 * 3 squares, neighbours correlated, is
    # below 1e-3 for both directions together: four of them are allowed.
    key = jax.random.key(0)
    noise = jax.random.uniform(key, (1, 224, 224, 3))
    actual = float(compute("tv_mean_l2", noise))
    assert abs(actual - 1 / 3) < 4e-3
    assert abs(0.33467752 - 1 / 3) < 4e-3


@pytest.mark.parametrize(
    ("name", "options", "degree"),
    [
        # losses.md, D1: degrees in the pixel scale.
        ("tv_sum_l1", {}, 1.0),
        ("tv_half_mean_l1", {}, 1.0),
        ("tv_beta", {"beta": 1.0}, 1.0),
        ("tv_mean_l2", {}, 2.0),
        ("tv_sum_l2", {}, 2.0),
        ("tv_johnson", {}, 2.0),
        ("tv_nine_point", {}, 2.0),
        ("tv_beta", {"beta": 2.5}, 2.5),
    ],
)
def test_pixels_times_255_multiply_by_255_to_the_degree(name, options, degree):
    ratio = compute(name, 255 * X, **options) / compute(name, X, **options)
    np.testing.assert_allclose(ratio, 255**degree, rtol=1e-5)


@pytest.mark.parametrize("name", VARIATIONS)
def test_adding_a_constant_changes_nothing(name):
    before, after = compute(name, X), compute(name, X + 0.25)
    np.testing.assert_allclose(after, before, rtol=1e-5)


@pytest.mark.parametrize("name", ["tv_mean_l2", "tv_half_mean_l1", "tv_nine_point"])
def test_means_hardly_grow_with_the_image(name):
    # losses.md, D1: from X (3x4) to X8 (8x8) means change by at most 11 %.
    ratio = float(compute(name, X8) / compute(name, X))
    assert abs(ratio - 1) <= 0.11


@pytest.mark.parametrize("name", ["tv_sum_l1", "tv_sum_l2"])
def test_absolute_values_have_no_gradient_at_flat_spots(name):
    # JAX's own derivative of |x| at 0 is +1 (losses.md, D3).
    flat = jnp.full((1, 4, 5, 3), 0.5)
    gradient = jax.grad(lambda x: compute(name, x))(flat)
    np.testing.assert_array_equal(gradient, np.zeros((1, 4, 5, 3)))


@pytest.mark.parametrize("beta", [0.5, 1.0, 1.5, 2.0, 2.5])
@pytest.mark.parametrize("mode", ["crop", "replicate"])
def test_tv_beta_has_no_gradient_at_flat_spots_for_any_beta(beta, mode):
    # losses.md, D3: (dx^2 + dy^2) ** p at 0 gives NaN in JAX for p = 0.5 or 0.75.
    flat = jnp.full((1, 4, 5, 3), 0.5)
    slope = jax.grad(lambda x: compute("tv_beta", x, beta=beta, mode=mode))
    np.testing.assert_array_equal(slope(flat), np.zeros((1, 4, 5, 3)))
    spot = slope(flat.at[0, 1, 1].set(0.75))
    assert np.isfinite(spot).all() and np.abs(spot).max() > 0


def test_johnsons_gradient_is_the_one_its_code_writes():
    # TVLoss in Lua: x_diff = x - right, y_diff = x - below (both cropped); the gradient
    # gets both at the pixel, -x_diff at its right, -y_diff below.
    image = X.copy()
    expected = np.zeros_like(image)
    for i in range(2):
        for j in range(3):
            x_diff = image[i, j] - image[i, j + 1]
            y_diff = image[i, j] - image[i + 1, j]
            expected[i, j] += x_diff + y_diff
            expected[i, j + 1] -= x_diff
            expected[i + 1, j] -= y_diff
    gradient = jax.grad(lambda x: compute("tv_johnson", x))(jnp.asarray(image))
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-7)


def test_wrong_options_are_refused():
    with pytest.raises(ValueError, match="unknown mode of tv_beta 'cropp'. Did you me"):
        compute("tv_beta", X, mode="cropp")
    with pytest.raises(ValueError, match="unknown reduction"):
        compute("tv_beta", X, reduction="max")
    with pytest.raises(ValueError, match="beta must be above 0, got 0"):
        compute("tv_beta", X, beta=0.0)
