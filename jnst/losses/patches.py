"""Patches of feature maps matched with patches of the style: Markov random fields.

Patches are gathered by index from the feature map, the style's a block at a time, so
that neither all style patches nor all pairs of patches are ever in memory.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from jnst.base import FeatureMap, Scalar, as_statistics_dtype, check_one_of
from jnst.losses.pairs import Indices, Vectors, best_matches, drawn, unit_vectors
from jnst.losses.picking import taken_once

REDUCTIONS = {
    # Factor on the sum of squares, given patches and entries of a patch.
    "sum": lambda patches, entries: 1.0,
    "half_sum": lambda patches, entries: 0.5,
    "mean": lambda patches, entries: 1 / (patches * entries),
}


class PatchMap(NamedTuple):
    """A feature map and where its patches are.

    Attributes:
      vectors: Feature vectors, [H W, C].
      pixels: Row of `vectors` of each pixel of each patch, [n, k k].
    """

    vectors: Vectors
    pixels: Int[Array, "_ _"]


def _starts(side: int, patch: int, stride: int) -> np.ndarray:
    """First pixels of the patches along a side; the last possible one is among them."""
    return np.union1d(np.arange(0, side - patch + 1, stride), side - patch)


def patch_side(*, patch: int = 3) -> int:
    """Return the fewest positions a side of a map that `patch_map` takes."""
    return patch


def patch_map(features: FeatureMap, *, patch: int = 3, stride: int = 1) -> PatchMap:
    """Find the patches of a feature map.

    Args:
      features: Feature map [1, H, W, C].
      patch: Side k of a patch, in positions.
      stride: Step from patch to patch; the last possible row and column are always
        among them. 2 in the presets of the authors' code.

    Returns:
      The map and the indices of its patches.

    Raises:
      ValueError: If `patch` or `stride` is below 1, or a patch does not fit.

    References:
      chuanli11/CNNMRF, `mrf.lua`.
    """
    _, height, width, channels = features.shape
    if patch < 1 or stride < 1:
        raise ValueError(f"patch and stride must be at least 1, got {patch}, {stride}")
    if min(height, width) < patch:
        raise ValueError(
            f"mrf needs feature maps of {patch} positions a side or more, got {height}x"
            f"{width}; use a shallower layer, a larger size_px or a smaller patch"
        )
    rows, columns = (_starts(side, patch, stride) for side in (height, width))
    corners = (rows[:, None] * width + columns[None, :]).reshape(-1, 1)
    offsets = np.arange(patch)[:, None] * width + np.arange(patch)[None, :]
    vectors = as_statistics_dtype(features).reshape(-1, channels)
    return PatchMap(vectors, jnp.asarray(corners + offsets.reshape(1, -1)))


def patches_of(patches: PatchMap, indices: Indices) -> Vectors:
    """Gather some patches as rows, [n, k k C]."""
    return patches.vectors[patches.pixels[indices]].reshape(len(indices), -1)


def distinct_patches(patches: PatchMap, indices: Indices) -> Vectors:
    """Gather patches none of which is asked for twice, to be differentiated.

    A pixel of each patch at a time: those of distinct patches are distinct.
    """
    pixels = patches.pixels[indices].T
    return jnp.concatenate([taken_once(patches.vectors, at) for at in pixels], axis=1)


def mrf(
    statistic: PatchMap,
    target: PatchMap,
    *,
    reduction: str = "sum",
    samples: int = 1024,
    key: Array | None = None,
) -> Scalar:
    """Sum squared differences of patches and their best matches in the style.

    The match of a patch is the style patch of largest cosine, fixed during
    differentiation.

    Args:
      statistic: Patches of the image being optimised.
      target: Patches of the style image, of any size; all of them are searched.
      reduction: "sum" over patches and entries, "half_sum", or the "mean" of both.
      samples: Patches of the generated image drawn where there is a key, which leaves
        the expected value as it is; 0 for all.
      key: PRNG key; without one all patches are taken.

    Returns:
      Scalar >= 0, of degree 2. Pixels inside count k k times, once for each patch.

    Raises:
      ValueError: For an unknown reduction, or `samples` below 0.

    References:
      Li & Wand, "Combining Markov Random Fields and Convolutional Neural Networks for
      Image Synthesis", CVPR 2016, eq. 2, which is "sum"; pystiche/papers. The authors'
      code gives a gradient only: that of "half_sum" over the number of patches that
      overlap at a pixel, which we do not divide by. It matches rotated and scaled
      copies of the style too; we do not.
    """
    check_one_of("reduction of mrf", reduction, REDUCTIONS)
    count = len(statistic.pixels)
    chosen = drawn(key, count, samples)
    ours = distinct_patches(statistic, chosen)

    def style_patches(indices: Indices) -> Vectors:
        return unit_vectors(patches_of(target, indices))

    matches = best_matches(unit_vectors(ours), len(target.pixels), style_patches)
    theirs = jax.lax.stop_gradient(patches_of(target, matches))
    factor = REDUCTIONS[reduction](count, ours.shape[1]) * count / len(chosen)
    return factor * jnp.sum((ours - theirs) ** 2)
