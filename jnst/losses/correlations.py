"""Gram matrices of something else than one whole feature map with itself.

Shifted copies, shifted activations, adjacent layers, regions. All are means of outer
products over positions, so that those of several styles mix linearly. To add one,
write its pair here and give it a row.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jnst.base import (
    HIGHEST,
    FeatureMap,
    Features,
    Scalar,
    as_statistics_dtype,
    check_one_of,
    vdot,
)
from jnst.losses.gram import gram_matrix
from jnst.losses.products import cross_products

GUIDED_SCALINGS = {"formula": 4.0, "code": 1.0}


class GuidedStatistic(NamedTuple):
    """Gram matrices of regions.

    Attributes:
      matrices: Of the R regions, [R, C, C]; zero where a region is empty.
      present: 1 where a region has any position, else 0, [R].
    """

    matrices: Float[Array, "r c c"]
    present: Float[Array, "r"]


def _products(first: FeatureMap, second: FeatureMap) -> Float[Array, "c d"]:
    """Average the outer products of two maps of one size, position by position."""
    return cross_products(first, second) / (first.shape[1] * first.shape[2])


def shifted_side(*, offsets: Sequence[int] = (1,)) -> int:
    """Return the fewest positions a side of a map that `shifted_grams` takes."""
    return 1 + max(offsets, default=0)


def shifted_grams(
    features: FeatureMap, *, offsets: Sequence[int] = (1,)
) -> Float[Array, "_ 2 c c"]:
    """Correlate a feature map [1, H, W, C] with itself some columns or rows away.

    Args:
      features: Feature map [1, H, W, C].
      offsets: Distances in positions of this layer, each at least 1 and below H and W.

    Returns:
      For each offset the means of F[i, j] F[i, j + offset]^T and of
      F[i, j] F[i + offset, j]^T over the pairs, [len(offsets), 2, C, C].

    Raises:
      ValueError: If an offset does not fit into the map, or there is none.
    """
    _, height, width, _ = features.shape
    if not offsets or not all(1 <= d < min(height, width) for d in offsets):
        raise ValueError(
            f"offsets of shifted_gram must be 1 to {min(height, width) - 1} for a "
            f"feature map of {height}x{width} (height x width), got {tuple(offsets)}"
        )
    pairs = [
        jnp.stack(
            [
                _products(features[:, :, :-d], features[:, :, d:]),
                _products(features[:, :-d], features[:, d:]),
            ]
        )
        for d in offsets
    ]
    return jnp.stack(pairs)


def shifted_gram(
    statistic: Float[Array, "_ 2 c c"], target: Float[Array, "_ 2 c c"]
) -> Scalar:
    """Compare how channels correlate across a shift, which keeps long structures.

    Args:
      statistic: Of the image being optimised.
      target: Of the style image, with the same offsets.

    Returns:
      Scalar >= 0, the mean over offsets and both directions of the squared difference
      over 4 C^2, each matrix divided by its own number of pairs.

    References:
      Berger & Memisevic, "Incorporating Long-range Consistency in CNN-based Texture
      Generation", ICLR 2017, used there beside the Gram loss. The paper
      sums over offsets; ty625911724/texture_generation_master divides both directions
      by H (W - offset), right for square maps alone.
    """
    channels = statistic.shape[-1]
    squares = jnp.sum((statistic - target) ** 2, axis=(2, 3))
    return jnp.mean(squares) / (4 * channels**2)


def activation_shift_matrix(
    features: FeatureMap, *, shift: float = 1.0
) -> Float[Array, "c c"]:
    """Take the Gram matrix over M of a map [1, H, W, C] minus `shift`."""
    return gram_matrix(as_statistics_dtype(features) - shift)


def activation_shift_gram(
    statistic: Float[Array, "c c"], target: Float[Array, "c c"]
) -> Scalar:
    """Compare Gram matrices of activations moved off zero, which are less sparse.

    Args:
      statistic: Gram matrix over M of the shifted features of the image.
      target: Of the style image.

    Returns:
      Scalar >= 0: the squared difference of the Gram matrices over 4 C^2 M^2.

    References:
      Novak & Nikulin, "Improving the Neural Algorithm of Artistic Style", 2016,
      where a shift of -1 is best: `shift=1.0` here, subtracted.
    """
    return jnp.sum((statistic - target) ** 2) / (4 * statistic.shape[0] ** 2)


def _added_up(features: FeatureMap, height: int, width: int) -> FeatureMap:
    """Add up positions that have the same nearest neighbour in a map of that size."""
    for axis, side in ((1, height), (2, width)):
        given = features.shape[axis]
        if given % side == 0:
            split = *features.shape[:axis], side, given // side
            blocks = features.reshape(*split, *features.shape[axis + 1 :])
            features = jnp.sum(blocks, axis=axis + 1)
        else:
            nearest = (np.arange(given) + 0.5) * side // given
            share = np.arange(side)[:, None] == nearest[None]
            share = jnp.asarray(share, features.dtype)
            moved = jnp.tensordot(share, features, (1, axis), precision=HIGHEST)
            features = jnp.moveaxis(moved, 0, axis)
    return features


def chained_grams(
    features: Features, *, shift: float = 0.0
) -> tuple[Float[Array, "_ _"], ...]:
    """Correlate every layer with the next deeper one, enlarged to its size.

    Args:
      features: {layer: feature map [1, H, W, C]}, in layer order.
      shift: Subtracted from all activations.

    Returns:
      For each adjacent pair the mean of outer products over the positions of the
      shallow layer, [C_l, C_l+1]. The deep one is enlarged by nearest neighbours; as
      each of its positions then stands beside several of the shallow layer's, these are
      added up instead.

    Raises:
      ValueError: If there is one layer only, or a later one is larger.
    """
    if len(features) < 2:
        raise ValueError(f"chained_gram needs two layers or more, got {list(features)}")
    matrices = []
    for (name, shallow), (next_name, deep) in itertools.pairwise(features.items()):
        size, deep_size = shallow.shape[1:3], deep.shape[1:3]
        if deep_size[0] > size[0] or deep_size[1] > size[1]:
            raise ValueError(
                f"layers of chained_gram must go from shallow to deep, but {next_name} "
                f"{deep_size} is larger than {name} {size}"
            )
        added = _added_up(as_statistics_dtype(shallow) - shift, *deep_size)
        products = _products(added, as_statistics_dtype(deep) - shift)
        matrices.append(products * (math.prod(deep_size) / math.prod(size)))
    return tuple(matrices)


def chained_gram(
    statistic: tuple[Float[Array, "_ _"], ...], target: tuple[Float[Array, "_ _"], ...]
) -> Scalar:
    """Compare how the channels of adjacent layers correlate.

    Args:
      statistic: Of the image being optimised.
      target: Of the style image, from the same layers.

    Returns:
      Scalar >= 0, the sum over pairs of layers of the squared difference of the raw
      matrices over 4 C_l C_l+1 M_l^2.

    References:
      Novak & Nikulin, "Improving the Neural Algorithm of Artistic Style", 2016;
      the constants are MrinalJain17/neural-style-transfer's, `losses.py`.
    """
    losses = [
        jnp.sum((ours - theirs) ** 2) / (4 * ours.shape[0] * ours.shape[1])
        for ours, theirs in zip(statistic, target, strict=True)
    ]
    return jax.tree.reduce(jnp.add, losses)


def guided_grams(features: FeatureMap, *, masks: Any = None) -> GuidedStatistic:
    """Take the Gram matrix of every region of a feature map [1, H, W, C].

    Args:
      features: Feature map [1, H, W, C].
      masks: Weights >= 0 of the positions in each region, [R, H, W]; of another size
        they are resampled to the map's (Gatys' "simple" propagation). None is one
        region of everything.

    Returns:
      The sums of T^2 f f^T over the sums of T^2.

    Raises:
      ValueError: If the masks are not [R, H, W].
    """
    maps = as_statistics_dtype(features)
    _, height, width, _ = features.shape
    masks = jnp.asarray(jnp.ones((1, height, width)) if masks is None else masks)
    if masks.ndim != 3:
        raise ValueError(f"masks must be [regions, H, W], got {masks.shape}")
    masks = masks.astype(maps.dtype)
    if masks.shape[1:] != (height, width):
        masks = jax.image.resize(masks, (masks.shape[0], height, width), "linear")
    squares = masks**2
    totals = jnp.sum(squares, axis=(1, 2))
    present = totals > 0
    weights = squares / jnp.where(present, totals, 1)[:, None, None]

    @jax.checkpoint
    def matrix(each: Array) -> Array:
        return cross_products(maps * each[None, :, :, None], maps)

    return GuidedStatistic(jax.lax.map(matrix, weights), present.astype(maps.dtype))


def guided_gram(
    statistic: GuidedStatistic, target: GuidedStatistic, *, scaling: str = "formula"
) -> Scalar:
    """Compare Gram matrices region by region: each takes the style of its own.

    Args:
      statistic: Of the image being optimised.
      target: Of the style image, with the same regions in the same order.
      scaling: "formula" divides the squared difference by 4 C^2, "code" by C^2.

    Returns:
      Scalar >= 0, the sum over regions, each of weight 1 / R. A region that is empty
      in either image is skipped; the others keep their weight.

    Raises:
      ValueError: For an unknown scaling, or another number of regions.

    References:
      Gatys et al, "Controlling Perceptual Factors in Neural Style Transfer", CVPR
      2017, with lambda_r = 1 / R; leongatys/NeuralImageSynthesis,
      `LossLayers.lua`, GramMSEGuided, without its weight of 1e3 / C^2.
    """
    check_one_of("scaling of guided_gram", scaling, GUIDED_SCALINGS)
    regions, channels, _ = statistic.matrices.shape
    if target.matrices.shape[0] != regions:
        raise ValueError(
            f"guided_gram needs the same regions in both images, got {regions} and "
            f"{target.matrices.shape[0]} masks"
        )
    squares = jnp.sum((statistic.matrices - target.matrices) ** 2, axis=(1, 2))
    both = jax.lax.stop_gradient(statistic.present * target.present)
    return vdot(both, squares) / (GUIDED_SCALINGS[scaling] * channels**2 * regions)
