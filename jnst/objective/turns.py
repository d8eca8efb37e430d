"""The steps of a run see the image shifted in turn, so that no pooling grid shows.

Max pooling looks at fixed windows: what suits the windows' phase is left in smooth
areas as a grid of dots and lines. With every step the network sees the image rolled by
another few pixels; the gradient rolls back. Statistics of a style do not see it; the
content's features are computed once for each shift.
"""

import dataclasses
import functools
from collections.abc import Callable, Container, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PyTree

from jnst.objective.kinds import Part
from jnst.objective.term import OWN


class Turns(NamedTuple):
    """What differs from step to step.

    Attributes:
      shifts: Rows and columns by which the image is rolled, in turn, [K, 2].
      targets: {content term: targets of each shift}, with an axis of K in front, after
        that of a batch.
      content: Content image [1, H, W, 3] in [0, 1], where a step computes its targets
        anew: those of all shifts would fill the memory; else None.
      kept: `jnst.scale.spilling.Spilled` of these targets, so that each shift's are
        computed once; None for none.
    """

    shifts: Int[Array, "k 2"]
    targets: dict[str, PyTree]
    content: PyTree = None
    kept: PyTree = None

    def first(self, batched: Container[str]) -> dict[str, PyTree]:
        """Return the targets of the first shift, which is none."""

        def one(name: str) -> PyTree:
            axis = int(name in batched)
            first = functools.partial(jax.lax.index_in_dim, index=0, axis=axis)
            return jax.tree.map(lambda x: first(x, keepdims=False), self.targets[name])

        return {name: one(name) for name in self.targets}


def shifts_of(shift_px: int) -> np.ndarray:
    """List shifts below `shift_px`: rows in order, columns by reversed bits.

    Powers of two give every row and every column once, and the four places of a window
    of 2x2 equally often.

    Args:
      shift_px: Pixels.

    Returns:
      Rows and columns, int32 [shift_px, 2].

    References:
      J. M. Hammersley, "Monte Carlo methods for solving multivariable problems", 1960;
      columns are van der Corput's sequence times `shift_px`.
    """
    rows = np.arange(shift_px)
    bits = range(int(shift_px - 1).bit_length())
    columns = sum((rows >> bit & 1) / 2 ** (bit + 1) for bit in bits) * shift_px
    return np.stack([rows, np.asarray(columns, np.int64)], axis=1).astype(np.int32)


def make_turns(
    shift_px: int,
    parts: Sequence[Part],
    targets_at: Callable[[Array], dict[str, PyTree]],
    batched: Container[str],
) -> Turns | None:
    """Compute the content's targets at every shift.

    Args:
      shift_px: Steps shift the image by less; 0 and 1 are none.
      parts: Of the terms. Where one is a function of features there are no shifts: it
        may compare positions.
      targets_at: From a shift [2] to {content term: targets}.
      batched: Names of the terms whose targets have the axis of a batch.

    Returns:
      None where steps do not shift the image.
    """
    own = any(part.kind == OWN and part.layers != ("image",) for part in parts)
    if shift_px <= 1 or own:
        return None
    shifts = shifts_of(shift_px)
    found = [targets_at(jax.device_put(shift)) for shift in shifts]
    together = {
        name: _stacked([each[name] for each in found], int(name in batched))
        for name in found[0]
    }
    return Turns(jax.device_put(shifts), together)


def _stacked(trees: list[PyTree], axis: int) -> PyTree:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves, axis), *trees)


def at_turn(objective: Any, step: Int[Array, ""]) -> Any:
    """Return the objective of a step, of one picture; itself where nothing turns."""
    turns = objective.turns
    if turns is None:
        return objective
    shift, targets = taken(turns, step)
    targets = objective.targets | targets
    return dataclasses.replace(objective, targets=targets, shift=shift, turns=None)


def taken(turns: Turns, step: Int[Array, ""]) -> tuple[Array, dict[str, PyTree]]:
    """Return the shift of a step, and the content's targets there."""
    at = step % len(turns.shifts)
    return jax.tree.map(
        lambda leaf: jax.lax.dynamic_index_in_dim(leaf, at, keepdims=False),
        (turns.shifts, turns.targets),
    )
