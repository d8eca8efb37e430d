"""Loss and gradient of an image, tile by tile: the same as of the whole.

The first pass goes forward: it keeps the maps between pieces and adds up each layer's
moments. Then the style's distances and their derivatives by the moments are known, and
the second pass takes every tile's gradient with these fixed, from the last piece to the
first. The loop over tiles is Python's: XLA's CPU runs convolutions in the body of its
own loops almost three times slower.

References:
  Galerne, Raad, Lezama & Morel, "Scaling Painting Style Transfer", arXiv 2212.13459:
  the two passes. There tiles go through the whole network; the pieces are ours, with
  margins of a few positions in place of ninety pixels.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax

from jnst.losses.pooled import Pooled
from jnst.network.layers import IMAGE_LAYER, backbone_of
from jnst.objective.features import Network
from jnst.objective.kinds import Part
from jnst.objective.value import Objective
from jnst.scale.running import Run, Whole, run
from jnst.scale.tiles import Seeds, place_of, pull, see, shape_of
from jnst.scale.whole import (
    begun,
    blank,
    ended,
    last_piece,
    nothing,
    on_pixels,
    styles,
)
from jnst.scale.windows import Piece, lay_out


def on_image(part: Part) -> bool:
    """Tell whether a term looks at pixels alone."""
    return part.kind == "image" or set(part.layers) == {IMAGE_LAYER}


def layers_of(parts: Sequence[Part]) -> tuple[str, ...]:
    """List the network's layers that terms look at."""
    layers = [k for part in parts for k in part.layers if k != IMAGE_LAYER]
    return tuple(dict.fromkeys(layers))


def within(parts: Sequence[Part], layers: Sequence[str]) -> tuple[Part, ...]:
    """Restrict terms to some layers; those that have none of them are left out."""
    found = [
        part._replace(layers=tuple(k for k in part.layers if k in layers))
        for part in parts
        if part.layers
    ]
    return tuple(part for part in found if part.layers)


def pieces_of(
    network: Network, layers: Sequence[str], shape: tuple[int, int], tile_px: int
) -> list[Piece]:
    """Cut a network for an image of a shape; see `lay_out`."""
    ceil = network.options.pooling_ceil
    backbone = backbone_of(network.params)
    return lay_out(backbone, layers, shape, tile_px=tile_px, ceil=ceil)


class Seen(NamedTuple):
    """What the first pass finds.

    Attributes:
      sources: Input of each piece, whole.
      maps: Maps that were asked for.
      moments: Of each layer that was asked for.
    """

    sources: list[Whole]
    maps: dict[str, Whole]
    moments: dict[str, Pooled]


def go_forward(
    run: Run,
    network: Network,
    pixels: Whole,
    pieces: Sequence[Piece],
    *,
    moments: Sequence[str] = (),
    maps: Sequence[str] = (),
    keep: bool = True,
) -> Seen:
    """Go forward through pieces, window by window.

    Args:
      run: How to call.
      network: The network.
      pixels: What it sees, in [0, 1].
      pieces: From `pieces_of`, or the first of them.
      moments: Layers whose moments are asked for.
      maps: Layers that are asked for whole.
      keep: Whether the inputs of pieces are wanted.
    """
    seen = Seen([pixels], {}, {})
    for number, piece in enumerate(pieces):
        section, source = piece.section, seen.sources[-1]
        wanted = [k for k in section.layers if k in maps]
        more = [] if piece is pieces[-1] else [section.end]
        shape = functools.partial(shape_of, network, piece)
        dtype = network.options.dtype
        found = {k: run(blank, static=(shape(k), dtype)) for k in (*wanted, *more)}
        asked = [k for k in section.layers if k in moments]
        sums = {k: run(nothing, static=(shape(k)[-1],)) for k in asked}
        if not found and not sums:
            break
        bare = piece._replace(places=())
        for place in piece.places:
            arguments = network, source, found, sums, place_of(*place)
            found, sums = run(see, *arguments, static=(bare,), donated=(2, 3))
        jax.block_until_ready((found, sums))
        seen.moments.update(sums)
        seen.maps.update({k: found[k] for k in wanted})
        if not keep:
            seen.sources[number] = None
        if more:
            seen.sources.append(found[section.end])
    return seen


def evaluate(
    objective: Objective, image: Whole, key: Whole, *, run: Run = run
) -> tuple[Whole, Whole, Whole]:
    """Compute loss, gradient and terms of an image, tile by tile.

    Args:
      objective: Of one picture and one step, its `structure.tile_px` a number.
      image: Image in the optimiser's scale, [1, H, W, 3].
      key: PRNG key of this step.
      run: How to call what is computed.

    Returns:
      The loss; its derivative, of the image's shape; and the weighted terms.
    """
    structure, network = objective.structure, objective.extract
    size = (image.shape[1], image.shape[2])
    flat = tuple(part for part in structure.parts if on_image(part))
    deep = tuple(part for part in structure.parts if not on_image(part))
    pixels, factors = run(begun, objective, image)
    several, direct, back = [], None, None
    if deep:
        pieces = pieces_of(network, layers_of(deep), size, structure.tile_px)
        found, back = _through(run, objective, pixels, factors, key, pieces, deep, size)
        several += found
    del pixels
    if flat:  # last, when no map fills the memory
        given = objective, image, factors, key
        found, direct = run(on_pixels, *given, static=(flat,))
        several.append(found)
    return run(ended, objective, direct, back, several)


def _through(
    run: Run,
    objective: Objective,
    pixels: Whole,
    factors: Whole,
    key: Whole,
    pieces: list[Piece],
    parts: tuple[Part, ...],
    size: tuple[int, int],
) -> tuple[list[Whole], Whole]:
    """Go through the network and back."""
    network, several, gradient = objective.extract, [], None
    last = pieces[-1] if pieces[-1].whole else None
    tiled = pieces[:-1] if last else pieces
    styled = tuple(part for part in parts if part.kind == "style")
    layers = [k for piece in tiled for k in piece.section.layers]
    wanted = layers_of(within(styled, layers))
    # The last piece is looked at by a program of its own, which wants its input.
    seen = go_forward(run, network, pixels, pieces, moments=wanted)
    if last:
        here = within(parts, last.section.layers)
        rest = last._replace(places=()), here, size
        source = seen.sources.pop()
        given = objective, source, factors, key
        terms, gradient = run(last_piece, *given, static=rest)
        del given
        several.append(terms)
        del source
    here = within(styled, wanted)
    given = objective, seen.moments, factors, key
    terms, pulls = run(styles, *given, static=(here, size))
    several.append(terms)
    local = tuple(part for part in parts if part.kind == "content")
    for piece in reversed(tiled):
        here = within(local, piece.section.layers)
        moments = {k: seen.moments[k] for k in piece.section.layers if k in wanted}
        seeds = Seeds(
            gradient,
            moments,
            {k: pulls[k] for k in moments},
            {
                p.name: {k: objective.targets[p.name][0][k] for k in p.layers}
                for p in here
            },
            {p.name: factors[p.name] for p in here},
        )
        gradient, terms = _pulled(run, network, seen.sources.pop(), seeds, piece, here)
        several.append(terms)
    return several, gradient


def _pulled(
    run: Run,
    network: Network,
    source: Whole,
    seeds: Seeds,
    piece: Piece,
    parts: tuple[Part, ...],
) -> tuple[Whole, Whole]:
    """Pull a piece's windows back, one by one."""
    gradient = run(blank, static=(source.shape, str(source.dtype)))
    terms = {part.name: run(blank, static=((), "float32")) for part in parts}
    bare = piece._replace(places=())
    for place in piece.places:
        arguments = network, source, gradient, terms, seeds, place_of(*place)
        gradient, terms = run(pull, *arguments, static=(bare, parts), donated=(2, 3))
    jax.block_until_ready((gradient, terms))
    return gradient, terms
