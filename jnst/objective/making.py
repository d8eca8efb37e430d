"""From fields and pictures to an objective, compiled as one program.

Pictures are RGB in [0, 1], [1, H, W, 3] each; those of a batch have one axis more, in
front. Only what is compared decides the structure: no number that may be an array.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, PyTree

from jnst.objective.features import Own, look
from jnst.objective.fields import ObjectiveFields, active_terms
from jnst.objective.kinds import KINDS, Part
from jnst.objective.term import OWN, TABLES, Term, kind_of
from jnst.objective.turns import Turns, make_turns
from jnst.objective.value import Objective, Structure
from jnst.program import compiled, forget
from jnst.splitting import BATCH, kept, put


class Pictures(NamedTuple):
    """What an objective compares with.

    Attributes:
      content: Content image [1, H, W, 3], or [N, 1, H, W, 3]; None for a texture.
      styles: Style images, each the same, of any size.
      shares: Weight of each style, summing to 1.
    """

    content: Array | None
    styles: Sequence[Array]
    shares: Array

    @property
    def batch(self) -> int | None:
        """Number of pictures in a batch; None for one."""
        several = [x for x in (self.content, *self.styles) if x is not None]
        return next((len(x) for x in several if x.ndim == 5), None)


def part_of(term: Term, extract: PyTree) -> Part:
    """Take from a term what is compiled; its row as the table has it now.

    Raises:
      ValueError: If a function has no layers to look at.
    """
    kind = kind_of(term.loss)
    row = term.loss if kind == OWN else TABLES[kind][str(term.loss)]
    if kind == OWN and not term.layers and not isinstance(extract, Own):
        raise ValueError(
            f"term {term.name!r} is a function: name the layers it looks at, as in "
            f"Term({term.name!r}, function, ('relu3_1',)), or 'image' for pixels"
        )
    loss = getattr(term.loss, "__name__", type(term.loss).__name__)
    loss = term.loss if isinstance(term.loss, str) else loss
    kept = term.layers, term.options, term.pyramid, term.blend
    return Part(term.name, kind, loss, row, *kept)


def _batched(part: Part, pictures: Pictures) -> bool:
    """Tell whether a term's targets differ within a batch."""
    contents = pictures.content is not None and pictures.content.ndim == 5
    styles = any(style.ndim == 5 for style in pictures.styles)
    if part.kind == "style":
        return styles
    if part.kind == "content":
        return contents or (part.row.needs_style and styles)
    return part.kind == "image" and part.row.constants is not None and contents


def make_structure(
    fields: ObjectiveFields,
    pictures: Pictures,
    extract: PyTree,
    *,
    mesh: Mesh | None = None,
) -> Structure:
    """Return what a program for these fields, pictures and devices is compiled for."""
    parts = tuple(part_of(term, extract) for term in active_terms(fields.terms))
    return Structure(
        parts,
        fields.pixel_scale,
        fields.normalize_gradients,
        fields.diagnostics,
        pictures.batch,
        tuple(part.name for part in parts if _batched(part, pictures)),
        mesh,
    )


def weight_arrays(terms: Sequence[Term]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the factors of terms and of their layers as float32 arrays.

    A weight that is still to be balanced is 1.
    """
    weights, layers = {}, {}
    for term in active_terms(terms):
        weight = 1.0 if isinstance(term.weight, str) else term.weight
        weights[term.name] = jax.device_put(np.float32(weight))
        if term.layers and kind_of(term.loss) != OWN:
            equal = [1 / len(term.layers)] * len(term.layers)
            shares = np.asarray(term.layer_weights or equal, np.float32)
            layers[term.name] = jax.device_put(shares)
    return weights, layers


def targets_of(
    structure: Structure, content: Any, styles: Sequence[Any], shares: Array
) -> dict[str, PyTree]:
    """Compute every term's targets from what the terms see of the pictures."""
    return {
        part.name: KINDS[part.kind].targets(part, content, styles, shares)
        for part in structure.parts
    }


def make_targets(
    extract: PyTree, pictures: Pictures, structure: Structure
) -> dict[str, PyTree]:
    """Compute every term's targets, for each member of a batch if there is one.

    Args:
      extract: The extractor.
      pictures: The pictures.
      structure: From `make_structure` of the same.

    Returns:
      {term: targets}, with the axis of the batch where `structure.batched` says so.
    """
    return _targets(extract, pictures, None, structure)


def content_targets(
    extract: PyTree, pictures: Pictures, shift: Array, structure: Structure
) -> dict[str, PyTree]:
    """Compute `make_targets` of the content terms alone, of a shifted content."""
    parts = tuple(part for part in structure.parts if part.kind == "content")
    if not parts:
        return {}
    return _targets(extract, pictures, shift, structure._replace(parts=parts))


def _targets(
    extract: PyTree, pictures: Pictures, shift: Array | None, structure: Structure
) -> dict[str, PyTree]:
    parts, mesh = structure.parts, structure.mesh
    by_name = [part.name for part in parts if part.kind == "style"]
    by_style = [p for p in parts if p.kind == "style" or _needs_style(p)]
    by_content = [p for p in parts if p.kind in ("content", "image")]

    def one(content: Array | None, styles: Sequence[Array]) -> dict[str, PyTree]:
        view = None
        if content is not None and by_content:
            how = {"shift": shift, "mesh": mesh}
            view = look(extract, content, content, by_content, **how)
        seen = styles if by_style else []
        views = [look(extract, s, s, by_style, mesh=mesh) for s in seen]
        found = targets_of(structure, view, views, pictures.shares)
        return {k: kept(v, mesh, whole=k in by_name) for k, v in found.items()}

    content, styles = pictures.content, list(pictures.styles)
    if structure.batch is None:
        return one(content, styles)
    axes = [0 if x is not None and x.ndim == 5 else None for x in (content, *styles)]
    out = {part.name: 0 if part.name in structure.batched else None for part in parts}
    how: Any = {"in_axes": (axes[0], axes[1:]), "out_axes": out}
    how["spmd_axis_name"] = BATCH if mesh else None
    return jax.vmap(one, **how)(content, styles)


def _needs_style(part: Part) -> bool:
    return part.kind == "content" and part.row.needs_style


def _called(function: Callable[..., Any], *arguments: Any) -> dict[str, PyTree]:
    return function(*arguments)


def targets_and_turns(
    shift_px: int,
    extract: PyTree,
    pictures: Pictures,
    structure: Structure,
    *,
    run: Callable[..., dict[str, PyTree]] = _called,
) -> tuple[dict[str, PyTree], Turns | None]:
    """Compute every term's targets, and those of the content at every shift.

    Args:
      shift_px: As in `jnst.objective.turns.make_turns`.
      extract: The extractor.
      pictures: The pictures.
      structure: From `make_structure` of the same.
      run: Calls a function with its arguments, the last of which is static.
    """

    def at(shift: Array) -> dict[str, PyTree]:
        return run(content_targets, extract, pictures, shift, structure)

    turns = make_turns(shift_px, structure.parts, at, structure.batched)
    first = turns.first(structure.batched) if turns else {}
    rest = tuple(part for part in structure.parts if part.name not in first)
    if not rest:
        return first, turns
    others = run(make_targets, extract, pictures, structure._replace(parts=rest))
    return first | others, turns


def _spread(tree: PyTree, structure: Structure) -> Any:
    """Bring pictures to the devices; those of a batch have one axis more."""
    if structure.mesh is None:
        return tree

    def one(leaf: Any) -> Any:
        batch = structure.batch if np.ndim(leaf) == 5 else None
        return put(leaf, structure.mesh, batch=batch)

    return jax.tree.map(one, tree)


def build(
    fields: ObjectiveFields,
    extract: PyTree,
    pictures: Pictures,
    start: PyTree,
    *,
    mesh: Mesh | None = None,
) -> tuple[Objective, float]:
    """Make an objective.

    Args:
      fields: What is compared.
      extract: The extractor, its kernels prepared.
      pictures: What it is compared with.
      start: What a run begins with.
      mesh: Devices to split it over; None for one. All is brought there.

    Returns:
      The objective, whose arrays may still be being computed; and the seconds of
      compiling.

    Raises:
      ValueError: If a picture is too small for a layer, or a loss cannot be computed.
    """
    structure = make_structure(fields, pictures, extract, mesh=mesh)
    pictures, start = (_spread(x, structure) for x in (pictures, start))
    factors = weight_arrays(fields.terms)
    extract, weights, layers = put((extract, *factors), mesh, whole=True)
    programs: dict[Callable[..., Any], tuple[Any, float]] = {}

    def run(function: Callable[..., Any], *arguments: Any) -> dict[str, PyTree]:
        *given, static = arguments
        if function not in programs:
            programs[function] = compiled(function, tuple(given), static=(static,))
        return programs[function][0](*arguments)

    made = targets_and_turns(fields.shift_px, extract, pictures, structure, run=run)
    for program, _ in programs.values():
        forget(program)
    rest = weights, layers, pictures.shares, start, structure
    seconds = sum(spent for _, spent in programs.values())
    return Objective(extract, made[0], *rest, made[1]), seconds
