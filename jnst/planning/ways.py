"""Which settings would let a run fit, and how large a picture each could have.

A way is counted from shapes, as `jnst.drivers.fits` does for a run that is about to
begin, and scaled by what XLA says of the plan itself: nothing more is compiled.
"""

import dataclasses
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from jnst.bench.measure import MIB
from jnst.bounds import SIDE
from jnst.drivers.fits import Need, largest_side, need_of, tiled_need
from jnst.drivers.plan import Plan
from jnst.drivers.stages import check_tiles_of
from jnst.planning.needs import Needs, kernel_bytes
from jnst.planning.targets import Target
from jnst.scale.memory import LARGEST, SMALLEST, tile_bytes
from jnst.scale.meshes import check_splits

MOST_DEVICES = 1024
LARGE_FROM = 256**2
"""Pixels from which a picture counts as large; see `scale_of`."""
Way = dict[str, Any]


class Scale(NamedTuple):
    """How bytes that are counted become those of a run.

    Attributes:
      factor: What XLA says a plan's arrays take, by what is counted.
      fixed: Bytes of the kernels and of the process, whatever the size.
      least: Bytes that compiling takes at its peak.
      free: Bytes there are on one device; None where nobody knows.
    """

    factor: float
    fixed: float
    least: float
    free: int | None

    def peak(self, need: Need) -> float:
        """Return the bytes of a run that needs so much."""
        return max(self.least, self.fixed + self.factor * need.total)

    @property
    def room(self) -> int | None:
        """Counted bytes that would fit; None where nobody knows."""
        if self.free is None:
            return None
        return max(0, int((self.free - self.fixed) / self.factor))


def scale_of(plan: Plan, needs: Needs, target: Target) -> Scale:
    """Find how far counting is from XLA's account of a plan.

    Of a small picture the difference is mostly what does not grow with it, as matrices
    of styles; of a large one mostly what does.
    """
    kernels, need = kernel_bytes(plan), need_of(plan)
    large = need.pixels >= LARGE_FROM
    over = needs.program - kernels - need.total
    factor = max(0.1, 1 + over / need.total) if large else 1.0
    fixed = kernels + needs.process + (0.0 if large else max(0.0, over))
    return Scale(factor, fixed, float(needs.highest), target.free)


def ways_of(plan: Plan, scale: Scale, target: Target) -> Iterator[Way]:
    """List ways to run a plan, itself first: what each needs, and what it could have.

    Args:
      plan: The plan, as it is.
      scale: From `scale_of`.
      target: Where it is to run.

    Yields:
      {"way", "peak_mib", "fits", "largest_size_px"}: a setting and its figures, None
      where they are not known; {"way", "refused"} where it cannot be.
    """
    fields = plan.recipe.objective
    yield _row("as it is", plan, scale, need_of(plan))
    if fields.dtype != "bfloat16":
        half = with_fields(plan, dtype="bfloat16")
        yield _row("dtype=bfloat16", half, scale, need_of(half))
    if plan.mesh is None and fields.tile_px == "none":
        yield _tiled(plan, scale)
    if plan.mesh is None and not target.shared:
        yield _split(plan, scale, target)


def with_fields(plan: Plan, **fields: Any) -> Plan:
    """Return a plan with other fields of its objective."""
    objective = dataclasses.replace(plan.recipe.objective, **fields)
    recipe = dataclasses.replace(plan.recipe, objective=objective)
    return dataclasses.replace(plan, recipe=recipe)


def _row(way: str, plan: Plan, scale: Scale, need: Need) -> Way:
    peak, room = scale.peak(need), scale.room
    side = None if room is None else largest_side(plan, room, need=need)
    return {
        "way": way,
        "peak_mib": peak / MIB,
        "fits": None if scale.free is None else peak <= scale.free,
        "largest_size_px": None if side is None else min(side, int(SIDE.high)),
    }


def _tiled(plan: Plan, scale: Scale) -> Way:
    """Return the row of tiles, as large as leave half of the room to the picture."""
    room, shape = scale.room, plan.stages[-1].shape
    tile = LARGEST
    while tile > SMALLEST and (
        2 * tile > max(shape) or (room is not None and 2 * tile_bytes(tile) > room)
    ):
        tile //= 2
    way, larger = f"tile_px={tile}", plan.stages[-1]._replace(shape=(2 * tile,) * 2)
    try:
        check_tiles_of(with_fields(plan, tile_px=tile), larger)
    except ValueError as error:
        return {"way": way, "refused": str(error)}
    return _row(way, plan, scale, tiled_need(plan, tile, math.prod(shape)))


def _split(plan: Plan, scale: Scale, target: Target) -> Way:
    """Return the row of a split over all devices, or over as many as it takes."""
    need, room, known = need_of(plan), scale.room, len(target.devices)
    count = max(2, known)
    while room is not None and count < MOST_DEVICES and need.total / count > room:
        count *= 2
    way = f"devices={count}" + ("" if count <= known else f" ({known} here)")
    try:
        check_splits(plan.recipe.objective, (count, 1), [plan.stages[-1].shape])
    except ValueError as error:
        return {"way": way, "refused": str(error)}
    return _row(way, plan, scale, need._replace(pixels=need.pixels / count))
