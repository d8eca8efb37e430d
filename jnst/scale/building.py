"""An objective whose steps work through the image in tiles, or one without."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, PyTree

from jnst.objective import making
from jnst.objective.features import Network
from jnst.objective.fields import ObjectiveFields
from jnst.objective.kinds import Part
from jnst.objective.making import Pictures, make_structure, make_targets, weight_arrays
from jnst.objective.turns import Turns, shifts_of
from jnst.objective.value import Objective, Structure
from jnst.program import compiled
from jnst.scale.evaluation import on_image
from jnst.scale.memory import tile_for
from jnst.scale.refusals import check_tiles
from jnst.scale.running import run
from jnst.scale.targets import of_content, of_styles, rolled

MOST_KEPT = 2**30
"""Bytes of the content's targets at all shifts up to which they are kept; beyond, each
step computes its own anew, which takes a third of its time."""


def build(
    fields: ObjectiveFields,
    extract: PyTree,
    pictures: Pictures,
    start: PyTree,
    *,
    mesh: Mesh | None = None,
) -> tuple[Objective, float]:
    """Make an objective, as `jnst.objective.making.build` does, with tiles if asked.

    Raises:
      ValueError: Also for what tiles do not serve; see `jnst.scale.refusals`.
    """
    tile_px, structure = 0, make_structure(fields, pictures, extract)
    if mesh is None and fields.tile_px != "none":
        tile_px = tile_for(fields.tile_px, structure.batch, start.shape)
    if not tile_px:
        return making.build(fields, extract, pictures, start, mesh=mesh)
    check_tiles(structure, extract)
    return _build(fields, extract, pictures, start, structure, tile_px)


def _build(
    fields: ObjectiveFields,
    extract: Network,
    pictures: Pictures,
    start: PyTree,
    structure: Structure,
    tile_px: int,
) -> tuple[Objective, float]:
    parts = structure.parts
    deep = tuple(part for part in parts if not on_image(part))
    flat = tuple(part for part in parts if on_image(part))
    seconds, targets = 0.0, {}
    if flat:
        given = extract, pictures, structure._replace(parts=flat)
        program, seconds = compiled(make_targets, given[:2], static=given[2:])
        targets |= program(*given)
    styled = tuple(part for part in deep if part.kind == "style")
    several = list(pictures.styles), pictures.shares
    targets |= of_styles(run, extract, *several, styled, tile_px)
    contents = tuple(part for part in deep if part.kind == "content")
    turns = None
    if contents:
        if pictures.content is None:
            raise ValueError(f"term {contents[0].name!r} needs a content image")
        targets |= of_content(run, extract, pictures.content, contents, tile_px)
    if fields.shift_px > 1:
        turns = _turns(
            fields.shift_px, extract, pictures.content, contents, targets, tile_px
        )
        if turns.content is not None:
            targets = {k: v for k, v in targets.items() if k not in _names(contents)}
    structure = structure._replace(tile_px=tile_px)
    rest = *weight_arrays(fields.terms), pictures.shares, start, structure
    return Objective(extract, targets, *rest, turns), seconds


def _names(parts: tuple[Part, ...]) -> list[str]:
    return [part.name for part in parts]


def _turns(
    shift_px: int,
    network: Network,
    content: Array | None,
    parts: tuple[Part, ...],
    first: dict[str, Any],
    tile_px: int,
) -> Turns:
    """Compute the content's targets at every shift, or keep the content for that."""
    shifts = shifts_of(shift_px)
    own = {name: first[name] for name in _names(parts)}
    size = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(own))
    if content is None or not parts:
        return Turns(jax.device_put(shifts), {})
    if size * len(shifts) > MOST_KEPT:
        return Turns(jax.device_put(shifts), {}, content)
    room = run(rooms, own, static=(len(shifts),))
    for number, shift in enumerate(shifts):
        at = jax.device_put(np.int32(number))
        if number:
            seen = run(rolled, content, jax.device_put(shift))
            own = of_content(run, network, seen, parts, tile_px)
        room = run(stored, room, own, at, donated=(0,))
    return Turns(jax.device_put(shifts), room)


def rooms(like: PyTree, count: int) -> PyTree:
    """Return zeros for so many trees."""
    return jax.tree.map(lambda x: jnp.zeros((count, *x.shape), x.dtype), like)


def stored(room: PyTree, tree: PyTree, at: Array) -> PyTree:
    """Store a tree among others, in place."""
    return jax.tree.map(lambda all_, x: all_.at[at].set(x), room, tree)
