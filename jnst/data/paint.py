"""Paint the demo style picture: brush strokes along a field of whirls.

A night over hills, made by arithmetic and after no painting in particular. Layers go
from broad to fine. Each stroke follows the flow, is dragged by a brush of separate
bristles loaded with two colours, and leaves a relief that is lit from the upper left
at the end (`jnst.data.brush`). Lengths are in units of the picture's shorter side, x
to the right and y down; colours are RGB in [0, 1]. To change the picture, change the
tables.
"""

import argparse
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jnst.data.brush import drag, light
from jnst.files import check_output
from jnst.image import IMAGE_SUFFIXES, save_image

OVERSAMPLE = 2
BATCH = 32
PATH_STEPS = 10


class Whirl(NamedTuple):
    """A vortex of the sky: its centre, radius, sense of turning and light."""

    x: float
    y: float
    radius: float
    turn: float
    glow: float


class Layer(NamedTuple):
    """One pass over the canvas.

    Attributes:
      width: Of the brush.
      length: Of a stroke.
      coverage: Area of all strokes over the area of the canvas.
      jitter: Standard deviation of a stroke's lightness.
    """

    width: float
    length: float
    coverage: float
    jitter: float


WHIRLS = (
    Whirl(0.30, 0.30, 0.21, 1.0, 1.0),
    Whirl(0.86, 0.36, 0.25, -1.0, 0.5),
    Whirl(0.58, 0.10, 0.10, -1.0, 0.8),
    Whirl(1.14, 0.10, 0.12, 1.0, 1.0),
    Whirl(0.05, 0.62, 0.12, -1.0, 0.55),
    Whirl(0.56, 0.60, 0.12, 1.0, 0.4),
    Whirl(1.17, 0.60, 0.09, 1.0, 0.9),
    Whirl(0.06, 0.06, 0.09, -1.0, 0.7),
)
LAYERS = (
    Layer(0.100, 0.34, 2.2, 0.05),
    Layer(0.050, 0.26, 2.0, 0.09),
    Layer(0.030, 0.20, 1.2, 0.12),
    Layer(0.018, 0.14, 0.6, 0.15),
    Layer(0.010, 0.09, 0.2, 0.20),
)
# Six steps each from dark to light, as hexadecimal RGB.
COOL = "080d29 0d1a54 143385 265ead 5c99c2 b3d1c7"
WARM = "5c1a0d a83d0f de7514 f5b021 fad961 fcf2b8"
EARTH = "080f1a 0d2129 174038 386640 8c8f38 e0b340"


def palette_colour(palette: str, value: np.ndarray) -> np.ndarray:
    """Colours [N, 3] of a palette at values [N] from 0 (dark) to 1 (light)."""
    steps = np.array([list(bytes.fromhex(step)) for step in palette.split()]) / 255.0
    at = np.clip(value, 0.0, 1.0) * (len(steps) - 1)
    return np.stack([np.interp(at, np.arange(len(steps)), c) for c in steps.T], -1)


def ridge(x: np.ndarray) -> np.ndarray:
    """Height y of the hills' outline."""
    return 0.80 + 0.05 * np.sin(4.1 * x + 0.6) + 0.025 * np.sin(11.0 * x)


def flow(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit vector that a brush follows: wind and whirls above, slopes below."""
    wind = 0.35 * np.sin(5.0 * x + 3.0 * y) + 0.25 * np.sin(9.0 * y - 2.0 * x)
    vx, vy = 0.3 * np.cos(wind), 0.3 * np.sin(wind)
    for whirl in WHIRLS:
        dx, dy = (x - whirl.x) / whirl.radius, (y - whirl.y) / whirl.radius
        r = np.hypot(dx, dy)
        pull = 2.2 * whirl.turn * np.exp(-0.7 * r * r) / (r + 0.15)
        inward = 0.28 * whirl.turn * np.sin(2.5 * r)
        vx, vy = vx - pull * (dy + inward * dx), vy + pull * (dx - inward * dy)
    below = y - ridge(x)
    slope = np.arctan((ridge(x + 0.01) - ridge(x - 0.01)) / 0.02)
    slope = slope + 6.4 * below * np.sin(7.0 * x)
    depth = np.clip(below / 0.03 + 0.5, 0.0, 1.0)
    vx = (1.0 - depth) * vx + depth * np.cos(slope)
    vy = (1.0 - depth) * vy + depth * np.sin(slope)
    norm = np.hypot(vx, vy) + 1e-9
    return vx / norm, vy / norm


def sky(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lightness and the chance of a warm colour at points of the sky."""
    value = 0.36 + 0.10 * np.sin(6.0 * x - 9.0 * y) + 0.12 * np.sin(3.0 * y + 2.0)
    value = value + 0.10 * np.sin(23.0 * y + 5.0 * np.sin(4.0 * x))
    warmth = np.zeros_like(x)
    for whirl in WHIRLS:
        r = np.hypot(x - whirl.x, y - whirl.y) / whirl.radius
        core = whirl.glow * np.exp(-1.5 * (r / (0.62 * whirl.glow)) ** 2)
        halo = 0.55 * whirl.glow * np.exp(-(((r - 1.0) / 0.13) ** 2))
        rings = np.exp(-0.8 * r * r) * (0.22 + 0.22 * np.cos(9.0 * r))
        value = value + rings + 0.30 * core
        warmth = np.maximum(warmth, np.maximum(core, halo))
    dusk = np.exp(-(((y - ridge(x)) / 0.07) ** 2))
    return value + 0.28 * dusk, np.maximum(warmth, 0.45 * dusk)


def choose_colours(
    rng: np.random.Generator, x: np.ndarray, y: np.ndarray, jitter: float
) -> np.ndarray:
    """Colour [N, 3] of each stroke, from the place of its middle and chance."""
    value, warmth = sky(x, y)
    below = y - ridge(x)
    field = 0.42 + 0.24 * np.sin(34.0 * below + 3.0 * np.sin(5.0 * x))
    noise = jitter * rng.standard_normal(len(x))
    warm = rng.random(len(x)) < np.where(below > 0.0, 0.0, 1.25 * warmth) + 0.015
    cold = np.where(
        (below > 0.0)[:, None],
        palette_colour(EARTH, field + 0.12 * np.sin(9.0 * x) + noise),
        palette_colour(COOL, value + noise),
    )
    glow = palette_colour(WARM, 0.8 * (value + noise) + 0.15)
    colours = np.where(warm[:, None], glow, cold)
    return colours + 0.02 * rng.standard_normal(colours.shape)


def trace(
    rng: np.random.Generator, x: np.ndarray, y: np.ndarray, length: np.ndarray
) -> np.ndarray:
    """Paths [N, 2 * PATH_STEPS + 1, 2] through the points, along the flow."""
    points = [np.stack([x, y], -1)]
    for sign in (-1.0, 1.0):
        step, px, py = sign * length / (2 * PATH_STEPS), x, y
        for _ in range(PATH_STEPS):
            vx, vy = flow(px, py)
            vx, vy = flow(px + 0.5 * step * vx, py + 0.5 * step * vy)  # midpoint rule
            px, py = px + step * vx, py + step * vy
            points.append(np.stack([px, py], -1))
        points.reverse()
    paths = np.stack(points[::-1], 1)
    middle = paths[:, PATH_STEPS : PATH_STEPS + 1]
    tilt, arm = 0.16 * rng.standard_normal((len(x), 1, 1)), paths - middle
    turned = np.stack([-arm[..., 1], arm[..., 0]], -1)
    return middle + np.cos(tilt) * arm + np.sin(tilt) * turned


def paint_layer(
    rng: np.random.Generator,
    canvas: np.ndarray,
    relief: np.ndarray,
    layer: Layer,
    level: float,
) -> None:
    """Cover canvas and relief, in place, with the strokes of one layer."""
    unit = min(relief.shape)
    high, wide = relief.shape[0] / unit, relief.shape[1] / unit
    area = (high + 0.1) * (wide + 0.1)  # the margin keeps the border as thick
    count = int(layer.coverage * area / (layer.width * layer.length))
    x = rng.uniform(-0.05, wide + 0.05, count)
    y = rng.uniform(-0.05, high + 0.05, count)
    colours = choose_colours(rng, x, y, layer.jitter)
    lengths = layer.length * rng.uniform(0.7, 1.2, count)
    paths = trace(rng, x, y, lengths)
    for start in range(0, count, BATCH):
        some = slice(start, start + BATCH)
        drag(rng, canvas, relief, paths[some], colours[some], layer.width, level)


def paint(seed: int, height: int, width: int) -> np.ndarray:
    """Paint the picture; the same arguments give the same picture.

    Args:
      seed: Of where strokes lie and how the bristles are loaded.
      height: In pixels.
      width: In pixels; the composition is meant for 5/4 of the height.

    Returns:
      RGB, float32, [height, width, 3], in [0, 1].
    """
    rng = np.random.default_rng(seed)
    shape = (height * OVERSAMPLE, width * OVERSAMPLE)
    canvas = np.tile(palette_colour(COOL, np.array([0.2])), (*shape, 1))
    relief = np.zeros(shape)
    for number, layer in enumerate(LAYERS):
        paint_layer(rng, canvas, relief, layer, 0.3 * number)
    blocks = (height, OVERSAMPLE, width, OVERSAMPLE, 3)
    picture = light(canvas, relief).reshape(blocks).mean((1, 3))
    return np.clip(picture, 0.0, 1.0).astype(np.float32)


def main(argv: Sequence[str] | None = None) -> int:
    """Paint into a file: `python -m jnst.data.paint OUT`."""
    parser = argparse.ArgumentParser(prog="jnst.data.paint", description=__doc__)
    parser.add_argument("out", help="file to write, e.g. demo_style.jpg")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--height", type=int, default=512)
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--quality", type=int, default=85)
    parser.add_argument("--overwrite", action="store_true")
    args = parser.parse_args(argv)
    try:
        check_output(args.out, overwrite=args.overwrite, suffixes=IMAGE_SUFFIXES)
    except ValueError as error:
        parser.error(str(error))
    picture = paint(args.seed, args.height, args.width)
    save_image(args.out, picture, quality=args.quality)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
