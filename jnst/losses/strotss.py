"""Style transfer by relaxed optimal transport and self-similarity (STROTSS).

The style loss takes all its layers at once and compares hypercolumns at positions
drawn anew each step. The layer "image", if it is among them, also gives the palette.
The content loss takes one layer.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jnst.base import (
    FeatureMap,
    Features,
    Scalar,
    check_one_of,
    check_same_shape,
    matmul,
)
from jnst.losses.elementwise import absolute
from jnst.losses.hypercolumns import hypercolumns, position_count
from jnst.losses.pairs import (
    Indices,
    Vectors,
    best_matches,
    block_rows,
    cosine_distances,
    dots,
    drawn,
    nearest,
    unit_vectors,
)
from jnst.losses.picking import taken, taken_once
from jnst.losses.vectors import position_vectors

PARTS = ("whole", "remd", "moment", "palette")
DECORRELATING = (
    (0.577350, 0.577350, 0.577350),
    (-0.577350, 0.788675, -0.211325),
    (-0.577350, -0.211325, 0.788675),
)
FLATTEST = 1e-6
"""Mean cosine distance below which float32 has only rounding left."""


def _larger(first: Scalar, second: Scalar) -> Scalar:
    """Take the maximum; at a tie the gradient is that of one side."""
    return jnp.where(first > second, first, second)


def relaxed_emd(ours: Vectors, theirs: Vectors) -> Scalar:
    """Bound the earth mover's distance of two sets under the cosine distance.

    Args:
      ours: Feature vectors [n, C].
      theirs: Feature vectors [m, C].

    Returns:
      The larger of the mean distances to the nearest in the other set; in [0, 2].

    References:
      Kolkin et al, "Style Transfer by Relaxed Optimal Transport and Self-Similarity",
      CVPR 2019, eqs. 3-5.
    """
    ours, theirs = unit_vectors(ours), unit_vectors(theirs)
    rows = cosine_distances(ours, theirs[nearest(ours, theirs)])
    columns = cosine_distances(taken(ours, nearest(theirs, ours)), theirs)
    return _larger(jnp.mean(rows), jnp.mean(columns))


def moment_distance(ours: Vectors, theirs: Vectors) -> Scalar:
    """Add mean absolute differences of means and of population covariances.

    References:
      Kolkin et al, CVPR 2019, eq. 6. The paper divides both by the number of channels;
      the code, as here, the covariances by its square.
    """
    means = [jnp.mean(each, axis=0, keepdims=True) for each in (ours, theirs)]
    centred = [each - mean for each, mean in zip((ours, theirs), means, strict=True)]
    first, second = (matmul(each.T, each) / len(each) for each in centred)
    location = jnp.mean(absolute(means[0] - means[1]))
    return location + jnp.mean(absolute(first - second))


def _colour_cost(squares: Array, cosines: Array) -> Array:
    return 1 - cosines + jnp.sqrt(jnp.clip(squares, 1e-5, 1e5) / 3)


def _colour_scores(colours: Vectors, others: Vectors) -> Vectors:
    squares = jnp.sum((colours[:, None] - others[None, :]) ** 2, axis=2)
    return -_colour_cost(squares, dots(unit_vectors(colours), unit_vectors(others)))


def _colour_distance(colours: Vectors, others: Vectors) -> Scalar:
    squares = jnp.sum((colours - others) ** 2, axis=1)
    cosines = jnp.sum(unit_vectors(colours) * unit_vectors(others), axis=1)
    return jnp.mean(_colour_cost(squares, cosines))


def palette_distance(ours: Vectors, theirs: Vectors) -> Scalar:
    """Bound the earth mover's distance of two sets of colours.

    Args:
      ours: Colours [n, 3], RGB in [0, 1].
      theirs: Colours [m, 3].

    Returns:
      The relaxed distance under cosine + Euclidean / sqrt(3), after a linear map that
      takes grey to one axis; at equality sqrt(1e-5 / 3), as in the code.

    References:
      Kolkin et al, CVPR 2019, end of section 2.3; nkolkin13/STROTSS,
      `rgb_to_yuv` and `pairwise_distances_sq_l2`.
    """
    matrix = jnp.asarray(DECORRELATING, ours.dtype)
    ours, theirs = dots(ours, matrix), dots(theirs, matrix)
    match = functools.partial(best_matches, score=_colour_scores)
    to_theirs = match(ours, len(theirs), lambda at: theirs[at])
    fixed = jax.lax.stop_gradient(ours)
    to_ours = match(theirs, len(ours), lambda at: fixed[at])
    rows = _colour_distance(ours, theirs[to_theirs])
    return _larger(rows, _colour_distance(taken(ours, to_ours), theirs))


def _colours(layers: Features, positions: Indices) -> Vectors:
    return hypercolumns({"image": layers["image"]}, positions)


def strotss(
    statistic: Features,
    target: Features,
    *,
    part: str = "whole",
    moment_weight: float = 1.0,
    content_weight: float = 0.0,
    samples: int = 1024,
    style_samples: int = 5000,
    key: Array | None = None,
) -> Scalar:
    """Compare hypercolumns by relaxed transport and moments, and colours.

    Args:
      statistic: Maps of the image being optimised, by layer.
      target: Those of the style image, of any size.
      part: "remd", "moment" or "palette" alone, or the "whole":
        (remd + m (moment + palette / max(w, 1))) / (w + 1 + m), where the palette
        counts if "image" is among the layers.
      moment_weight: m.
      content_weight: w, which the content loss `self_similarity` has beside this one;
        give it there as w / (w + 1 + m).
      samples: Positions drawn of the generated image where there is a key; 0 for all.
      style_samples: The same of the style image.
      key: PRNG key; without one all positions are taken.

    Returns:
      Scalar >= 0, but for the palette 0 at equality. "remd" is of degree 0 in the
      features, "moment" is not: the source has features of pixels around 0 and of unit
      size, and with those of 0..255 it outweighs the rest unless m is small.

    Raises:
      ValueError: For an unknown part, or "palette" without colours, or samples < 0.

    References:
      Kolkin et al, CVPR 2019, eq. 7; nkolkin13/STROTSS, `objective_wrapper.eval`. There
      the style's positions are drawn once, five times 1000, w halves from scale to
      scale, and the image is a Laplacian pyramid; the image among the layers is
      normalised like the network's input.
    """
    check_one_of("part of strotss", part, PARTS)
    if part == "palette" and "image" not in statistic:
        raise ValueError("part='palette' of strotss needs the layer 'image'")
    keys = (None, None) if key is None else jax.random.split(key)
    ours = drawn(keys[0], position_count(statistic), samples)
    theirs = drawn(keys[1], position_count(target), style_samples)
    parts = _parts(part, statistic, ours, target, theirs)
    if part != "whole":
        return parts[part]
    extra = parts["moment"] + parts.get("palette", 0) / max(content_weight, 1)
    total = parts["remd"] + moment_weight * extra
    return total / (content_weight + 1 + moment_weight)


def _parts(
    part: str, statistic: Features, ours: Indices, target: Features, theirs: Indices
) -> dict[str, Scalar]:
    """Compute the part asked for, or all that the layers allow."""
    found: dict[str, Scalar] = {}
    columns = hypercolumns(statistic, ours), hypercolumns(target, theirs)
    if part in ("whole", "remd"):
        found["remd"] = relaxed_emd(*columns)
    if part in ("whole", "moment"):
        found["moment"] = moment_distance(*columns)
    if part in ("whole", "palette") and "image" in statistic:
        colours = _colours(statistic, ours), _colours(target, theirs)
        found["palette"] = palette_distance(*colours)
    return found


def _shares(unit: Float[Array, "c"], units: Vectors) -> Float[Array, "n"]:
    """Cosine distances of one unit vector to all, over their sum."""
    distances = 1 - matmul(units, unit)
    total = jnp.sum(distances)
    apart = total > FLATTEST * len(units)
    return jnp.where(apart, distances / jnp.where(apart, total, 1), 0)


def self_similarity(
    features: FeatureMap,
    target: FeatureMap,
    *,
    samples: int = 0,
    key: Array | None = None,
) -> Scalar:
    """Compare the cosine distances among an image's own positions.

    Args:
      features: Feature map of the image being optimised, [1, H, W, C].
      target: Feature map of the content image, of the same shape.
      samples: Positions drawn, the same in both; 0 for all. The source draws 1024.
      key: PRNG key, needed if `samples` is not 0.

    Returns:
      Scalar in [0, 2]: the sum of |R_ij - T_ij| over n, where the columns of the
      distance matrices R and T each sum to 1; 0 for those of one direction only.
      Matrices are made and made again for the gradient some columns at a time.

    Raises:
      ValueError: If the shapes differ, or `samples` is below 0 or without a key.

    References:
      Kolkin et al, CVPR 2019, eq. 8, where 1/n^2 stands for the code's 1/n;
      nkolkin13/STROTSS, `dp_loss`.
    """
    check_same_shape("features and target", features, target)
    if samples > 0 and key is None:
        raise ValueError("samples of self_similarity needs a key")
    positions = drawn(key, features.shape[1] * features.shape[2], samples)
    ours, theirs = (
        unit_vectors(taken_once(position_vectors(x), positions))
        for x in (features, target)
    )

    def column(pair: tuple[Array, Array]) -> Array:
        shares = _shares(pair[0], ours), _shares(pair[1], theirs)
        return jnp.sum(absolute(shares[0] - shares[1]))

    count = len(ours)
    sums = jax.lax.map(
        jax.checkpoint(column), (ours, theirs), batch_size=block_rows(count, count)
    )
    return jnp.mean(sums)
