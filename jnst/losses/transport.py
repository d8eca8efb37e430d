"""Wasserstein-2 distance between Gaussians fitted to feature vectors.

Means and second raw moments of several styles mix linearly, covariances do not: that
is why they are what the statistic keeps. The root of the style's covariance rides
along, computed once per run; nothing differentiates it.
"""

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jnst.base import FeatureMap, Scalar, as_statistics_dtype, check_one_of
from jnst.losses.products import outer_products

Matrix = Float[Array, "c c"]
FORMS = ("sum", "mean", "factored")
MEAN_FORM_EPSILON = 1e-4
TINY_EIGENVALUE = 1e-12
FACTORED_EPSILON = 1e-8

_matmul = functools.partial(jnp.matmul, precision="highest")  # roots need it on a GPU


class Gaussian(NamedTuple):
    """Moments of the feature vectors of all positions.

    Attributes:
      mean: Mean vector, [C].
      second: Second raw moment, [C, C].
      root: Symmetric root of the covariance, [C, C], without gradient.
      factor: Centred vectors over the root of M, [M, C], if form is "factored" and
        there are fewer positions M than channels; else [0, C].
    """

    mean: Float[Array, "c"]
    second: Matrix
    root: Matrix
    factor: Float[Array, "m c"]


def scales(smallest: float, steps: int) -> list[float]:
    """Return the factors that let Newton-Schulz iterations converge soonest.

    Args:
      smallest: Least eigenvalue to resolve, as a share of the matrix's norm.
      steps: Iterations.

    Returns:
      One factor an iteration, near 1 at the end.

    References:
      Chen & Chow, "A Stable Scaling of Newton-Schulz for Improving the Sign Function
      Computation of a Hermitian Matrix", 2014, eq. 9; roots are that for x^2.
    """
    low, found = math.sqrt(smallest), []
    for _ in range(steps):
        found.append(math.sqrt(3 / (1 + low + low * low)))
        low = found[-1] * low * (3 - (found[-1] * low) ** 2) / 2
    return found


@functools.partial(jax.jit, static_argnames="form")  # traced once a shape
def newton_schulz_roots(matrix: Matrix, *, form: str = "mean") -> tuple[Matrix, Matrix]:
    """Approximate a symmetric positive matrix's root and inverse root.

    Args:
      matrix: Symmetric, positive definite, [C, C].
      form: "mean" for 12 coupled iterations, "factored" for 8 scaled ones; both resolve
        eigenvalues down to about 1e-4 of the norm.

    Returns:
      Root and inverse root.

    References:
      Higham, "Functions of Matrices", 2008, section 6.3; 12 iterations are
      crowsonkb/style-transfer-pytorch's, `sqrtm_ns`.
    """
    norm = jnp.sqrt(jnp.sum(matrix**2))
    identity = jnp.eye(matrix.shape[0], dtype=matrix.dtype)
    root, inverse = matrix / norm, identity
    for number, scale in enumerate(ITERATIONS[form]):
        product = _matmul(inverse, root) if number else root
        correction = scale * (3 * identity - scale**2 * product) / 2
        root = _matmul(root, correction)
        inverse = _matmul(correction, inverse) if number else correction
    return root * jnp.sqrt(norm), inverse / jnp.sqrt(norm)


ITERATIONS = {"mean": [1.0] * 12, "factored": scales(1e-4, 8)}


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def trace_of_root(matrix: Matrix, form: str) -> Scalar:
    """Take the trace of the symmetric root by Newton-Schulz iterations.

    The derivative is half the inverse root, which the coupled iteration yields anyway;
    crowsonkb's code solves a Lyapunov equation for it instead. Derivatives of higher
    order go through the iteration.
    """
    return jnp.trace(newton_schulz_roots(matrix, form=form)[0])


@trace_of_root.defjvp
def _trace_tangent(
    form: str, primals: tuple[Matrix], tangents: tuple[Matrix]
) -> tuple[Scalar, Scalar]:
    root, inverse = newton_schulz_roots(*primals, form=form)
    return jnp.trace(root), jnp.sum(inverse * tangents[0]) / 2


def _eigen_root(matrix: Matrix) -> Matrix:
    values, vectors = jnp.linalg.eigh(matrix)
    return (vectors * jnp.sqrt(jnp.maximum(values, 0)).reshape(1, -1)) @ vectors.T


def _eigen_trace_of_root(matrix: Matrix) -> Scalar:
    """Sum the roots of the eigenvalues; eigenvectors are never differentiated."""
    values = jnp.linalg.eigvalsh((matrix + matrix.T) / 2)
    return jnp.sum(jnp.sqrt(jnp.maximum(values, TINY_EIGENVALUE)))


def _covariance(mean: Float[Array, "c"], second: Matrix, form: str) -> Matrix:
    covariance = second - jnp.outer(mean, mean)
    if form != "sum":
        covariance += MEAN_FORM_EPSILON * jnp.eye(mean.shape[0], dtype=mean.dtype)
    return covariance


def _with_root(mean: Float[Array, "c"], second: Matrix, form: str) -> Gaussian:
    check_one_of("form of wasserstein2", form, FORMS)
    covariance = jax.lax.stop_gradient(_covariance(mean, second, form))
    exact = form == "sum"
    root = (
        _eigen_root(covariance)
        if exact
        else newton_schulz_roots(covariance, form=form)[0]
    )
    none = jnp.zeros((0, mean.shape[0]), mean.dtype)
    return Gaussian(mean, second, jax.lax.stop_gradient(root), none)


def gaussian(features: FeatureMap, *, form: str = "sum") -> Gaussian:
    """Fit a Gaussian to the feature vectors of a map [1, H, W, C].

    Raises:
      ValueError: For an unknown form.
    """
    vectors = as_statistics_dtype(features).reshape(-1, features.shape[-1])
    positions, channels = vectors.shape
    mean = jnp.mean(vectors, axis=0)
    fitted = _with_root(mean, outer_products(features) / positions, form)
    if form != "factored" or positions >= channels:
        return fitted
    return fitted._replace(factor=(vectors - mean.reshape(1, -1)) / positions**0.5)


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
        1e-4 on the diagonal of both covariances and Newton-Schulz roots; "factored"
        is "mean" where a map with fewer positions than channels has its cross term
        from a matrix of positions by positions, which is as much smaller, and roots
        from fewer, scaled iterations that resolve more.

    Returns:
      Scalar >= 0 up to rounding: |m1 - m2|^2 + tr(S1 + S2 - 2 (S2^1/2 S1 S2^1/2)^1/2).

    Raises:
      ValueError: For an unknown form.

    References:
      Olkin & Pukelsheim 1982. "sum": VinceMarron/style_transfer, which clips the
      eigenvalues of the cross term at 0.1 where we clip at 1e-12. "mean":
      crowsonkb/style-transfer-pytorch, `StyleLossW2`. "factored" is ours: X S X^T has
      the eigenvalues of S^1/2 X^T X S^1/2 that are not 0.
    """
    check_one_of("form of wasserstein2", form, FORMS)
    ours = _covariance(statistic.mean, statistic.second, form)
    theirs = _covariance(target.mean, target.second, form)
    if statistic.factor.shape[0]:
        product = statistic.factor @ theirs @ statistic.factor.T
        product += FACTORED_EPSILON * jnp.eye(product.shape[0], dtype=product.dtype)
    else:
        product = target.root @ ours @ target.root
    exact = form == "sum"
    root = _eigen_trace_of_root(product) if exact else trace_of_root(product, form)
    trace = jnp.asarray(root)
    spread = jnp.trace(ours) + jnp.trace(theirs) - 2 * trace
    distance = jnp.sum((statistic.mean - target.mean) ** 2) + spread
    return distance if exact else distance / statistic.mean.shape[0]
