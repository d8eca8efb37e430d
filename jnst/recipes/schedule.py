"""The third part of a recipe: sizes, and the way from coarse to fine."""

import dataclasses
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import numpy as np

from jnst.base import Number
from jnst.bounds import SIDE, STEPS, Choice, Range
from jnst.fitting import fit_fields, fitted
from jnst.image import RESIZE_METHODS, ROUNDINGS, SIDES, fit_shape, resize_image

Shape = tuple[int, int]
Ratio = Annotated[int, SIDE._replace(text="two numbers above 0")]


@fitted
@dataclasses.dataclass(frozen=True, kw_only=True)
class ScheduleFields:
    """How many steps at which sizes.

    Attributes:
      steps: Steps in all scales together; None for what `scale_steps` adds up to.
      scale_steps: Steps at each scale from the coarsest, the last repeated; of three or
        more, the last are those of the last scale, and the ones before are repeated.
        Where `steps` is given, the shares it is split by.
      scale_ratio: Ratio of neighbouring sizes, coarse to fine; 1 for one size only.
      min_size_px: No scale is smaller, unless the only one.
      size_px: Size of the result, in pixels of `size_side`.
      size_side: Side that `size_px` means, one of `SIDES`.
      size_rounding: How the other side is rounded: "nearest" or "down".
      aspect: (height, width) ratio files are stretched to; empty keeps their own.
      style_size_px: The style's size; 0 for that of the content's current scale.
      style_aspect: Ratio the style is stretched to; empty keeps its own.
      style_fit: Whether the style is stretched to the content's exact size.
      style_enlarge: Whether a style smaller than its size is enlarged.
      resize: Method of `jnst.image.RESIZE_METHODS`.
    """

    steps: Annotated[int, STEPS] | None = None
    scale_steps: tuple[Annotated[int, STEPS], ...] = (500,)
    scale_ratio: Annotated[Number, Range(1)] = 1.0
    min_size_px: Annotated[int, SIDE] = 128
    size_px: Annotated[int, SIDE] = 512
    size_side: Annotated[str, Choice(SIDES)] = "longer"
    size_rounding: Annotated[str, Choice(ROUNDINGS)] = "nearest"
    aspect: tuple[Ratio, ...] = ()
    style_size_px: Annotated[int, Range(0, SIDE.high)] = 0
    style_aspect: tuple[Ratio, ...] = ()
    style_fit: bool = False
    style_enlarge: bool = True
    resize: Annotated[str, Choice(RESIZE_METHODS)] = "bicubic"

    def __post_init__(self) -> None:
        """Raise `ValueError` for the first field that no run could use."""
        fit_fields(self)
        if not self.scale_steps:
            raise ValueError("scale_steps must not be empty")
        for name in ("aspect", "style_aspect"):
            aspect = getattr(self, name)
            if aspect and len(aspect) != 2:
                raise ValueError(f"{name} must be two numbers above 0, got {aspect}")


class Source(NamedTuple):
    """An image as it was given.

    Attributes:
      pixels: RGB in [0, 1], float32 [H, W, 3] at its own size; [N, H, W, 3] for a
        batch.
      own_size: Whether it is taken as it is (an array without `size_px`), or resized
        as the recipe says (a file).
      plain: Whether `size_px` was asked for by hand: then it means the longer side
        whatever the recipe says, as for every array.
      about: What is known of where it is from: name and SHA-256.
    """

    pixels: np.ndarray
    own_size: bool
    plain: bool = False
    about: Any = None

    @property
    def shape(self) -> Shape:
        """Height and width."""
        return self.pixels.shape[-3], self.pixels.shape[-2]


class Stage(NamedTuple):
    """One size of a run.

    Attributes:
      size_px: Nominal size.
      shape: Height and width of the image.
      steps: Steps at this size, at least 1.
      styles: Height and width of each style image.
    """

    size_px: int
    shape: Shape
    steps: int
    styles: tuple[Shape, ...] = ()


def scales(size_px: int, fields: ScheduleFields) -> list[int]:
    """List nominal sizes from coarse to fine, `scale_ratio` apart.

    References:
      crowsonkb/style-transfer-pytorch, `gen_scales`.
    """
    sizes = [size_px]
    while fields.scale_ratio > 1:
        smaller = round(size_px / fields.scale_ratio ** len(sizes))
        if smaller < fields.min_size_px or smaller >= sizes[-1]:
            break
        sizes.append(smaller)
    return sizes[::-1]


def steps_per_scale(count: int, fields: ScheduleFields) -> list[int]:
    """Split the steps over `count` scales from the coarsest.

    Returns:
      Steps of each scale; fewer scales, the finest ones, if there are too few steps.
    """
    given = list(fields.scale_steps)
    last = [given.pop()] if len(given) > 2 else []
    shares = (given + [given[-1]] * count)[: count - len(last)] + last
    if fields.steps is None:
        return shares
    shares = shares[-min(count, fields.steps) :]
    ends = np.cumsum(shares) * (fields.steps / sum(shares))
    steps = np.diff(np.rint(ends).astype(int), prepend=0)
    # A rounded share may be empty: take its step from the largest.
    while steps.min() < 1:
        steps[steps.argmax()] -= 1
        steps[steps.argmin()] += 1
    return [int(n) for n in steps]


def full_shape(source: Source, fields: ScheduleFields, *, style: bool = False) -> Shape:
    """Return the height and width an image is brought to at full size."""
    if source.own_size:
        return source.shape
    size = (style and fields.style_size_px) or fields.size_px
    return _fit(source, size, fields, style=style)


def _fit(
    source: Source,
    size_px: int,
    fields: ScheduleFields,
    *,
    style: bool,
    side: str | None = None,
) -> Shape:
    if source.plain:
        return fit_shape(source.shape, size_px, side=side or "longer")
    aspect = fields.style_aspect if style else fields.aspect
    shape = fit_shape(
        source.shape,
        size_px,
        side=side or fields.size_side,
        rounding=fields.size_rounding,
        aspect=(aspect[0], aspect[1]) if aspect else None,
        enlarge=fields.style_enlarge or not style,
    )
    if max(shape) > SIDE.high:
        raise ValueError(
            f"size_px={size_px} on the {fields.size_side} side makes an image of "
            f"{shape[0]}x{shape[1]} (height x width), more than {SIDE.high} a side"
        )
    return shape


def stages(
    shape: Shape,
    size_px: int,
    fields: ScheduleFields,
    *,
    fits: Callable[[Stage], bool] = lambda stage: True,
) -> list[Stage]:
    """Plan a run from coarse to fine, ending at exactly `shape`.

    Args:
      shape: Height and width of the result.
      size_px: Nominal size of that shape: `size_px` for files, the longer side
        for arrays.
      fields: The fields.
      fits: Whether a stage before the last is large enough; it is left out if not.

    Returns:
      The stages, without the styles' shapes.
    """

    def at(size: int) -> Stage:
        scaled = [max(1, round(side * size / size_px)) for side in shape]
        return Stage(size, (scaled[0], scaled[1]), 1)

    plan = [at(size) for size in scales(size_px, fields)]
    plan = [stage for stage in plan[:-1] if fits(stage)] + plan[-1:]
    steps = steps_per_scale(len(plan), fields)
    pairs = zip(plan[-len(steps) :], steps, strict=True)
    return [stage._replace(steps=count) for stage, count in pairs]


def style_shape(
    source: Source,
    stage: Stage,
    last: Stage,
    fields: ScheduleFields,
    *,
    least: int = 1,
) -> Shape:
    """Return the height and width of a style image at a stage.

    Args:
      source: The style.
      stage: The stage.
      last: The last one.
      fields: The fields.
      least: Fewest pixels a side, below which no style is brought that has so many at
        full size, or as it was given.
    """
    shape, full = (_own_style_shape(source, at, last, fields) for at in (stage, last))
    if min(shape) >= least or max(min(full), min(source.shape)) < least:
        return shape
    plain = source._replace(plain=source.plain or source.own_size)
    return _fit(plain, least, fields, style=True, side="shorter")


def _own_style_shape(
    source: Source, stage: Stage, last: Stage, fields: ScheduleFields
) -> Shape:
    height, width = source.shape
    if source.own_size:
        ratio = stage.size_px / last.size_px
        return max(1, round(height * ratio)), max(1, round(width * ratio))
    if fields.style_fit:
        return stage.shape
    size = fields.style_size_px or stage.size_px
    return _fit(source, size, fields, style=True)


def resized_to(pixels: np.ndarray, shape: Shape, fields: ScheduleFields) -> np.ndarray:
    """Return an image, or each of a batch, at a size: [1, H, W, 3], [N, 1, H, W, 3]."""
    several = pixels.reshape(-1, *pixels.shape[-3:])
    found = [resize_image(each, shape, method=fields.resize) for each in several]
    whole = np.stack([np.asarray(each, np.float32)[None] for each in found])
    return whole if pixels.ndim == 4 else whole[0]
