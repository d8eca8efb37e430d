"""The transparency of a picture: read apart from its colours, and written back.

A run sees pictures on white (`decoding`). What was transparent in one may be kept for
the result: an array of opacities, [height, width], 0 where nothing shows and 1 where
all does.
"""

import numpy as np
from jaxtyping import Float

from jnst.files import StrPath
from jnst.image.decoding import upright
from jnst.image.opening import FORMATS, MeaninglessError, open_image
from jnst.image.sizes import resize_image

Opacity = Float[np.ndarray, "_ _"]


def load_alpha(path: StrPath) -> Opacity | None:
    """Load the transparency of an image file, upright.

    Args:
      path: A file that `load_image` reads.

    Returns:
      Opacities, float32, [height, width], in [0, 1]; None for a file without any.

    Raises:
      FileNotFoundError: If there is no such file.
      ValueError: If it is no image, damaged, or transparent everywhere.
    """
    with open_image(path, FORMATS) as image:
        if not image.has_transparency_data:
            return None
        image.load()
        opaque = image.convert("LA" if image.mode in ("La", "LA") else "RGBA")
        alpha = upright(image, np.asarray(opaque.getchannel("A")))
        if not alpha.any():
            raise MeaninglessError("it is transparent everywhere")
    return np.ascontiguousarray(alpha, np.float32) / np.float32(255)


def resize_alpha(
    alpha: Opacity, shape: tuple[int, int], *, method: str = "bicubic"
) -> Opacity:
    """Resize opacities as `resize_image` does a picture.

    Args:
      alpha: [height, width].
      shape: New height and width.
      method: Key of `RESIZE_METHODS`.

    Raises:
      ValueError: If `method` is unknown or a length is not above 0.
    """
    return resize_image(alpha[..., None], shape, method=method)[..., 0]
