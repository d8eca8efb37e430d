"""Sizes: what an image is resized to, and the way from coarse to fine."""

from typing import NamedTuple

import numpy as np

from jnst.image import fit_shape, resize_image
from jnst.recipe import Recipe

Shape = tuple[int, int]


class Source(NamedTuple):
    """An image as it was given.

    Attributes:
      pixels: RGB in [0, 1], float32 [H, W, 3], at its own size.
      own_size: Whether it is taken as it is (an array without `size_px`), or resized
        as the recipe says (a file).
      plain: Whether `size_px` was asked for by hand: then it means the longer side
        whatever the recipe says, as for every array.
    """

    pixels: np.ndarray
    own_size: bool
    plain: bool = False


class Stage(NamedTuple):
    """One size of a run.

    Attributes:
      size_px: Nominal size.
      shape: Height and width of the image.
      steps: Steps at this size, at least 1.
    """

    size_px: int
    shape: Shape
    steps: int


def scales(size_px: int, recipe: Recipe) -> list[int]:
    """List nominal sizes from coarse to fine, `recipe.scale_ratio` apart.

    References:
      crowsonkb/style-transfer-pytorch, `gen_scales`.
    """
    sizes = [size_px]
    while recipe.scale_ratio > 1:
        smaller = round(size_px / recipe.scale_ratio ** len(sizes))
        if smaller < recipe.min_size_px or smaller >= sizes[-1]:
            break
        sizes.append(smaller)
    return sizes[::-1]


def steps_per_scale(count: int, recipe: Recipe) -> list[int]:
    """Split a recipe's steps over `count` scales from the coarsest.

    Returns:
      Steps of each scale; fewer scales, the finest ones, if there are too few steps.
    """
    given = list(recipe.scale_steps)
    last = [given.pop()] if len(given) > 2 else []
    shares = (given + [given[-1]] * count)[: count - len(last)] + last
    if recipe.steps is None:
        return shares
    shares = shares[-min(count, recipe.steps) :]
    ends = np.cumsum(shares) * (recipe.steps / sum(shares))
    steps = np.diff(np.rint(ends).astype(int), prepend=0)
    # A rounded share may be empty: take its step from the largest.
    while steps.min() < 1:
        steps[steps.argmax()] -= 1
        steps[steps.argmin()] += 1
    return [int(n) for n in steps]


def full_shape(source: Source, recipe: Recipe, *, style: bool = False) -> Shape:
    """Return the height and width an image is brought to at full size."""
    shape = (source.pixels.shape[0], source.pixels.shape[1])
    if source.own_size:
        return shape
    size = (style and recipe.style_size_px) or recipe.size_px
    return _fit(source, size, recipe, style=style)


def _fit(source: Source, size_px: int, recipe: Recipe, *, style: bool) -> Shape:
    shape = (source.pixels.shape[0], source.pixels.shape[1])
    if source.plain:
        return fit_shape(shape, size_px)
    aspect = recipe.style_aspect if style else recipe.aspect
    return fit_shape(
        shape,
        size_px,
        side=recipe.size_side,
        rounding=recipe.size_rounding,
        aspect=(aspect[0], aspect[1]) if aspect else None,
        enlarge=recipe.style_enlarge or not style,
    )


def stages(shape: Shape, size_px: int, recipe: Recipe) -> list[Stage]:
    """Plan a run from coarse to fine, ending at exactly `shape`.

    Args:
      shape: Height and width of the result.
      size_px: Nominal size of that shape: `recipe.size_px` for files, the longer side
        for arrays.
      recipe: The recipe.
    """
    sizes = scales(size_px, recipe)
    steps = steps_per_scale(len(sizes), recipe)
    plan = []
    for size, count in zip(sizes[-len(steps) :], steps, strict=True):
        scaled = tuple(max(1, round(side * size / size_px)) for side in shape)
        plan.append(Stage(size, (scaled[0], scaled[1]), count))
    return plan


def style_shape(source: Source, stage: Stage, last: Stage, recipe: Recipe) -> Shape:
    """Return the height and width of a style image at a stage."""
    height, width = source.pixels.shape[:2]
    if source.own_size:
        ratio = stage.size_px / last.size_px
        return max(1, round(height * ratio)), max(1, round(width * ratio))
    if recipe.style_fit:
        return stage.shape
    size = recipe.style_size_px or stage.size_px
    return _fit(source, size, recipe, style=True)


def style_at(source: Source, stage: Stage, last: Stage, recipe: Recipe) -> np.ndarray:
    """Return a style image as a stage compares with it."""
    shape = style_shape(source, stage, last, recipe)
    return resize_image(source.pixels, shape, method=recipe.resize)
