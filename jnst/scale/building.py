"""An objective whose steps work through the image in tiles, or one without."""

import functools

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
from jnst.scale.evaluation import layers_of, on_image
from jnst.scale.memory import MOST_KEPT, tile_for
from jnst.scale.refusals import check_tiles
from jnst.scale.running import Compiling, Run, Whole, run
from jnst.scale.spilling import Spilled
from jnst.scale.targets import of_content, of_styles, rolled


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
    compiling, structure = Compiling(), structure._replace(tile_px=tile_px)
    given = fields, extract, pictures, start, structure
    tiled(compiling, *given)
    return tiled(run, *given), compiling.seconds


def tiled(
    run: Run,
    fields: ObjectiveFields,
    extract: Network,
    pictures: Pictures,
    start: PyTree,
    structure: Structure,
) -> Objective:
    """Make an objective with tiles.

    Args:
      run: How programs are called.
      fields: What is compared.
      extract: The network.
      pictures: What it is compared with.
      start: What a run begins with.
      structure: Its `tile_px` is a number.

    Raises:
      ValueError: If a term needs a content image.
    """
    deep = tuple(part for part in structure.parts if not on_image(part))
    flat = tuple(part for part in structure.parts if on_image(part))
    styled = tuple(part for part in deep if part.kind == "style")
    contents = tuple(part for part in deep if part.kind == "content")
    if contents and pictures.content is None:
        raise ValueError(f"term {contents[0].name!r} needs a content image")
    tile_px, shift_px = structure.tile_px, fields.shift_px
    several = list(pictures.styles), pictures.shares, styled, tile_px
    targets = of_styles(run, extract, *several)
    content = pictures.content, contents, tile_px, shift_px
    more, turns = _contents(run, extract, *content)
    if flat:
        seen = structure._replace(parts=flat)
        targets |= run(make_targets, extract, pictures, static=(seen,))
    rest = *weight_arrays(fields.terms), pictures.shares, start, structure
    return Objective(extract, {**targets, **more}, *rest, turns)


def _contents(
    run: Run,
    network: Network,
    content: Whole,
    parts: tuple[Part, ...],
    tile_px: int,
    shift_px: int,
) -> tuple[dict[str, PyTree], Turns | None]:
    """Compute the content's targets, at every shift; or keep the content for that."""
    if shift_px <= 1:
        return of_content(run, network, content, parts, tile_px), None
    shifts = jax.device_put(shifts_of(shift_px))
    if content is None or not parts:
        return {}, Turns(shifts, {})
    layers = layers_of(parts)
    like = jax.eval_shape(functools.partial(network, layers=layers), content)
    size = sum(like[k].size * like[k].dtype.itemsize for p in parts for k in p.layers)
    if size * len(shifts) > MOST_KEPT:
        kept = Spilled(len(shifts)) if jax.default_backend() == "cpu" else None
        return {}, Turns(shifts, {}, content, kept)
    room = None
    for number, shift in enumerate(shifts_of(shift_px)):
        seen = run(rolled, content, jax.device_put(shift))
        own = of_content(run, network, seen, parts, tile_px)
        room = run(rooms, own, static=(len(shifts),)) if room is None else room
        at = jax.device_put(np.int32(number))
        room = run(stored, room, own, at, donated=(0,))
    return run(firsts, room), Turns(shifts, room or {})


def rooms(like: PyTree, count: int) -> PyTree:
    """Return zeros for so many trees."""
    return jax.tree.map(lambda x: jnp.zeros((count, *x.shape), x.dtype), like)


def stored(room: PyTree, tree: PyTree, at: Array) -> PyTree:
    """Store a tree among others, in place."""
    return jax.tree.map(lambda all_, x: all_.at[at].set(x), room, tree)


def firsts(room: PyTree) -> PyTree:
    """Return the first of the trees that are stored."""
    return jax.tree.map(lambda x: x[0], room)
