"""Sizes of images and resizing, in floats throughout.

To add a way of resizing, write a function of an image and a shape and add its row to
`RESIZE_METHODS`. Nothing here knows about files.
"""

import functools
import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from PIL import Image

from jnst.base import check_one_of, check_positive

Channels = Float[np.ndarray, "_ _ _"]

SIDES: dict[str, Callable[[tuple[float, float]], float]] = {
    "longer": max,
    "shorter": min,
    "height": lambda shape: shape[0],
}

ROUNDINGS: dict[str, Callable[[float], int]] = {"nearest": round, "down": math.floor}


def fit_shape(
    shape: tuple[int, int],
    size_px: int,
    *,
    side: str = "longer",
    aspect: tuple[int | float, int | float] | None = None,
    enlarge: bool = True,
    rounding: str = "nearest",
) -> tuple[int, int]:
    """Find the size an image should get, in whole pixels and at least 1 by 1.

    Args:
      shape: Its height and width.
      size_px: What `side` should measure.
      side: Key of `SIDES`: "longer", "shorter" or "height".
      aspect: Height and width of the proportions to stretch to; its own by default.
      enlarge: Whether it may grow; if not, neither side becomes larger than it is.
      rounding: Key of `ROUNDINGS`, for the side not asked for.

    Returns:
      Height and width.

    Raises:
      ValueError: If `side` or `rounding` is unknown, or a length is not above 0.
    """
    check_one_of("side", side, SIDES)
    check_one_of("rounding", rounding, ROUNDINGS)
    lengths = {"size_px": size_px, "height": shape[0], "width": shape[1]}
    for what, length in lengths.items():
        check_positive(what, float(length))
    wanted = (float(shape[0]), float(shape[1]))
    if aspect is not None:
        check_positive("aspect", float(min(aspect)))
        wanted = (float(aspect[0]), float(aspect[1]))
    scale = size_px / SIDES[side](wanted)
    if not enlarge:
        scale = min(scale, shape[0] / wanted[0], shape[1] / wanted[1])
    # The side asked for comes out whole but for rounding errors of the product.
    sides = [ROUNDINGS[rounding](side * scale + 1e-9) for side in wanted]
    return max(1, sides[0]), max(1, sides[1])


def _resize_filtered(
    image: Channels, shape: tuple[int, int], *, resample: Image.Resampling
) -> Channels:
    """Resize each channel as floats with one of Pillow's antialiasing filters."""
    size = (shape[1], shape[0])
    channels = np.moveaxis(image.astype(np.float32), -1, 0)
    resized = [Image.fromarray(c).resize(size, resample) for c in channels]
    return np.stack([np.asarray(c) for c in resized], axis=-1)


def _resize_bilinear_point(image: Channels, shape: tuple[int, int]) -> Channels:
    """Sample between the four nearest pixels, with half-pixel centres, edges held."""
    for axis, size in enumerate(shape):
        length = image.shape[axis]
        at = np.clip((np.arange(size) + 0.5) * length / size - 0.5, 0, length - 1)
        low = np.floor(at).astype(int)
        weight = (at - low).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        below = np.take(image, low, axis)
        above = np.take(image, np.minimum(low + 1, length - 1), axis)
        image = below * (1.0 - weight) + above * weight
    return image


RESIZE_METHODS: dict[str, Callable[[Channels, tuple[int, int]], Channels]] = {
    # Pillow's widen with the scale when shrinking; "bilinear_point" does not, as
    # cv2.resize with INTER_LINEAR and tf.image.resize.
    **{
        name: functools.partial(
            _resize_filtered, resample=Image.Resampling[name.upper()]
        )
        for name in ("nearest", "bilinear", "bicubic", "lanczos")
    },
    "bilinear_point": _resize_bilinear_point,
}


def resize_image(
    image: Channels, shape: tuple[int, int], *, method: str = "bicubic"
) -> Channels:
    """Resize in floats, without rounding to 8 bits and without overshoot.

    Args:
      image: Floats of any range, [height, width, channels].
      shape: New height and width.
      method: Key of `RESIZE_METHODS`.

    Returns:
      float32, [*shape, channels], within the smallest and largest value of `image`;
      a copy if it had this size.

    Raises:
      ValueError: If `method` is unknown or a length is not above 0.
    """
    check_one_of("resize method", method, RESIZE_METHODS)
    check_positive("height and width", float(min(shape)))
    if image.shape[:2] == tuple(shape):
        return image.astype(np.float32)
    resized = RESIZE_METHODS[method](image, shape)
    return np.clip(resized, image.min(), image.max()).astype(np.float32)
