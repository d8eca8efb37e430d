"""Image files to float arrays and back, sizes, and the recipe inside a PNG.

An image is RGB, float32, [height, width, 3], with sRGB values in [0, 1]. This package
is the only user of Pillow: `opening` opens files, `decoding` reads pixels, `sizes`
resizes, `encoding` writes, and `transparency` keeps what was transparent.
"""

from jnst.image.decoding import decode, is_pillow, levels_of, load_image
from jnst.image.encoding import (
    IMAGE_SUFFIXES,
    WRITERS,
    check_holds_alpha,
    check_image,
    clip_rounding,
    encode_jpeg,
    encode_png,
    is_image_array,
    read_metadata,
    save_image,
)
from jnst.image.opening import FORMATS
from jnst.image.sizes import RESIZE_METHODS, ROUNDINGS, SIDES, fit_shape, resize_image
from jnst.image.transparency import load_alpha, resize_alpha

__all__ = [
    "FORMATS",
    "IMAGE_SUFFIXES",
    "RESIZE_METHODS",
    "ROUNDINGS",
    "SIDES",
    "WRITERS",
    "check_holds_alpha",
    "check_image",
    "clip_rounding",
    "decode",
    "encode_jpeg",
    "encode_png",
    "fit_shape",
    "is_image_array",
    "is_pillow",
    "levels_of",
    "load_alpha",
    "load_image",
    "read_metadata",
    "resize_alpha",
    "resize_image",
    "save_image",
]
