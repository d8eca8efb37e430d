"""The sizes of a run: its stages, each with its styles, all as large as they must be.

Stages too small for the layers are left out, and styles are not brought below what the
layers need: only what is too small at its full size is refused.
"""

import bisect
import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

from jnst.bounds import SIDE
from jnst.drivers.networks import Seen
from jnst.recipes.schedule import (
    ScheduleFields,
    Shape,
    Source,
    Stage,
    full_shape,
    stages,
    style_shape,
)


class Given(NamedTuple):
    """The pictures of a run, and the shape asked for.

    Attributes:
      content: Content; None for a texture.
      styles: Style images.
      shape: Height and width of a texture; None for the first style's.
    """

    content: Source | None
    styles: Sequence[Source]
    shape: Shape | None


def plan_stages(given: Given, schedule: ScheduleFields, seen: Seen) -> list[Stage]:
    """Plan the sizes of a run, coarse to fine.

    Args:
      given: The pictures, and the shape asked for.
      schedule: Sizes and steps.
      seen: What the pictures are seen with.

    Raises:
      ValueError: For a shape beside a content image, or where a picture is too small
        at full size.
    """
    shape = given.shape
    if given.content is not None and shape is not None:
        raise ValueError("shape is for textures; with a content image use size_px")
    last = _last(given, schedule, seen.least)
    _check(last, given, schedule, seen)

    def styled(stage: Stage) -> Stage:
        return _styled(stage, last, given, schedule, seen.least)

    def fits(stage: Stage) -> bool:
        return _fits(styled(stage), seen)

    plan = stages(last.shape, last.size_px, schedule, fits=fits)
    return [styled(stage) for stage in plan]


def _last(given: Given, schedule: ScheduleFields, least: int) -> Stage:
    """Return the full size."""
    content, styles, shape = given
    main = content or styles[0]
    final = full_shape(main, schedule, style=content is None)
    if shape is not None:
        final = shape[0], shape[1]
    arrays = shape is not None or main.own_size
    last = Stage(max(final) if arrays else schedule.size_px, final, 1)
    return _styled(last, last, given, schedule, least)


def _styled(
    stage: Stage, last: Stage, given: Given, schedule: ScheduleFields, least: int
) -> Stage:
    found = [
        style_shape(style, stage, last, schedule, least=least) for style in given.styles
    ]
    return stage._replace(styles=tuple(found))


def _fits(stage: Stage, seen: Seen) -> bool:
    """Tell whether all pictures of a stage are large enough."""
    try:
        for shape in (stage.shape, *stage.styles):
            seen.check(shape)
    except (ValueError, TypeError):  # what JAX raises for a user's features
        return False
    return True


def _check(last: Stage, given: Given, schedule: ScheduleFields, seen: Seen) -> None:
    """Raise for what is too small at full size, and say what would do."""
    for shape in (last.shape, *last.styles):
        try:
            seen.check(shape)
        except ValueError as error:
            if min(shape) >= seen.least:  # no size would mend this for sure
                raise
            advice = _advice(given, schedule, seen.least)
            raise ValueError(f"{error}; {advice}") from None


def _advice(given: Given, schedule: ScheduleFields, least: int) -> str:
    """Say at which size all pictures would be large enough."""
    content, styles, shape = given
    if shape is not None and min(shape) < least:
        return f"use a shape of at least {least}x{least}"
    resized = given._replace(
        content=_resized(content) if content else None,
        styles=[_resized(style) for style in styles],
    )
    for name, those in (("size_px", resized), ("style_size_px", given)):

        def side(size_px: int, name: str = name, those: Given = those) -> int:
            fields = dataclasses.replace(schedule, **{name: size_px})
            try:
                found = _last(those, fields, least)
            except ValueError:  # more than there may be
                return int(SIDE.high) + 1
            return min(map(min, (found.shape, *found.styles)))

        found = 1 + bisect.bisect_left(range(1, int(SIDE.high)), least, key=side)
        if least <= side(found) <= SIDE.high:
            return f"use a larger {name}, at least {found}"
    also = "" if schedule.style_enlarge else ", or style_enlarge=true"
    return f"use a larger picture{also}"


def _resized(source: Source) -> Source:
    """Return an array as it is taken where `size_px` is asked for."""
    return source._replace(own_size=False)
