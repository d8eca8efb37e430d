"""Wasserstein-2 distance between Gaussians fitted to feature vectors.

Vectors are centred before they are multiplied: means of VGG's features are in the
hundreds, and where a picture has little contrast the difference of second moments is
below float32's rounding. The root of the style's covariance rides along, computed once
per run; nothing differentiates it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jnst.base import FeatureMap, Scalar, as_statistics_dtype, check_one_of, matmul
from jnst.losses.pooled import Pooled
from jnst.losses.products import centred_products
from jnst.losses.roots import (
    Matrix,
    coupling,
    newton_schulz_roots,
    nuclear_norm,
    trace_of_root,
)
from jnst.losses.vectors import position_vectors

FORMS = {"sum": 1e-12, "mean": 1e-4, "factored": 1e-12}
"""What a form adds to the diagonal: "mean" of both, the others of the image alone."""
ROUNDING = 8
"""Machine epsilons of the trace that are added too where Cholesky's factor is taken: as
much as float32's rounding takes away from a positive matrix."""


class Gaussian(NamedTuple):
    """Moments of the feature vectors of all positions.

    Attributes:
      mean: Mean vector, [C].
      covariance: Population covariance, [C, C].
      root: R with R^T R the covariance, without gradient: the factor if there is one,
        else the symmetric root; of form "mean", with 1e-4 added to the diagonal.
      factor: Centred vectors over the root of M, [M, C], if there are fewer positions M
        than channels and the form is not "mean"; else [0, C].
    """

    mean: Float[Array, "c"]
    covariance: Matrix
    root: Float[Array, "k c"]
    factor: Float[Array, "m c"]


def _lifted(covariance: Matrix, form: str) -> tuple[Matrix, Scalar]:
    """Add to the diagonal what keeps a covariance positive in spite of rounding.

    Returns:
      The sum, and its trace.
    """
    channels, trace = covariance.shape[0], jnp.trace(covariance)
    added = jnp.asarray(FORMS[form], covariance.dtype)
    if form != "mean":
        epsilon = float(jnp.finfo(covariance.dtype).eps)
        added += ROUNDING * epsilon * trace
    diagonal = added * jnp.eye(channels, dtype=covariance.dtype)
    return covariance + diagonal, trace + channels * added


def _root(covariance: Matrix, factor: Array, form: str) -> Float[Array, "k c"]:
    covariance, factor = jax.lax.stop_gradient((covariance, factor))
    if form == "mean":
        return newton_schulz_roots(_lifted(covariance, form)[0])[0]
    if factor.shape[0]:
        return factor
    values, vectors = jnp.linalg.eigh(covariance)
    return matmul(vectors * jnp.sqrt(jnp.maximum(values, 0))[None], vectors.T)


def gaussian(features: FeatureMap, *, form: str = "sum") -> Gaussian:
    """Fit a Gaussian to the feature vectors of a map [1, H, W, C].

    Raises:
      ValueError: For an unknown form.
    """
    check_one_of("form of wasserstein2", form, FORMS)
    features = as_statistics_dtype(features)
    positions, channels = features.shape[1] * features.shape[2], features.shape[3]
    mean, products = centred_products(features)
    covariance = products / positions
    few = form != "mean" and positions < channels
    factor = (position_vectors(features) - mean[None])[: None if few else 0]
    factor /= positions**0.5
    return Gaussian(mean, covariance, _root(covariance, factor, form), factor)


def gaussian_of(moments: Pooled, *, form: str = "sum") -> Gaussian:
    """Fit a Gaussian to moments; there must be as many positions as channels.

    Raises:
      ValueError: For an unknown form.
    """
    check_one_of("form of wasserstein2", form, FORMS)
    covariance = moments.products / moments.positions
    factor = covariance[:0]
    return Gaussian(moments.mean, covariance, _root(covariance, factor, form), factor)


def blend_gaussians(
    statistics: Sequence[Gaussian],
    weights: Sequence[float | Scalar],
    *,
    form: str = "sum",
) -> Gaussian:
    """Fit a Gaussian to the vectors of several styles with weights that sum to 1.

    It is that of the mixed raw moments, as in crowsonkb/style-transfer-pytorch, but
    adds the covariance of the styles' means to that within, and subtracts nothing.
    """
    pairs = list(zip(statistics, weights, strict=True))
    mean = jnp.asarray(sum(weight * each.mean for each, weight in pairs))
    covariance = jnp.zeros_like(statistics[0].covariance)
    rows = []
    for each, weight in pairs:
        apart = each.mean - mean
        covariance += weight * (each.covariance + jnp.outer(apart, apart))
        rows += [jnp.sqrt(weight) * each.factor, jnp.sqrt(weight) * apart[None]]
    factor = jnp.concatenate(rows)
    few = all(len(each.factor) for each in statistics) and len(factor) < len(mean)
    factor = factor[: None if few else 0]
    return Gaussian(mean, covariance, _root(covariance, factor, form), factor)


def _spread(statistic: Gaussian, target: Gaussian, form: str) -> Scalar:
    """Compute the part of the distance that is of the covariances."""
    if statistic.factor.shape[0]:
        own = jnp.sum(statistic.factor**2)
        left = nuclear_norm(matmul(statistic.factor, target.root.T), form)
        return own + jnp.trace(target.covariance) - 2 * left
    ours, own = _lifted(statistic.covariance, form)
    if form == "mean":
        _, theirs = _lifted(target.covariance, form)
        left = trace_of_root(matmul(matmul(target.root, ours), target.root))
    else:
        theirs = jnp.trace(target.covariance)
        left = coupling(ours, target.root, form)
    return own + theirs - 2 * left


def wasserstein2(statistic: Gaussian, target: Gaussian, *, form: str = "sum") -> Scalar:
    """Compute the squared 2-Wasserstein distance of two Gaussians.

    Args:
      statistic: Of the image being optimised.
      target: Of the style image.
      form: "sum" over channels, exact but for rounding; "mean" over channels with 1e-4
        on the diagonal of both covariances and the source's iteration, which is right
        to some per cent; "factored", the mean over channels in half of the exact form's
        iterations, right to 1e-3 of the trace.

    Returns:
      Scalar >= 0: |m1 - m2|^2 + tr(S1 + S2 - 2 (S2^1/2 S1 S2^1/2)^1/2).

    Raises:
      ValueError: For an unknown form.

    References:
      Olkin & Pukelsheim 1982. "sum": VinceMarron/style_transfer. "mean":
      crowsonkb/style-transfer-pytorch, `StyleLossW2`. "factored" is ours: with
      S1 = X^T X the last trace is the sum of the singular values of X S2^1/2, whose
      digits squaring loses; X is Cholesky's factor, or the map itself where it has
      fewer positions than channels.
      Departures: VinceMarron clips eigenvalues of the cross term at 0.1. For Cholesky's
      factor "sum" and "factored" add 1e-12 and 8 machine epsilons of the trace (1e-6 of
      it in float32) to the diagonal of the image's covariance, without which rounding
      would leave no factor. What rounding takes below 0 at
      equality is 0.
    """
    check_one_of("form of wasserstein2", form, FORMS)
    spread = jnp.maximum(_spread(statistic, target, form), 0)
    distance = jnp.sum((statistic.mean - target.mean) ** 2) + spread
    return distance if form == "sum" else distance / statistic.mean.shape[0]
