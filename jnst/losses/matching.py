"""Losses on matched feature vectors: contextual loss and nearest-neighbour matching.

The statistic of both is the list of feature vectors; positions carry no meaning, so
the style may have any size. All cosines are taken a block of positions at a time
(`jnst.losses.pairs`), which at 512 px stays far below 2 GB at every layer. Shallow
layers have too many positions for all pairs in useful time: both losses take
`samples` positions, drawn anew each step, where a run gives them a key.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jnst.base import Scalar, check_positive
from jnst.losses.pairs import (
    Vectors,
    best_matches,
    block_rows,
    cosine_distances,
    dots,
    drawn,
    nearest,
    unit_vectors,
)
from jnst.losses.picking import along_rows, taken_once
from jnst.losses.vectors import mean_vector

DISTANCE_EPSILON = 1e-5


def _log_affinities(
    units: Vectors, others: Vectors, bandwidth: float, half: bool
) -> Vectors:
    """Logarithms of CX_ij, a row for each of `units`, that sum to 1 over j."""
    # Half of |u - v|^2, which is 1 - u . v for unit vectors, and 0 at equality even
    # where rounding has left another length than 1.
    lengths = [jnp.sum(each**2, axis=1) / 2 for each in (units, others)]
    distances = lengths[0][:, None] + lengths[1][None] - dots(units, others)
    distances = jnp.maximum(distances, 0) / (2 if half else 1)
    # Not `jnp.min`, whose gradient finds the minimum again by comparing with it:
    # compiled code may recompute an entry not quite the same, find none and give NaN.
    nearest_one = jnp.argmin(distances, axis=1)[:, None]
    smallest = along_rows(distances, nearest_one)
    relative = distances / (smallest + DISTANCE_EPSILON)
    return jax.nn.log_softmax((1 - relative) / bandwidth, axis=1)


def contextual_similarity(
    units: Vectors, others: Vectors, *, bandwidth: float, half_distance: bool
) -> Scalar:
    """Average over others the affinity of the unit vector most like each.

    Args:
      units: Unit vectors of the generated image, [n, C].
      others: Unit vectors of the target, [m, C].
      bandwidth: h, above 0.
      half_distance: Whether distances are (1 - cosine) / 2.

    Returns:
      CX in (0, 1]. Affinities are made three times, some rows at a time: to find the
      unit vector most like each other one, for the value, and for the gradient.
    """

    def logs_of(rows: Vectors) -> Vectors:
        return _log_affinities(rows, others, bandwidth, half_distance)

    fixed = jax.lax.stop_gradient(units)
    winners = best_matches(
        others,
        len(units),
        lambda at: logs_of(fixed[at]),
        score=lambda _, logs: logs.T,
    )

    def won(row: tuple[Array, Array]) -> Scalar:
        affinities = jnp.exp(logs_of(row[0][None])[0])
        return jnp.sum(jnp.where(winners == row[1], affinities, 0))

    rows = units, jnp.arange(len(units))
    size = block_rows(len(units), len(others))
    return jnp.sum(jax.lax.map(jax.checkpoint(won), rows, batch_size=size)) / len(
        others
    )


def contextual(
    statistic: Vectors,
    target: Vectors,
    *,
    bandwidth: float = 0.5,
    half_distance: bool = False,
    log_epsilon: float = 0.0,
    samples: int = 4225,
    key: Array | None = None,
) -> Scalar:
    """Compare two sets of feature vectors by how well each target one is covered.

    Args:
      statistic: Feature vectors of the image being optimised, [n, C].
      target: Those of the style image, [m, C]; both are centred on their mean.
      bandwidth: h of the affinities exp((1 - d) / h), above 0.
      half_distance: Whether d is (1 - cosine) / 2, as in the authors' code, instead of
        1 - cosine.
      log_epsilon: Added to CX before the logarithm; 1e-5 in S-aiueo32's code.
      samples: Positions drawn of each map where there is a key, the same ones if the
        maps are of one size; 0 for all.
      key: PRNG key; without one all positions are taken.

    Returns:
      -log CX >= 0, of degree 0. Not symmetric. It grows with the number of target
      positions: tiling both maps raises it, and sampling lowers it. At equality it is
      0 only where no two of the target's vectors are equal: such share an affinity.

    Raises:
      ValueError: If `bandwidth` is not above 0, or `samples` is below 0.

    References:
      Mechrez et al, "The Contextual Loss", ECCV 2018, eqs. 2-5; roimehrez/
      contextualLoss, `CSFlow` (h 0.5, 65^2 samples); S-aiueo32/
      contextual_loss_pytorch. The paper has h 0.1 for content and 0.2 for style.
    """
    check_positive("bandwidth", bandwidth)
    ours = taken_once(statistic, drawn(key, len(statistic), samples))
    theirs = taken_once(target, drawn(key, len(target), samples))
    mean = mean_vector(theirs)
    similarity = contextual_similarity(
        unit_vectors(ours - mean),
        unit_vectors(theirs - mean),
        bandwidth=bandwidth,
        half_distance=half_distance,
    )
    return -jnp.log(similarity + log_epsilon)


def nnfm(
    statistic: Vectors,
    target: Vectors,
    *,
    samples: int = 2048,
    key: Array | None = None,
) -> Scalar:
    """Average the cosine distance of feature vectors to their nearest in the target.

    Args:
      statistic: Feature vectors of the image being optimised, [n, C].
      target: Those of the style image, [m, C]; all are searched, without gradient.
      samples: Positions of the generated image drawn where there is a key, which
        leaves the expected value as it is; 0 for all.
      key: PRNG key; without one all positions are taken.

    Returns:
      Scalar in [0, 2], of degree 0. One-sided: what is only in the target costs
      nothing.

    Raises:
      ValueError: If `samples` is below 0.

    References:
      Zhang et al, "ARF: Artistic Radiance Fields", ECCV 2022, eq. 2; Kai-46/ARF-svox2,
      `nn_loss`, which adds 1e-8 to lengths where we give short vectors no direction,
      and takes all positions.
    """
    chosen = drawn(key, len(statistic), samples)
    ours = unit_vectors(taken_once(statistic, chosen))
    theirs = unit_vectors(target)
    return jnp.mean(cosine_distances(ours, theirs[nearest(ours, theirs)]))
