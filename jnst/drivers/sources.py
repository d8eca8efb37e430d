"""Pictures as users give them: paths, Pillow's images, arrays, and several of each."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jnst.files import sha256_of
from jnst.image import check_image, clip_rounding, decode, is_pillow, load_image
from jnst.recipes.schedule import Source

ImageLike = Any
"""A path, a `PIL.Image.Image`, or a float array [H, W, 3] in [0, 1]."""
LEAST_SIDE_PX = 2
"""Of a picture that is to be resized: one pixel becomes a flat area of any size."""


def as_array(what: str, image: ImageLike) -> np.ndarray:
    """Return an image as float32 [H, W, 3].

    Raises:
      FileNotFoundError: If there is no such file.
      ValueError: If it is no image, an array of another shape, type or range, or a
        picture that is a pixel high or wide.
    """
    if isinstance(image, str | os.PathLike):
        pixels = load_image(image)
        check_sides(f"{what} {os.fspath(image)!r}", pixels)
        return pixels
    if is_pillow(image):
        pixels = decode(image)
        check_sides(what, pixels)
        return pixels
    array = np.asarray(image)
    check_image(what, array)
    return array.astype(np.float32)


def check_sides(what: str, pixels: np.ndarray) -> None:
    """Raise for a picture that resizing can only make flat.

    Raises:
      ValueError: If it is a pixel high or wide.
    """
    height, width = pixels.shape[-3:-1]
    if min(height, width) < LEAST_SIDE_PX:
        raise ValueError(
            f"{what} is {height}x{width} pixels (height x width); a picture needs at "
            f"least {LEAST_SIDE_PX} a side"
        )


def described(path: str | os.PathLike[str]) -> dict[str, str]:
    """Return a file's name, without its folder, and SHA-256."""
    return {"name": Path(path).name, "sha256": sha256_of(path)}


def _about(image: ImageLike, pixels: np.ndarray) -> dict[str, Any]:
    """Tell where an image is from: a file, or an array by the SHA-256 of its bytes."""
    if isinstance(image, str | os.PathLike):
        return described(image)
    digest = hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()
    return {"name": None, "sha256": digest, "shape": list(pixels.shape)}


def as_source(
    what: str, image: ImageLike, *, sized: bool, outside: bool = False
) -> Source:
    """Wrap an image, or a batch of them, with the rule for its size.

    Args:
      what: What to call it in messages.
      image: An image; an array [N, H, W, 3] is a batch.
      sized: Whether `size_px` was asked for.
      outside: Whether values outside [0, 1] are kept.

    Raises:
      FileNotFoundError: If there is no such file.
      ValueError: If it is no image, out of range, or a pixel high or wide.
    """
    is_array = not (isinstance(image, str | os.PathLike) or is_pillow(image))
    if is_array and getattr(image, "ndim", 0) == 4:
        several = list(np.asarray(image))
        if not several:
            raise ValueError(f"{what} is a batch of no images")
        pixels = np.stack([as_array(what, each) for each in several])
    else:
        pixels = as_array(what, image)
    if is_array and not outside:
        pixels = clip_rounding(what, pixels)
    own = is_array and not sized
    if is_array and sized:
        check_sides(what, pixels)
    return Source(pixels, own, is_array, _about(image, pixels))


def as_batch(what: str, images: Sequence[ImageLike], *, sized: bool) -> Source:
    """Join a list of images of one size to a batch.

    Raises:
      ValueError: If it is empty, or their sizes or kinds differ.
    """
    if not images:
        raise ValueError(f"{what} is a list of no images")
    found = [as_source(what, each, sized=sized) for each in images]
    if any(source.pixels.ndim != 3 for source in found):
        raise ValueError(f"{what} must be a list of images, or an array of them")
    shapes = list(dict.fromkeys(source.shape for source in found))
    if len(shapes) > 1:
        sizes = ", ".join(f"{h}x{w}" for h, w in shapes)
        raise ValueError(f"a batch has images of one size, got {what} of {sizes}")
    if len({source.own_size for source in found}) > 1:
        raise ValueError(f"{what} must be all files or all arrays")
    about = [source.about for source in found]
    return found[0]._replace(pixels=np.stack([s.pixels for s in found]), about=about)


def as_content(content: Any, *, sized: bool) -> Source | None:
    """Wrap the content: one image, a list of them (a batch), or None (a texture)."""
    if content is None:
        return None
    if isinstance(content, list | tuple):
        return as_batch("content", content, sized=sized)
    return as_source("content", content, sized=sized)


def as_styles(style: Any, *, sized: bool) -> list[Source]:
    """Wrap the styles: one image, or a list of them to be blended.

    Raises:
      ValueError: If the list is empty.
    """
    given = list(style) if isinstance(style, list | tuple) else [style]
    if not given:
        raise ValueError("style must be at least one image, got an empty list")
    return [as_source("style", each, sized=sized) for each in given]


def batch_of(sources: Sequence[Source]) -> int | None:
    """Return how many pictures a run has; None for one.

    Raises:
      ValueError: If batches of different numbers meet.
    """
    counts = {len(s.pixels) for s in sources if s.pixels.ndim == 4}
    if len(counts) > 1:
        numbers = " and ".join(str(n) for n in sorted(counts))
        raise ValueError(f"contents and styles are batches of {numbers} images")
    return next(iter(counts), None)
