"""L-BFGS as PyTorch runs it: against a NumPy twin and numbers PyTorch gave."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jnst.loop.lbfgs import torch_lbfgs

SHAPE = (1, 2, 2, 3)
SCALES = 1 + np.arange(12) % 5
CENTRE = np.sin(np.arange(12))
START = np.cos(3 * np.arange(12))


def loss(x):
    """Convex, not quadratic: sum of w (x - c)^2 / 2 + (x - c)^4 / 4."""
    return np.sum(SCALES * (x - CENTRE) ** 2) / 2 + np.sum((x - CENTRE) ** 4) / 4


def gradient(x):
    return SCALES * (x - CENTRE) + (x - CENTRE) ** 3


def twin(x, learning_rate, memory, steps, slope=gradient):
    """torch/optim/lbfgs.py with line_search_fn=None, its loop in NumPy."""
    changes, moves, scale, visited = [], [], 1.0, [x]
    direction, length, previous = None, None, None
    for step in range(steps):
        g = slope(x)
        if step == 0:
            direction, length = -g, min(1.0, 1 / np.abs(g).sum()) * learning_rate
        else:
            y, s = g - previous, direction * length
            if y @ s > 1e-10:
                changes, moves = [*changes, y][-memory:], [*moves, s][-memory:]
                scale = (y @ s) / (y @ y)
            q, alphas = -g, []
            for y, s in reversed(list(zip(changes, moves, strict=True))):
                alphas.append((s @ q) / (y @ s))
                q = q - alphas[-1] * y
            direction = q * scale
            for y, s, alpha in zip(changes, moves, reversed(alphas), strict=True):
                direction = direction + s * (alpha - (y @ direction) / (y @ s))
            length = learning_rate
        previous = g
        x = x + length * direction
        visited.append(x)
    return visited


def ours(x, learning_rate, memory, steps, slope=gradient):
    optimizer = torch_lbfgs(learning_rate, memory)
    update = jax.jit(optimizer.update)
    image = jnp.asarray(x.reshape(SHAPE))
    state, visited = optimizer.init(image), [x]
    for _ in range(steps):
        g = jnp.asarray(slope(visited[-1]).reshape(SHAPE))
        move, state = update(g, state, image)
        image = optax.apply_updates(image, move)
        visited.append(np.asarray(image).reshape(-1))
    return visited


@pytest.mark.parametrize("memory", [1, 3, 100])
def test_every_step_equals_the_twin(memory):
    expected = twin(START, 0.5, memory, steps=10)
    with jax.enable_x64(True):
        actual = ours(START, 0.5, memory, steps=10)
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-12)


# torch 2.13.0+cpu, torch.optim.LBFGS(lr=0.5, tolerance_grad=0, tolerance_change=0) on
# `loss` from START in float64, ten evaluations: losses before each, and the first three
# entries at the end; max_iter=10 in one call gives the same.
TORCH = {
    3: (
        [
            24.7697241806067,
            21.396850916957632,
            10.085940698746624,
            4.774535583180383,
            2.0245551702378193,
            0.7872036045879102,
            0.28071241385709766,
            0.0912239304402686,
            0.026967505806978827,
            0.007433940368055432,
        ],
        [0.03742654245868449, 0.8156788942721236, 0.9093875034343951],
    ),
    100: (
        [
            24.7697241806067,
            21.396850916957632,
            10.085940698746624,
            4.774535583180383,
            2.0245551702378193,
            0.787409746596686,
            0.2808325349622314,
            0.09135914366546807,
            0.027071491148942483,
            0.007507154546285465,
        ],
        [0.0387311349256405, 0.8157557416400703, 0.9093812963838115],
    ),
}


@pytest.mark.parametrize("memory", TORCH)
def test_losses_equal_those_that_pytorch_gave(memory):
    losses, last = TORCH[memory]
    with jax.enable_x64(True):
        visited = ours(START, 0.5, memory, steps=10)
    np.testing.assert_allclose([loss(x) for x in visited[:10]], losses, rtol=1e-9)
    np.testing.assert_allclose(visited[10][:3], last, rtol=1e-9)


def test_the_first_step_is_scaled_by_the_gradients_sum():
    with jax.enable_x64(True):
        first = ours(START, 1.0, 5, steps=1)[1]
    g = gradient(START)
    np.testing.assert_allclose(first, START - g / np.abs(g).sum(), rtol=1e-12)


def test_differences_without_curvature_are_not_remembered():
    # A constant gradient: y = 0, so the memory stays empty and steps are plain.
    slope = lambda x: np.full(12, 0.25)  # noqa: E731
    expected = twin(START, 0.5, 3, 4, slope)
    with jax.enable_x64(True):
        actual = ours(START, 0.5, 3, 4, slope)
    np.testing.assert_allclose(actual, expected, rtol=1e-12)
    assert np.isfinite(actual).all()


@pytest.mark.parametrize("curvature", [1e-7, 1e-9])
def test_differences_are_remembered_from_pytorchs_least_curvature(curvature):
    # The first move's square is 0.02: y.s is 2e-9 or 2e-11, PyTorch's bound 1e-10.
    slope = lambda x: 0.25 + curvature * x  # noqa: E731
    expected = twin(START, 0.5, 3, 2, slope)
    with jax.enable_x64(True):
        actual = ours(START, 0.5, 3, 2, slope)
    np.testing.assert_allclose(actual, expected, rtol=1e-4)


def test_a_zero_gradient_moves_nothing():
    slope = lambda x: np.zeros(12)  # noqa: E731
    np.testing.assert_array_equal(ours(START.astype(np.float32), 1.0, 3, 3, slope)[-1],
                                  START.astype(np.float32))  # fmt: skip


def test_the_image_is_needed():
    optimizer = torch_lbfgs(1.0, 3)
    image = jnp.zeros(SHAPE)
    with pytest.raises(ValueError, match="needs the image"):
        optimizer.update(image, optimizer.init(image))
