"""Distances of the colours of two pictures, wherever in them they are."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jnst.base import HIGHEST, Scalar, check_positive, matmul
from jnst.losses.vectors import position_vectors
from jnst.metrics.rows import Picture
from jnst.metrics.sorting import sliced_distance

EPSILON = 1e-6
LARGEST = 256
"""Side above which StyleID resizes for the histogram."""
EXTENT, WIDTH = 3.0, 0.02
"""Largest log ratio of two channels that has a bin, and width of a bin's kernel."""
OTHERS = ((1, 2), (0, 2), (0, 1))
"""For each channel the two that it is divided by."""
DIRECTIONS = 32
Histogram = Float[Array, "3 h h"]


def rgb_uv(picture: Picture, *, bins: int = 64) -> Histogram:
    """Count colours by the logarithms of their channels' ratios.

    Args:
      picture: [H, W, 3]; clipped to [0, 1].
      bins: Bins a side.

    Returns:
      Histograms [3, bins, bins] of the three channels, that sum to 1 together.

    References:
      Afifi et al, "HistoGAN", CVPR 2021, eqs. 1-3, and `RGBuvHistBlock`. Larger
      pictures are first brought to 256 x 256, whatever their proportions, as in
      StyleID's `eval_histogan.py`. Bins lie further apart than their kernels are
      wide: kept so, for the sake of published numbers.
    """
    colours = jnp.clip(picture, 0, 1)
    if max(picture.shape[:2]) > LARGEST:
        shape = (LARGEST, LARGEST, 3)
        colours = jax.image.resize(
            colours, shape, "bilinear", antialias=False, precision=HIGHEST
        )
    colours = colours.reshape(-1, 3)
    light = jnp.sqrt(jnp.sum(colours**2, axis=1, keepdims=True) + EPSILON)
    logs = jnp.log(colours + EPSILON)
    centres = jnp.asarray(np.linspace(-EXTENT, EXTENT, bins)[None], colours.dtype)

    def near(one: int, other: int) -> Float[Array, "_ _"]:
        ratios = logs[:, one] - logs[:, other]
        return 1 / (1 + ((ratios[:, None] - centres) / WIDTH) ** 2)

    found = jnp.stack(
        [
            matmul((light * near(channel, a)).T, near(channel, b))
            for channel, (a, b) in enumerate(OTHERS)
        ]
    )
    return found / (jnp.sum(found) + EPSILON)


def _root(x: Scalar) -> Scalar:
    """Take the root, with derivative 0 at 0."""
    positive = x > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, x, 1)), 0)


def histogram(result: Picture, reference: Picture, *, bins: int = 64) -> Scalar:
    """Compute the Hellinger distance of two pictures' RGB-uv histograms.

    Args:
      result: Picture [H, W, 3] in [0, 1].
      reference: The other, of any size.
      bins: Bins a side.

    Returns:
      Scalar in [0, 1], 0 if they are equal.

    Raises:
      ValueError: If `bins` is not above 0.

    References:
      Afifi et al, "HistoGAN", CVPR 2021, eq. 6; 64 bins as both code bases. See
      `rgb_uv`. Derivatives are large at dark pixels, where logarithms are steep.
    """
    check_positive("bins of histogram", float(bins))
    ours, theirs = (jnp.sqrt(rgb_uv(x, bins=bins)) for x in (result, reference))
    return _root(jnp.sum((ours - theirs) ** 2)) / math.sqrt(2)


def directions(count: int) -> np.ndarray:
    """Spread unit vectors evenly over half of a sphere, [count, 3], by a spiral."""
    heights = (np.arange(count) + 0.5) / count
    angles = np.arange(count) * np.pi * (3 - np.sqrt(5))
    radii = np.sqrt(1 - heights**2)
    return np.stack([radii * np.cos(angles), radii * np.sin(angles), heights], axis=1)


def colour(result: Picture, reference: Picture, *, count: int = DIRECTIONS) -> Scalar:
    """Compute the sliced Wasserstein-2 distance of two pictures' RGB colours.

    Args:
      result: Picture [H, W, 3] in [0, 1].
      reference: The other, of any size.
      count: Directions that colours are sorted along.

    Returns:
      Scalar in [0, 1], 0 if they have the same colours: the root of the mean squared
      difference of sorted projections. Colours moved by a vector d are at |d| / root 3.

    Raises:
      ValueError: If `count` is not above 0.

    References:
      Rabin et al, "Wasserstein Barycenter and its Application to Texture Mixing", SSVM
      2011, section 2.3; Bonneel et al, "Sliced and Radon Wasserstein Barycenters of
      Measures", JMIV 2015. They draw directions; these are fixed, on a spiral over half
      of the sphere. Other sizes: the reference is read at the result's quantiles.
      The derivative is by the result alone, and 0 where they are equal.
    """
    check_positive("count of colour", float(count))
    ours, theirs = (position_vectors(x[None]) for x in (result, reference))
    rows = jnp.asarray(directions(count), ours.dtype)
    return _root(sliced_distance(ours, theirs, rows))
