"""Sinkhorn divergence between clouds of feature vectors, by ott-jax.

ott-jax comes with the extra `transport` and is imported when the loss is computed.
"""

import contextlib
import functools
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jnst.base import FeatureMap, Scalar, check_positive
from jnst.losses.vectors import position_vectors

Cloud = Float[Array, "_ c"]


def _sinkdiv() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a dependency of ott-jax
            from ott.tools.sinkhorn_divergence import sinkdiv
    except ImportError:
        raise ValueError(
            "style loss 'sinkhorn' needs ott-jax: install the extra 'transport'"
        ) from None
    return sinkdiv


def _of(stop: tuple[float, int], y: Cloud, epsilon: Scalar) -> Callable[[Cloud], Any]:
    """Make the divergence from y; the masses are of its type, or ott-jax mixes two."""
    solve = {"threshold": stop[0], "max_iterations": stop[1]}

    def divergence(x: Cloud) -> Any:
        masses = (jnp.full(len(each), 1 / len(each), each.dtype) for each in (x, y))
        a, b = masses
        return _sinkdiv()(x, y, a=a, b=b, epsilon=epsilon, solve_kwargs=solve)

    return divergence


@contextlib.contextmanager
def _as_usual() -> Iterator[None]:
    """Let ott-jax do what it relies on, whatever JAX is told to refuse, exactly."""
    allowed = jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard")
    with allowed[0], allowed[1], jax.default_matmul_precision("highest"):
        yield


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _differentiable(
    stop: tuple[float, int], x: Cloud, y: Cloud, epsilon: Scalar
) -> Scalar:
    with _as_usual():
        return _of(stop, y, epsilon)(x)[0]


@_differentiable.defjvp
def _tangent(
    stop: tuple[float, int], primals: tuple[Any, ...], tangents: tuple[Any, ...]
) -> tuple[Scalar, Scalar]:
    # The gradient is taken here, where the context still holds; y and epsilon are the
    # target's, and fixed.
    x, y, epsilon = primals
    with _as_usual():
        divergence = _of(stop, y, epsilon)
        (value, _), gradient = jax.value_and_grad(divergence, has_aux=True)(x)
    return value, jnp.sum(gradient * tangents[0])


_divergence = jax.jit(_differentiable, static_argnums=0)


def cloud(features: FeatureMap, *, samples: int = 256) -> Cloud:
    """Take feature vectors of a map [1, H, W, C] at evenly spaced positions.

    Args:
      features: Feature map [1, H, W, C].
      samples: At most so many positions, every k-th in row order; cost and memory of
        the divergence grow with its square.

    Returns:
      [m, C] with m <= samples, at least float32.

    Raises:
      ValueError: If `samples` is not above 0.
    """
    check_positive("samples", float(samples))
    vectors = position_vectors(features)
    return vectors[:: -(-vectors.shape[0] // samples)]


def sinkhorn(
    statistic: Cloud,
    target: Cloud,
    *,
    epsilon: float = 0.05,
    threshold: float = 0.0,
    max_iterations: int = 1000,
) -> Scalar:
    """Compute the debiased entropic transport cost with squared Euclidean distances.

    Args:
      statistic: Vectors of the image being optimised, [m, C].
      target: Vectors of the style image, [n, C].
      epsilon: Entropic regularisation over the target's mean squared distance between
        two of its vectors; where that is nothing, the type's machine epsilon of the
        statistic's mean squared distance to the target's mean.
      threshold: Where the iterations stop: error of the marginals; 0 for the root of
        the type's machine epsilon.
      max_iterations: Where they stop at the latest.

    Returns:
      Scalar, 0 at equality and >= 0 up to the threshold. The gradient is that of
      iterations that have converged: where `max_iterations` ends them, slopes are off,
      on 48 vectors at VGG's scale by 3e-4.

    Raises:
      ValueError: If ott-jax is not installed.

    References:
      Feydy et al, "Interpolating between Optimal Transport and MMD using Sinkhorn
      Divergences", AISTATS 2019, eq. 3. Departs: at most `samples` positions.
    """
    threshold = threshold or float(jnp.finfo(target.dtype).eps) ** 0.5
    mean = jnp.mean(target, axis=0, keepdims=True)
    apart, spread = (
        jnp.mean(jnp.sum((each - mean) ** 2, axis=1))
        for each in (jax.lax.stop_gradient(statistic), target)
    )
    # Below this share of the costs ott-jax's iterations overflow.
    least = jnp.finfo(target.dtype).eps * jnp.maximum(apart, spread)
    scaled = jnp.maximum(2 * epsilon * spread, jnp.where(least > 0, least, 1))
    return _divergence((threshold, max_iterations), statistic, target, scaled)
