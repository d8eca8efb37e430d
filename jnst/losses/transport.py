"""Wasserstein-2 distance between Gaussians fitted to feature vectors.

Means and second raw moments of several styles mix linearly, covariances do not: that
is why they are what the statistic keeps. The root of the style's covariance rides
along, computed once per run; nothing differentiates it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jnst.base import FeatureMap, Scalar, as_statistics_dtype, check_one_of

Matrix = Float[Array, "c c"]
NEWTON_SCHULZ_STEPS = 12
MEAN_FORM_EPSILON = 1e-4
TINY_EIGENVALUE = 1e-12


class Gaussian(NamedTuple):
    """Moments of the feature vectors of all positions.

    Attributes:
      mean: Mean vector, [C].
      second: Second raw moment, [C, C].
      root: Symmetric root of the covariance, [C, C], without gradient.
    """

    mean: Float[Array, "c"]
    second: Matrix
    root: Matrix


def newton_schulz_roots(matrix: Matrix) -> tuple[Matrix, Matrix]:
    """Approximate a symmetric positive matrix's root and inverse root.

    Args:
      matrix: Symmetric, positive definite, [C, C].

    Returns:
      Root and inverse root after 12 coupled iterations, which resolve eigenvalues down
      to about 1e-4 of the largest.

    References:
      Higham, "Functions of Matrices", 2008, section 6.3; the number of iterations is
      crowsonkb/style-transfer-pytorch's, `sqrtm_ns`.
    """
    norm = jnp.sqrt(jnp.sum(matrix**2))
    three = 3 * jnp.eye(matrix.shape[0], dtype=matrix.dtype)
    root, inverse = matrix / norm, three / 3
    for _ in range(NEWTON_SCHULZ_STEPS):
        correction = (three - inverse @ root) / 2
        root, inverse = root @ correction, correction @ inverse
    return root * jnp.sqrt(norm), inverse / jnp.sqrt(norm)


@jax.custom_vjp
def trace_of_root(matrix: Matrix) -> Scalar:
    """Take the trace of the symmetric root by Newton-Schulz iterations.

    The derivative is half the inverse root, which the coupled iteration yields anyway;
    crowsonkb's code solves a Lyapunov equation for it instead.
    """
    return jnp.trace(newton_schulz_roots(matrix)[0])


def _trace_forward(matrix: Matrix) -> tuple[Scalar, Matrix]:
    root, inverse = newton_schulz_roots(matrix)
    return jnp.trace(root), inverse


def _trace_backward(inverse: Matrix, cotangent: Scalar) -> tuple[Matrix]:
    return (cotangent * inverse / 2,)


trace_of_root.defvjp(_trace_forward, _trace_backward)


def _eigen_root(matrix: Matrix) -> Matrix:
    values, vectors = jnp.linalg.eigh(matrix)
    return (vectors * jnp.sqrt(jnp.maximum(values, 0)).reshape(1, -1)) @ vectors.T


def _eigen_trace_of_root(matrix: Matrix) -> Scalar:
    """Sum the roots of the eigenvalues; eigenvectors are never differentiated."""
    values = jnp.linalg.eigvalsh((matrix + matrix.T) / 2)
    return jnp.sum(jnp.sqrt(jnp.maximum(values, TINY_EIGENVALUE)))


def _covariance(mean: Float[Array, "c"], second: Matrix, form: str) -> Matrix:
    covariance = second - jnp.outer(mean, mean)
    if form == "mean":
        covariance += MEAN_FORM_EPSILON * jnp.eye(mean.shape[0], dtype=mean.dtype)
    return covariance


def _with_root(mean: Float[Array, "c"], second: Matrix, form: str) -> Gaussian:
    check_one_of("form of wasserstein2", form, ("sum", "mean"))
    covariance = jax.lax.stop_gradient(_covariance(mean, second, form))
    newton = form == "mean"
    root = newton_schulz_roots(covariance)[0] if newton else _eigen_root(covariance)
    return Gaussian(mean, second, jax.lax.stop_gradient(root))


def gaussian(features: FeatureMap, *, form: str = "sum") -> Gaussian:
    """Fit a Gaussian to the feature vectors of a map [1, H, W, C].

    Raises:
      ValueError: For an unknown form.
    """
    vectors = as_statistics_dtype(features).reshape(-1, features.shape[-1])
    mean = jnp.mean(vectors, axis=0)
    return _with_root(mean, vectors.T @ vectors / vectors.shape[0], form)


def blend_gaussians(
    statistics: Sequence[Gaussian],
    weights: Sequence[float | Scalar],
    *,
    form: str = "sum",
) -> Gaussian:
    """Mix the raw moments of several styles with weights that sum to 1."""
    pairs = list(zip(statistics, weights, strict=True))
    mean = sum(weight * statistic.mean for statistic, weight in pairs)
    second = sum(weight * statistic.second for statistic, weight in pairs)
    return _with_root(jnp.asarray(mean), jnp.asarray(second), form)


def wasserstein2(statistic: Gaussian, target: Gaussian, *, form: str = "sum") -> Scalar:
    """Compute the squared 2-Wasserstein distance of two Gaussians.

    Args:
      statistic: Of the image being optimised.
      target: Of the style image.
      form: "sum" over channels, with exact eigenvalues; "mean" over channels with
        1e-4 on the diagonal of both covariances and Newton-Schulz roots.

    Returns:
      Scalar >= 0 up to rounding: |m1 - m2|^2 + tr(S1 + S2 - 2 (S2^1/2 S1 S2^1/2)^1/2).

    Raises:
      ValueError: For an unknown form.

    References:
      Olkin & Pukelsheim 1982. "sum": VinceMarron/style_transfer, which clips the
      eigenvalues of the cross term at 0.1 where we clip at 1e-12. "mean":
      crowsonkb/style-transfer-pytorch, `StyleLossW2`.
    """
    check_one_of("form of wasserstein2", form, ("sum", "mean"))
    ours = _covariance(statistic.mean, statistic.second, form)
    theirs = _covariance(target.mean, target.second, form)
    product = target.root @ ours @ target.root
    trace = trace_of_root if form == "mean" else _eigen_trace_of_root
    spread = jnp.trace(ours) + jnp.trace(theirs) - 2 * trace(product)
    distance = jnp.sum((statistic.mean - target.mean) ** 2) + spread
    return distance / statistic.mean.shape[0] if form == "mean" else distance
