"""Maps and pictures on which differences, roots, norms and divisions break down."""

from typing import Any

import numpy as np


def maps(
    height: int, width: int, channels: int, *, seed: int = 0
) -> dict[str, np.ndarray]:
    """Make an ordinary map at VGG's scale, "ordinary", and 12 degenerate ones.

    Args:
      height: Height of all, 3 at least.
      width: Width.
      channels: Channels, 2 at least.
      seed: Seed of what is random.

    Returns:
      {name: [1, height, width, channels]}; values are float32's, in float64.
    """
    rng = np.random.default_rng(seed)
    colour = rng.random((1, 1, channels))
    noise = rng.normal(size=(height, width, channels))
    ordinary = 800 * np.maximum(noise, 0) + 200 * colour
    place = np.arange(height * width).reshape(height, width, 1)
    row = np.arange(height).reshape(height, 1, 1)
    found: dict[str, Any] = {
        "ordinary": ordinary,
        "zeros": 0.0,
        "constant": 3000 * colour,
        "one value": 700.0,
        "one pixel": np.where(place == 3, 1e4 * colour, 0),
        "two values": np.where(place % 2 == 0, 200.0, 900.0),
        "one odd pixel": np.where(place == 3, 701.0, 700.0),
        "rank 1": 5000 * rng.random((height, width, 1)) * colour,
        "one row": np.where(row == 2, ordinary, 0),
        "one channel": np.where(np.arange(channels) == 1, ordinary, 0),
        "tiny variance": 1e3 + 1e-2 * noise,
        "huge": 1e2 * ordinary,
        "faint": 1e-3 * ordinary,
    }
    shape = 1, height, width, channels
    return {
        name: np.broadcast_to(np.float32(each), shape).astype(np.float64)
        for name, each in found.items()
    }


def pictures(height: int, width: int, *, seed: int = 0) -> dict[str, np.ndarray]:
    """Make an ordinary picture, "ordinary", and 12 degenerate ones, of 8 bits.

    Args:
      height: Height of all, in pixels.
      width: Width.
      seed: Seed of what is random.

    Returns:
      {name: [height, width, 3]}, float32 in [0, 1].
    """
    rng = np.random.default_rng(seed)
    ordinary = rng.integers(0, 256, (height, width, 3))
    grey = rng.integers(126, 130, (height, width, 1))
    place = np.arange(height * width).reshape(height, width, 1)
    column = np.arange(width).reshape(1, width, 1)
    dots = rng.permutation(height * width).reshape(height, width, 1) < 12
    found: dict[str, Any] = {
        "ordinary": ordinary,
        "fog": grey,
        "dimmed": np.rint(0.02 * ordinary),
        "black": 0,
        "white": 255,
        "flat colour": np.array([200, 30, 90]),
        "twelve white pixels": np.where(dots, 255, 0),
        "one black pixel": np.where(place == 7, 0, 255),
        "two halves": np.where(column < width // 2, 0, 255),
        "chequered": np.where((place + column) % 2 == 0, 0, 255),
        "one channel": ordinary * np.array([1, 0, 0]),
        "one level of noise": 127 + rng.integers(0, 2, (height, width, 3)),
        "clipped": np.clip(4 * ordinary - 400, 0, 255),
    }
    shape = height, width, 3
    return {
        name: np.broadcast_to(np.float32(each) / 255, shape).astype(np.float32)
        for name, each in found.items()
    }
