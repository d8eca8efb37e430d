"""Drag a bristle brush along paths and light the relief it leaves.

Every stroke is a grid of samples, finer than the pixels, in coordinates of its own: u
along it from 0 to 1 and v across it from -1 to 1. Samples are written to the canvas
in order, so that later strokes lie on earlier ones; the paint is opaque, and the
caller averages a finer canvas down. Lengths are in units of the canvas' shorter side.
"""

from typing import NamedTuple

import numpy as np

BRISTLES = 24
SAMPLES_PER_PIXEL = 1.6
LIGHT = (0.62, 0.50, 0.60)  # direction of the light: up, left, towards the eye


class Load(NamedTuple):
    """Noise of a brush, each to be broadcast to [strokes, along, across].

    Attributes:
      hair: Paint on each bristle.
      streak: How that changes along the stroke.
      pressure: Of the hand, along the stroke.
      ragged: In [0, 1], how soon each bristle lifts.
    """

    hair: np.ndarray
    streak: np.ndarray
    pressure: np.ndarray
    ragged: np.ndarray


def resample(values: np.ndarray, count: int, axis: int) -> np.ndarray:
    """Interpolate linearly to `count` even points along an axis, ends kept."""
    values = np.moveaxis(values, axis, -1)
    at = np.linspace(0.0, values.shape[-1] - 1.0, count)
    low = np.minimum(at.astype(int), values.shape[-1] - 2)
    part = at - low
    mixed = values[..., low] * (1.0 - part) + values[..., low + 1] * part
    return np.moveaxis(mixed, -1, axis)


def smooth(values: np.ndarray, axis: int) -> np.ndarray:
    """Blur by [1, 2, 1] / 4 along an axis, around the end."""
    return (np.roll(values, 1, axis) + 2.0 * values + np.roll(values, -1, axis)) / 4.0


def load_brush(rng: np.random.Generator, strokes: int, along: int, across: int) -> Load:
    """Draw the noise of a brush for each stroke."""
    bristles = max(5, min(BRISTLES, across // 2))
    hair = 1.3 * smooth(rng.standard_normal((strokes, 1, bristles)), 2)
    streak = resample(rng.standard_normal((strokes, 7, bristles)), along, 1)
    return Load(
        hair=resample(hair, across, 2),
        streak=resample(streak, across, 2),
        pressure=resample(rng.standard_normal((strokes, 5, 1)), along, 1),
        ragged=resample(rng.random((strokes, 1, bristles)), across, 2),
    )


def touches(load: Load, u: np.ndarray, v: np.ndarray, cap: float) -> np.ndarray:
    """Where the brush leaves paint: not past its round ends, nor where it is dry.

    Args:
      load: Noise of the brush.
      u: Along the stroke, [1, along, 1].
      v: Across it, [1, 1, across].
      cap: Half the brush's width over the stroke's length.

    Returns:
      Booleans [strokes, along, across].
    """
    flat = 1.0 - np.sqrt(np.clip(1.0 - v * v, 0.0, 1.0))
    start = 0.9 * cap * flat + 0.04 * load.ragged
    stop = 1.0 - 1.2 * cap * flat - 0.22 * load.ragged
    wet = 0.55 * load.hair + 0.5 * load.streak + 0.35 * load.pressure
    dry = wet < 1.15 * u**2 * (u > 0.4) - 1.55
    return (u >= start) & (u <= stop) & ~dry


def mix_colours(
    rng: np.random.Generator,
    load: Load,
    colours: np.ndarray,
    u: np.ndarray,
    v: np.ndarray,
) -> np.ndarray:
    """Colour [strokes, along, across, 3] of paint: two sides, lighter on ridges."""
    strokes = len(colours)
    second = 0.75 * colours + 0.25 * colours[rng.permutation(strokes)]
    way = rng.choice([-0.5, 0.5], (strokes, 1, 1))
    side = np.clip(0.5 + way * v + 0.35 * load.streak, 0.0, 1.0)
    side = (side * (rng.random((strokes, 1, 1)) < 0.6))[..., None]
    mixed = colours[:, None, None] * (1.0 - side) + second[:, None, None] * side
    tone = 0.06 * load.hair + 0.045 * load.streak + 0.03 * load.pressure - 0.05 * u
    return mixed * (1.0 + 1.6 * tone[..., None]) + 0.25 * tone[..., None]


def thickness(load: Load, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Height of the paint over half the width: bristles' ridges and pushed-up edges."""
    rest = 1.0 - u
    ridges = 0.30 * load.hair * (0.5 + 0.5 * rest**0.7) + 0.15 * load.streak
    return ridges + (0.5 * v**6 + 0.5) * rest**0.7


def drag(
    rng: np.random.Generator,
    canvas: np.ndarray,
    relief: np.ndarray,
    paths: np.ndarray,
    colours: np.ndarray,
    width: float,
    level: float,
) -> None:
    """Paint strokes onto canvas and relief, in place.

    Args:
      rng: Source of the bristles' noise.
      canvas: RGB, [H, W, 3].
      relief: Height of the paint, [H, W].
      paths: Points (x, y) of each stroke, [strokes, points, 2].
      colours: RGB of each stroke, [strokes, 3].
      width: Of the brush; strokes vary about it by a quarter.
      level: Height of the ground they are painted on, in widths.
    """
    unit = min(relief.shape)
    longest = np.hypot(*np.moveaxis(np.diff(paths, axis=1), -1, 0)).sum(1).max()
    along = int(longest * unit * SAMPLES_PER_PIXEL) + 4
    across = int(width * unit * SAMPLES_PER_PIXEL) + 4
    u = np.linspace(0.0, 1.0, along)[None, :, None]
    v = np.linspace(-1.0, 1.0, across)[None, None, :]
    load = load_brush(rng, len(paths), along, across)
    wide = width * rng.uniform(0.75, 1.25, (len(paths), 1, 1))
    half = 0.5 * wide * (1.0 + 0.10 * load.pressure) * (1.0 - 0.25 * u)
    centre = resample(paths, along, 1)
    tangent = np.gradient(centre, axis=1)
    tangent /= np.linalg.norm(tangent, axis=-1, keepdims=True) + 1e-12
    column = centre[..., 0, None] - tangent[..., 1, None] * half * v
    row = centre[..., 1, None] + tangent[..., 0, None] * half * v
    column, row = (np.floor(unit * at).astype(int) for at in (column, row))
    keep = touches(load, u, v, float(half.mean() / longest))
    keep &= (row >= 0) & (row < canvas.shape[0])
    keep &= (column >= 0) & (column < canvas.shape[1])
    where = row[keep], column[keep]
    canvas[where] = mix_colours(rng, load, colours, u, v)[keep]
    relief[where] = ((level + thickness(load, u, v)) * wide)[keep]


def light(canvas: np.ndarray, relief: np.ndarray) -> np.ndarray:
    """Shade the colours by the relief's slopes and add a slight gloss."""
    up, left, front = LIGHT
    scale = 0.65 * min(relief.shape)
    down_slope, right_slope = np.gradient(scale * smooth(smooth(relief, 0), 1))
    facing = up * down_slope + left * right_slope + front
    facing = facing / np.sqrt(1.0 + down_slope**2 + right_slope**2)
    gloss = 0.10 * np.clip(facing, 0.0, 1.0) ** 12
    shade = np.clip(0.45 + 0.55 * facing / front, 0.45, 1.4)
    return canvas * shade[..., None] + gloss[..., None]
