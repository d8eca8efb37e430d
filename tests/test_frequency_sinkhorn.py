"""Autocorrelation by Fourier transform, and the Sinkhorn divergence of ott-jax."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import feature_map

from jnst.losses import compute, frequency, sinkhorn


def slow_autocorrelation(features, shifts):
    """Sendik & Cohen-Or 2017, eq. 4, by loops over shifts and positions."""
    height, width, channels = features.shape
    found = np.zeros((2 * shifts + 1, 2 * shifts + 1, channels))
    for di, dj in itertools.product(range(-shifts, shifts + 1), repeat=2):
        products = [
            features[i, j] * features[i + di, j + dj]
            for i, j in itertools.product(range(height), range(width))
            if 0 <= i + di < height and 0 <= j + dj < width
        ]
        found[di + shifts, dj + shifts] = np.mean(products, axis=0)
    return found


def test_autocorrelation_matches_the_definition(maybe_jit):
    features = feature_map(6, 5, 3, seed=1)
    fn = maybe_jit(lambda f: frequency.autocorrelation(f, shifts=3))
    expected = slow_autocorrelation(np.asarray(features[0], np.float64), 3)
    np.testing.assert_allclose(fn(features), expected, rtol=1e-5, atol=1e-5)


def test_the_middle_of_the_autocorrelation_is_the_diagonal_of_the_gram_matrix():
    features = feature_map(6, 5, 3, seed=1)
    middle = frequency.autocorrelation(features, shifts=2)[2, 2]
    expected = np.mean(np.asarray(features[0], np.float64) ** 2, axis=(0, 1))
    np.testing.assert_allclose(middle, expected, rtol=1e-5)


def test_autocorrelations_of_maps_of_different_size_share_their_shifts():
    small, large = feature_map(3, 4, 2, seed=1), feature_map(9, 8, 2, seed=2)
    value = compute("autocorrelation", small, large, shifts=5)
    ours = slow_autocorrelation(np.asarray(small[0], np.float64), 2)
    theirs = slow_autocorrelation(np.asarray(large[0], np.float64), 2)
    np.testing.assert_allclose(value, np.mean((ours - theirs) ** 2), rtol=1e-5)


def entropic_cost(x, y, epsilon):
    """Optimal entropic cost in float64, by 2,000 plain log-domain iterations."""
    cost = ((x[:, None] - y[None]) ** 2).sum(axis=2)
    f, g = np.zeros(len(x)), np.zeros(len(y))

    def soft(potential):
        top = potential.max(axis=1, keepdims=True)
        mean = np.mean(np.exp((potential - top) / epsilon), axis=1)
        return -epsilon * np.log(mean) - top[:, 0]

    for _ in range(2000):
        f = soft(g[None] - cost)
        g = soft(f[None] - cost.T)
    return f.mean() + g.mean()


def test_sinkhorn_equals_the_plain_iteration(quick_compile):
    x, y = feature_map(3, 4, 2, seed=1), feature_map(4, 4, 2, seed=2)
    xs, ys = (np.asarray(v, np.float64).reshape(-1, 2) for v in (x, y))
    epsilon = 0.05 * 2 * np.mean(np.sum((ys - ys.mean(axis=0)) ** 2, axis=1))
    expected = entropic_cost(xs, ys, epsilon)
    expected -= (entropic_cost(xs, xs, epsilon) + entropic_cost(ys, ys, epsilon)) / 2
    actual = compute("sinkhorn", x, y, threshold=1e-5, max_iterations=2000)
    np.testing.assert_allclose(actual, expected, rtol=1e-3)  # float32, the threshold


def test_sinkhorn_takes_evenly_spaced_positions():
    features = feature_map(10, 10, 2)
    assert sinkhorn.cloud(features, samples=30).shape == (25, 2)
    assert sinkhorn.cloud(features, samples=100).shape == (100, 2)


def test_without_ott_the_extra_is_named(monkeypatch):
    import builtins

    real = builtins.__import__

    def refuse(name, *rest, **more):
        if name.startswith("ott"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ValueError, match="extra 'transport'"):
        compute("sinkhorn", np.ones((2, 2, 1)), np.ones((2, 2, 1)))


def test_the_gradient_of_sinkhorn_pulls_towards_the_target():
    x, y = feature_map(3, 4, 2, seed=1), feature_map(3, 4, 2, seed=1) + 1
    slope = jax.grad(lambda f: compute("sinkhorn", f, y))(x)
    assert float(jnp.mean(slope)) < 0
    assert np.isfinite(slope).all()
