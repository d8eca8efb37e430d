"""Small raw maps that a loss is tried on, and the loss bound to them."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, PyTree

from jnst.examining import degenerate
from jnst.examining.subject import (
    Known,
    as_type,
    key_of,
    losses_and_pull,
    quick,
    raw_maps,
    raw_side,
    targets,
)
from jnst.objective.kinds import Part


def _made(
    height: int, width: int, channels: int, seed: int
) -> Mapping[str, np.ndarray]:
    return degenerate.maps(height, width, channels, seed=seed)


def _pictures(
    height: int, width: int, channels: int, seed: int
) -> Mapping[str, np.ndarray]:
    del channels
    found = degenerate.pictures(height, width, seed=seed)
    return {name: each[None].astype(np.float64) for name, each in found.items()}


def small_maps(
    part: Part, *, seed: int, even: bool = False
) -> dict[str, dict[str, np.ndarray]]:
    """Make the ordinary and the degenerate maps of a loss: pictures, of one on pixels.

    Args:
      part: From `raw_part`.
      seed: Seed of what is random.
      even: Whether they are square, so that they may be turned.
    """
    on_pixels = "image" in part.layers or part.kind == "image"
    make = _pictures if on_pixels else _made
    side = raw_side(part)

    def seeded(height: int, width: int, channels: int, n: int) -> Any:
        return make(height, width, channels, n + seed)

    return raw_maps(part, seeded, shape=(side, side if even else side - 2))


def scale_of(maps: PyTree) -> float:
    """Return the root mean square of all entries."""
    leaves = [np.asarray(leaf, np.float64).ravel() for leaf in jax.tree.leaves(maps)]
    return float(np.sqrt(np.mean(np.concatenate(leaves) ** 2)))


def bound(part: Part, dtype: Any, seed: int) -> Any:
    """Bind a loss to small maps of a type, in one program compiled in a hurry.

    Args:
      part: From `raw_part`.
      dtype: Type that maps are brought to.
      seed: Seed of the key of losses that sample.

    Returns:
      Function from maps and what they are held against to loss and gradient.
    """
    target_of, pull = quick(targets), quick(losses_and_pull)
    key = key_of(seed)

    def run(maps: Any, against: Any) -> tuple[float, Any]:
        against = as_type(against, dtype)
        target = target_of(Known(against, against), part)
        found, gradient = pull(as_type(maps, dtype), target, key, part)
        return float(np.sum(found)), gradient

    return run


def cosine(first: list[Array], second: list[Array]) -> float:
    """Return the cosine between two lists of arrays, in float64; NaN if one is 0."""
    ours, theirs = (
        np.concatenate([np.asarray(leaf, np.float64).ravel() for leaf in leaves])
        for leaves in (first, second)
    )
    norms = np.linalg.norm(ours) * np.linalg.norm(theirs)
    return float(ours @ theirs / norms) if norms > 0 else float("nan")
