"""Wasserstein-2 between Gaussians: worked values, twins, roots and gradients."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import references
from jax.test_util import check_grads
from jaxprs import equations
from tiny import feature_map
from worked import PAIRS, RTOL, A, B, S

from jnst.losses import compute, roots, transport

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


def spectrum(values, seed=0):
    """A symmetric matrix with the eigenvalues asked for, in float64."""
    rng = np.random.default_rng(seed)
    vectors, _ = np.linalg.qr(rng.normal(size=(len(values), len(values))))
    return (vectors * values) @ vectors.T


def test_newton_schulz_finds_root_and_inverse_root():
    covariance = references.covariance(np.asarray(feature_map(seed=3)[0], np.float64))
    with jax.enable_x64(True):
        root, inverse = roots.newton_schulz_roots(jnp.asarray(covariance))
    expected = references.symmetric_root(covariance)
    np.testing.assert_allclose(root, expected, rtol=0, atol=1e-10)
    product = np.asarray(root) @ np.asarray(inverse)
    np.testing.assert_allclose(product, np.eye(3), rtol=0, atol=1e-9)


# What is left by construction: 1e-4 of the norm is where "factored" ends to resolve.
RESOLVED = {"sum": (1e-6, 1e-9), "factored": (1e-3, 2e-4)}


@pytest.mark.parametrize("form", RESOLVED)
def test_the_polar_factor_is_that_of_the_singular_vectors(form):
    least, error = RESOLVED[form]
    values = np.geomspace(least, 1, 40)
    left, right = (np.linalg.eigh(spectrum(values, n))[1] for n in (1, 2))
    matrix = (left * values) @ right.T
    with jax.enable_x64(True):
        polar = roots.polar_factor(jnp.asarray(matrix), form=form)
        wide = np.asarray(roots.polar_factor(jnp.asarray(matrix[:9]), form=form))
        norm = roots.nuclear_norm(jnp.asarray(matrix), form)
    np.testing.assert_allclose(polar, left @ right.T, rtol=0, atol=100 * error)
    np.testing.assert_allclose(norm, values.sum(), rtol=error)
    np.testing.assert_allclose(wide @ wide.T, np.eye(9), rtol=0, atol=100 * error)


@pytest.mark.parametrize("form", ["sum", "factored"])
@pytest.mark.parametrize("scale", [0.0, 1e-18, 1.0, 1e15])
def test_the_polar_iteration_cannot_run_away(form, scale):
    """Rank 1 in float32, where all other singular values are rounding, or all are 0."""
    matrix = jnp.outer(jnp.arange(1.0, 31.0), jnp.arange(5.0, 25.0)) * scale
    polar = roots.polar_factor(matrix, form=form)
    assert np.linalg.norm(polar, 2) < 1 + 1e-5
    expected = float(np.linalg.norm(np.asarray(matrix, np.float64)))
    norm = jax.jit(lambda x: roots.nuclear_norm(x, form))(matrix)
    np.testing.assert_allclose(norm, expected, rtol=1e-3)


@pytest.mark.parametrize(("form", "least"), [("factored", 1e-4), ("sum", 1e-7)])
def test_the_polar_factor_resolves_values_as_small_as_promised(form, least):
    with jax.enable_x64(True):
        matrix = jnp.diag(jnp.asarray([1.0, 0.3, 3e-2, 3 * least]))
        polar = np.diag(roots.polar_factor(matrix, form=form))
    np.testing.assert_allclose(polar, 1, atol=1e-5)


def test_value_and_derivative_iterate_as_often_as_the_form_says():
    for form, factors in roots.ITERATIONS.items():
        value = functools.partial(roots.nuclear_norm, form=form)
        for function in (value, jax.grad(value)):
            jaxpr = jax.make_jaxpr(function)(jnp.eye(3))
            found = [str(equation.primitive) for equation, _ in equations(jaxpr)]
            assert found.count("dot_general") == 2 * len(factors)


def test_scales_keep_the_largest_value_and_lift_the_smallest_together():
    """Chen & Chow: after each iteration both ends of the interval are equal."""
    low = roots.LOWEST
    for scale in roots.scales(low, 5):
        ends = [scale * x * (3 - (scale * x) ** 2) / 2 for x in (low, 1.0)]
        np.testing.assert_allclose(ends[0], ends[1], rtol=1e-12)
        low = ends[0]


def test_the_gradient_of_the_trace_of_the_root_is_half_the_inverse_root():
    covariance = references.covariance(np.asarray(feature_map(seed=3)[0], np.float64))
    with jax.enable_x64(True):
        matrix = jnp.asarray(covariance)
        trace = jax.jit(roots.trace_of_root)
        check_grads(trace, (matrix,), order=1, modes=["rev"])
        gradient = jax.grad(trace)(matrix)
    expected = np.linalg.inv(references.symmetric_root(covariance)) / 2
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-9)


def test_the_gradient_of_the_coupling_is_that_of_the_trace_of_the_root():
    ours, theirs = spectrum(np.geomspace(0.1, 1, 6)), spectrum(np.linspace(1, 2, 6), 5)
    root = references.symmetric_root(theirs)
    with jax.enable_x64(True):
        arrays = jnp.asarray(ours), jnp.asarray(root)
        value, slope = jax.value_and_grad(roots.coupling)(*arrays, "sum")
        expected, direction = jax.value_and_grad(
            lambda s: roots.trace_of_root(arrays[1] @ s @ arrays[1])
        )(arrays[0])
    np.testing.assert_allclose(value, expected, rtol=1e-9)
    np.testing.assert_allclose(slope, direction, rtol=0, atol=1e-8)


def gaussian_distance(ours, theirs):
    """The definition, float64, eigenvalues: |m1 - m2|^2 + tr(S1 + S2 - 2 root), / C."""
    maps = [np.asarray(x, np.float64).reshape(-1, x.shape[-1]) for x in (ours, theirs)]
    mean = ((maps[0].mean(0) - maps[1].mean(0)) ** 2).sum()
    first, second = (np.cov(x.T, bias=True) for x in maps)
    root = references.symmetric_root(second)
    cross = np.linalg.eigvalsh(root @ first @ root)
    spread = np.trace(first + second) - 2 * np.sqrt(np.maximum(cross, 0)).sum()
    largest = max(mean, np.trace(first), np.trace(second))
    return (mean + spread) / len(first), largest / len(first)


@pytest.mark.parametrize("form", ["sum", "mean", "factored"])
@pytest.mark.parametrize("positions", [(16, 12), (3, 4)], ids=["many", "few"])
@pytest.mark.parametrize("contrast", [1.0, 1e-3, 0.0])
def test_little_contrast_on_large_means(form, positions, contrast):
    """VGG's scale: means in the hundreds, where second moments less squares are noise.

    The source's iteration, "mean", is itself off by more than 1e-3 of the trace.
    """
    offset = 300 + 50 * feature_map(1, 1, 40, seed=9)
    flat = offset + contrast * feature_map(*positions, 40, seed=5)
    style = offset + contrast * feature_map(8, 9, 40, seed=6)
    loss = jax.jit(
        jax.value_and_grad(lambda f: compute("wasserstein2", f, style, form=form))
    )
    found, gradient = loss(flat)
    assert np.isfinite(gradient).all() and found >= 0
    expected, largest = gaussian_distance(flat, style)
    channels = 40 if form == "sum" else 1
    allowed = (0.03 if form == "mean" else 1e-3) * largest + 3e-4  # the diagonal's
    assert abs(found / channels - expected) <= allowed


@pytest.mark.parametrize("shape", [(16, 12, 40), (3, 4, 40)], ids=["many", "few"])
def test_a_map_is_at_no_distance_from_itself(shape):
    features = 300 + 100 * feature_map(*shape, seed=5)
    _, largest = gaussian_distance(features, features)
    for form, allowed in (("sum", 1e-5), ("factored", 1e-3)):
        found = compute("wasserstein2", features, features, form=form)
        assert 0 <= found <= allowed * largest * (40 if form == "sum" else 1)


@pytest.mark.parametrize(("form", "share"), [("sum", 8), ("factored", 1)])
def test_two_equal_flat_maps_are_apart_by_the_diagonal_alone(form, share):
    # No covariance: what is left is 1e-12 for each of the image's channels.
    flat = jnp.full((1, 4, 3, 8), 100.0)
    found = compute("wasserstein2", flat, flat, form=form)
    np.testing.assert_allclose(found, share * 1e-12, rtol=1e-3)


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


def test_the_factored_form_of_a_map_with_many_positions_is_the_exact_form():
    # Only their iterations differ, and that it is a mean over the two channels.
    pair = PAIRS["A,S"]
    exact, factored = (
        compute("wasserstein2", *pair, form=f) for f in ("sum", "factored")
    )
    np.testing.assert_allclose(factored, exact / 2, rtol=1e-4)
