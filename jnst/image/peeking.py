"""Pictures looked at, not loaded: how large a file is, and a small copy of it."""

import numpy as np

from jnst.files import StrPath
from jnst.image.decoding import decode
from jnst.image.opening import FORMATS, open_image
from jnst.image.sizes import fit_shape, resize_image


def pixels_of(path: StrPath) -> tuple[int, int]:
    """Return height and width of an image file as stored, from its head alone.

    Raises:
      FileNotFoundError: If there is no such file.
      ValueError: If it is no image, or too large for any use.
    """
    with open_image(path, FORMATS) as image:
        return image.height, image.width


def thumbnail(path: StrPath, side_px: int) -> np.ndarray:
    """Load an image file as one that is no larger than a side, upright.

    Args:
      path: An image file.
      side_px: Its longer side at most, in pixels.

    Returns:
      RGB, float32, [height, width, 3], in [0, 1].

    Raises:
      FileNotFoundError: If there is no such file.
      ValueError: If it is no image, damaged, or too large for any use.
    """
    with open_image(path, FORMATS) as image:
        image.draft(None, (2 * side_px, 2 * side_px))  # a JPEG's decoder scales
        pixels = decode(image)
    shape = pixels.shape[0], pixels.shape[1]
    if max(shape) <= side_px:
        return pixels
    return resize_image(pixels, fit_shape(shape, side_px))
