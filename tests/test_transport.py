"""Wasserstein-2 between Gaussians: worked values, twins, roots and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import references
from jax.test_util import check_grads
from tiny import feature_map
from worked import PAIRS, RTOL, A, B, S

from jnst.losses import compute, transport

pytestmark = pytest.mark.usefixtures("quick_compile")


@pytest.mark.parametrize(
    ("form", "pair", "expected"),
    [
        # losses.md, B18; the mean form's values are crowsonkb's own code's (B5).
        ("sum", "A,B", 0.3954210412),
        ("sum", "A,S", 0.3795426721),
        ("sum", "X,Y", 0.01031431878),
        ("mean", "A,B", 0.1976744134),
        ("mean", "A,S", 0.1897467144),
        ("mean", "X,Y", 0.003434320829),
    ],
)
def test_wasserstein2_equals_the_catalogue(form, pair, expected):
    actual = compute("wasserstein2", *PAIRS[pair], form=form)
    # A small difference of traces: X,Y subtracts numbers 30 times as large.
    np.testing.assert_allclose(actual, expected, rtol=2 * RTOL)


def test_wasserstein2_equals_the_catalogue_in_float64():
    with jax.enable_x64(True):
        actual = compute("wasserstein2", *PAIRS["X,Y"])
        np.testing.assert_allclose(actual, 0.01031431878, rtol=1e-9)


def test_one_channel_is_the_difference_of_means_and_deviations():
    # losses.md, B18: (m1 - m2)^2 + (s1 - s2)^2 of A[..., 0] and S[..., 0].
    one, other = A[..., :1], S[..., :1]
    actual = compute("wasserstein2", one, other)
    np.testing.assert_allclose(actual, 0.2238856613, rtol=RTOL)
    expected = (one.mean() - other.mean()) ** 2 + (one.std() - other.std()) ** 2
    np.testing.assert_allclose(actual, expected, rtol=RTOL)


@pytest.mark.parametrize("form", ["sum", "mean"])
def test_both_forms_match_their_twin(form, maybe_jit):
    ours, theirs = feature_map(seed=1), feature_map(6, 7, seed=2)
    fn = maybe_jit(lambda a, b: compute("wasserstein2", a, b, form=form))
    arrays = (np.asarray(f[0], np.float64) for f in (ours, theirs))
    expected = references.wasserstein2_loss(*arrays, form=form)
    np.testing.assert_allclose(fn(ours, theirs), expected, rtol=1e-5)


# Eight scaled iterations end nearer than float32 sees, twelve plain ones at float64's.
CONVERGED = {"mean": 1e-10, "factored": 1e-6}


@pytest.mark.parametrize("form", CONVERGED)
def test_newton_schulz_finds_root_and_inverse_root(form):
    covariance = references.covariance(np.asarray(feature_map(seed=3)[0], np.float64))
    with jax.enable_x64(True):
        matrix = jnp.asarray(covariance)
        root, inverse = transport.newton_schulz_roots(matrix, form=form)
    np.testing.assert_allclose(
        root, references.symmetric_root(covariance), rtol=0, atol=CONVERGED[form]
    )
    product = np.asarray(root) @ np.asarray(inverse)
    np.testing.assert_allclose(product, np.eye(3), rtol=0, atol=10 * CONVERGED[form])


def test_eight_scaled_iterations_resolve_what_twelve_plain_ones_do_not():
    """Eigenvalues from 1e-4 to 1, against the roots known by construction, float64."""
    rng = np.random.default_rng(0)
    vectors, _ = np.linalg.qr(rng.normal(size=(60, 60)))
    values = np.geomspace(1e-4, 1, 60)
    errors = {}
    with jax.enable_x64(True):
        matrix = jnp.asarray((vectors * values) @ vectors.T)
        for form in ("mean", "factored"):
            root, inverse = transport.newton_schulz_roots(matrix, form=form)
            traces = [np.sqrt(values).sum(), (1 / np.sqrt(values)).sum()]
            found = [float(jnp.trace(root)), float(jnp.trace(inverse))]
            errors[form] = np.abs(np.divide(found, traces) - 1)
    np.testing.assert_array_less(errors["factored"], [1e-4, 5e-3])
    np.testing.assert_array_less(10 * errors["factored"], errors["mean"])


def test_scales_keep_the_largest_eigenvalue_and_lift_the_smallest_together():
    """Chen & Chow: after each iteration both ends of the interval are equal."""
    low = 0.01
    for scale in transport.scales(low**2, 5):
        ends = [scale * x * (3 - (scale * x) ** 2) / 2 for x in (low, 1.0)]
        np.testing.assert_allclose(ends[0], ends[1], rtol=1e-12)
        low = ends[0]


@pytest.mark.parametrize("form", ["mean", "factored"])
def test_the_gradient_of_the_trace_of_the_root_is_half_the_inverse_root(form):
    covariance = references.covariance(np.asarray(feature_map(seed=3)[0], np.float64))
    with jax.enable_x64(True):
        matrix = jnp.asarray(covariance)
        trace = jax.jit(lambda x: transport.trace_of_root(x, form))
        check_grads(trace, (matrix,), order=1, modes=["rev"])
        gradient = jax.grad(trace)(matrix)
    expected = np.linalg.inv(references.symmetric_root(covariance)) / 2
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=10 * CONVERGED[form])


@pytest.mark.parametrize("form", ["sum", "mean"])
def test_fewer_positions_than_channels_give_finite_gradients(form):
    # Both covariances are singular, as at deep layers of small images.
    target = feature_map(1, 2, 8, seed=2)
    fn = jax.jit(jax.grad(lambda x: compute("wasserstein2", x, target, form=form)))
    assert np.isfinite(fn(feature_map(1, 2, 8, seed=1))).all()


def test_moments_of_several_styles_blend_before_the_covariance():
    # crowsonkb averages means and second raw moments, then takes the covariance: that
    # of all positions together where the styles have equal size.
    one, other = feature_map(seed=1), feature_map(seed=2)
    parts = [transport.gaussian(f) for f in (one, other)]
    mixed = transport.blend_gaussians(parts, [0.5, 0.5])
    joined = transport.gaussian(jnp.concatenate([one, other], axis=1))
    for actual, expected in zip(mixed, joined, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


def test_the_distance_is_symmetric():
    there, back = (compute("wasserstein2", *pair) for pair in ((A, B), (B, A)))
    np.testing.assert_allclose(there, back, rtol=1e-5)


def test_an_unknown_form_is_refused():
    with pytest.raises(ValueError, match="unknown form of wasserstein2 'mena'. Did yo"):
        compute("wasserstein2", A, B, form="mena")


def test_the_factored_form_is_the_mean_form_of_a_map_with_few_positions():
    # 12 positions in 40 channels: a 12 x 12 root instead of a 40 x 40 one. Both forms
    # put 1e-4 on the style's diagonal only, or on both: 1e-2 relative of the value.
    few, style = feature_map(3, 4, 40, seed=5), feature_map(8, 9, 40, seed=6)

    def loss(form):
        return jax.jit(
            jax.value_and_grad(lambda f: compute("wasserstein2", f, style, form=form))
        )

    (mean, slope), (factored, direction) = loss("mean")(few), loss("factored")(few)
    np.testing.assert_allclose(factored, mean, rtol=1e-2)
    np.testing.assert_allclose(direction, slope, rtol=0.05, atol=1e-4)
    exact = compute("wasserstein2", few, style, form="sum") / 40
    np.testing.assert_allclose(factored, exact, rtol=1e-2)


def test_the_factored_form_of_a_map_with_many_positions_is_nearly_the_mean_form():
    # Only their iterations differ: 1e-4 of the value.
    pair = PAIRS["A,S"]
    forms = [compute("wasserstein2", *pair, form=f) for f in ("mean", "factored")]
    np.testing.assert_allclose(*forms, rtol=1e-4)
