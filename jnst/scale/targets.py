"""Targets of pictures that are looked at in tiles.

They are those of an objective without tiles: a picture no larger than a tile is looked
at as a whole, and so is the last piece of a larger one.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
from jaxtyping import Array

from jnst.base import FeatureMap, Features, Image, Statistic
from jnst.losses.pooled import Pooled
from jnst.losses.rows import with_options
from jnst.objective.features import Network
from jnst.objective.kinds import Part, mixed, statistics
from jnst.objective.turns import Turns
from jnst.objective.value import Objective
from jnst.scale.evaluation import (
    go_forward,
    layers_of,
    on_image,
    pieces_of,
    within,
)
from jnst.scale.running import Run, Whole
from jnst.scale.windows import Piece

ByTerm = dict[str, dict[str, Statistic]]


def statistics_of(moments: dict[str, Pooled], parts: tuple[Part, ...]) -> ByTerm:
    """Make {term: {layer: statistic}} of style terms from moments."""
    found: ByTerm = {}
    for part in parts:
        make = with_options(part.row.moments, dict(part.options))
        found[part.name] = {layer: make(moments[layer]) for layer in part.layers}
    return found


def statistics_at(
    network: Network, source: FeatureMap, piece: Piece, parts: tuple[Part, ...]
) -> ByTerm:
    """Compute {term: {layer: statistic}} of a piece that is seen whole."""
    layers = layers_of(parts)
    found = network.section(source, layers, after=piece.section.after)
    return {part.name: statistics(part, found) for part in parts}


def blended(
    each: list[dict[str, Statistic]], shares: Array, part: Part
) -> tuple[Any, ...]:
    """Join the statistics of several styles, where a term says so."""
    return mixed(part, tuple(each), shares)


def of_style(
    run: Run, network: Network, style: Whole, parts: tuple[Part, ...], tile_px: int
) -> dict[str, dict[str, Whole]]:
    """Compute the statistics of a style image for style terms."""
    layers = layers_of(parts)
    pieces = pieces_of(network, layers, (style.shape[1], style.shape[2]), tile_px)
    last = pieces[-1] if pieces[-1].whole else None
    tiled = pieces[:-1] if last else pieces
    wanted = [k for piece in tiled for k in piece.section.layers]
    seen = go_forward(run, network, style, pieces, moments=wanted, keep=False)
    here = within(parts, wanted)
    found = run(statistics_of, seen.moments, static=(here,)) if here else {}
    late = within(parts, last.section.layers) if last else ()
    if last and late:
        bare = last._replace(places=())
        more = run(statistics_at, network, seen.sources[-1], static=(bare, late))
        names = [part.name for part in parts]
        found = {k: {**found.get(k, {}), **more.get(k, {})} for k in names}
    return {p.name: {k: found[p.name][k] for k in p.layers} for p in parts}


def of_styles(
    run: Run,
    network: Network,
    styles: Sequence[Whole],
    shares: Whole,
    parts: tuple[Part, ...],
    tile_px: int,
) -> dict[str, Whole]:
    """Compute the targets of style terms."""
    if not parts:
        return {}
    each = [of_style(run, network, style, parts, tile_px) for style in styles]
    return {
        part.name: (run(blended, [x[part.name] for x in each], shares, static=(part,)),)
        for part in parts
    }


def made(maps: Features, part: Part) -> Features:
    """Make a content term's targets of the content's features."""
    target = with_options(part.row.target, dict(part.options))
    return {layer: target(maps[layer], None) for layer in part.layers}


def of_content(
    run: Run, network: Network, pixels: Whole, parts: tuple[Part, ...], tile_px: int
) -> dict[str, Whole]:
    """Compute the targets of content terms.

    Args:
      run: How to call.
      network: The network.
      pixels: Content image in [0, 1], rolled as the step sees it.
      parts: The terms.
      tile_px: Side of a tile.
    """
    layers = layers_of(parts)
    if not layers:
        return {}
    pieces = pieces_of(network, layers, (pixels.shape[1], pixels.shape[2]), tile_px)
    seen = go_forward(run, network, pixels, pieces, maps=layers, keep=False)
    return {part.name: (run(made, seen.maps, static=(part,)),) for part in parts}


def with_content(
    objective: Objective, turns: Turns, step: Whole, *, run: Run
) -> Objective:
    """Give an objective the content's targets at its shift: computed, or read again.

    Args:
      objective: Of one step.
      turns: With the content, and with what is kept.
      step: Number of the step.
      run: How to call.
    """
    parts = tuple(
        part
        for part in objective.structure.parts
        if part.kind == "content" and not on_image(part)
    )
    kept = turns.kept if isinstance(step, jax.Array) else None
    number = int(step) % len(turns.shifts) if kept else 0
    targets = kept.get(number) if kept else None
    if targets is None:
        tile_px = objective.structure.tile_px
        seen = run(rolled, turns.content, objective.shift)
        targets = of_content(run, objective.extract, seen, parts, tile_px)
        if kept:
            kept.put(number, targets)
    return dataclasses.replace(objective, targets={**objective.targets, **targets})


def rolled(image: Image, shift: Array) -> Image:
    """Roll an image by rows and columns."""
    return jax.numpy.roll(image, shift, (1, 2))
