"""Hypercolumns: the features of all layers at one position, stacked.

Coarser maps are interpolated. Hypercolumns are made only at the positions asked for.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jnst.base import FeatureMap, Features, as_statistics_dtype
from jnst.losses.pairs import Indices, Vectors
from jnst.losses.picking import taken, taken_once


def all_layers(features: Features | FeatureMap) -> Features:
    """Keep the feature maps themselves; a single map stands for one layer.

    Args:
      features: {layer: [1, H, W, C]}; or one map, taken for the image if C is 3.

    Returns:
      The maps by layer, at least float32.
    """
    if not isinstance(features, dict):
        features = {"image" if features.shape[-1] == 3 else "features": features}
    return {name: as_statistics_dtype(each) for name, each in features.items()}


def _interpolated(
    features: FeatureMap, rows: Float[Array, "n"], columns: Float[Array, "n"]
) -> Vectors:
    """Sample a map at fractional positions, its last row and column repeated."""
    _, height, width, _ = features.shape
    first = jnp.floor(rows), jnp.floor(columns)
    down, across = (rows - first[0])[:, None], (columns - first[1])[:, None]
    top, left = (at.astype(jnp.int32) for at in first)
    bottom, right = jnp.minimum(top + 1, height - 1), jnp.minimum(left + 1, width - 1)

    def at(row: Indices, column: Indices) -> Vectors:
        return taken(features.reshape(height * width, -1), row * width + column)

    upper = at(top, left) * (1 - across) + at(top, right) * across
    lower = at(bottom, left) * (1 - across) + at(bottom, right) * across
    return upper * (1 - down) + lower * down


def hypercolumns(layers: Features, positions: Indices) -> Vectors:
    """Stack the features of all layers at some positions of the finest map.

    Args:
      layers: {layer: [1, h, w, C]}.
      positions: Distinct row-major indices into the map with the most positions, [n].

    Returns:
      [n, sum of C]. A pixel at (i, j) of H x W reads a map of h x w at
      (i h / H, j w / W), bilinearly.

    References:
      Kolkin et al, CVPR 2019, section 2.1; nkolkin13/STROTSS,
      `spatial_feature_extract`, which halves positions where a map is smaller than the
      one before.
    """
    _, height, width, _ = max((each.shape for each in layers.values()), key=np.prod)
    rows, columns = jnp.divmod(positions, width)
    found = []
    for features in layers.values():
        if features.shape[1:3] == (height, width):
            found.append(taken_once(features.reshape(height * width, -1), positions))
            continue
        down, across = features.shape[1] / height, features.shape[2] / width
        dtype = features.dtype
        at = rows.astype(dtype) * down, columns.astype(dtype) * across
        found.append(_interpolated(features, *at))
    return jnp.concatenate(found, axis=1)


def position_count(layers: Features) -> int:
    """Count the positions of the finest map."""
    return max(each.shape[1] * each.shape[2] for each in layers.values())
