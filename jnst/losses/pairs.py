"""What losses on pairs of positions share: unit vectors, sampling, matches in blocks.

Feature vectors are [n, C], a row for each position, in row-major order. A matrix of
all pairs of positions is never kept: at 512 px relu1_1 has 262144 positions, and
theirs would take 256 GiB. It is made a block at a time, `BLOCK_ENTRIES` at most.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jnst.base import matmul

Vectors = Float[Array, "_ _"]
Indices = Int[Array, "_"]
BLOCK_ENTRIES = 2**23
"""Pairs of positions looked at together: 32 MiB in float32."""
SHORTEST = 1e-8
"""Vectors below this length have no direction."""


def unit_vectors(vectors: Vectors) -> Vectors:
    """Divide rows by their lengths, safe to differentiate at 0.

    Args:
      vectors: Rows [n, C].

    Returns:
      [n, C + 1]: unit vectors, and a column of zeros. A zero row has no direction: its
      first C entries are 0 without gradient, and its last is 1. So two zero vectors
      are at cosine distance 0, a zero and another vector at 1, where the formula of
      every source is 0/0.
    """
    squares = jnp.sum(vectors**2, axis=1, keepdims=True)
    directed = squares > SHORTEST**2
    lengths = jnp.sqrt(jnp.where(directed, squares, 1))
    units = jnp.where(directed, vectors / lengths, 0)
    return jnp.concatenate([units, (~directed).astype(units.dtype)], axis=1)


def dots(rows: Vectors, others: Vectors) -> Vectors:
    """Take inner products of all rows with all others, [n, m].

    In full precision everywhere: what is left of 1 - cosine would drown in TF32.
    """
    return matmul(rows, others.T)


def cosine_distances(units: Vectors, others: Vectors) -> Float[Array, "_"]:
    """Compare unit vectors row by row: 1 - u_i . v_i, as half of |u_i - v_i|^2."""
    return jnp.sum((units - others) ** 2, axis=1) / 2


def drawn(key: Array | None, count: int, samples: int) -> Indices:
    """Draw positions without repetition.

    Args:
      key: PRNG key; all positions are taken without one.
      count: Number of positions to draw from.
      samples: How many to draw, 0 for all.

    Returns:
      Indices [samples], or [count] in order if nothing is to be left out.

    Raises:
      ValueError: If `samples` is below 0.
    """
    if samples < 0:
        raise ValueError(f"samples must be at least 0, got {samples}")
    if key is None or samples in (0, count) or samples > count:
        return jnp.arange(count)
    return jax.random.choice(key, count, (samples,), replace=False)


def block_rows(count: int, width: int) -> int:
    """Count the rows of a [count, width] matrix that make one block."""
    return min(count, max(1, BLOCK_ENTRIES // width))


def index_blocks(count: int, width: int) -> Int[Array, "_ _"]:
    """Split 0..count - 1 into equal blocks; the last index fills up the last block."""
    size = block_rows(count, width)
    blocks = -(-count // size)
    return jnp.minimum(jnp.arange(blocks * size), count - 1).reshape(blocks, size)


def best_matches(
    queries: Vectors,
    count: int,
    take: Callable[[Indices], Any],
    *,
    score: Callable[[Vectors, Any], Vectors] = dots,
) -> Indices:
    """Find for each query the candidate of highest score, without gradient.

    Args:
      queries: Rows [n, C].
      count: Number of candidates.
      take: Makes the candidates of some indices [b].
      score: Of n queries and b candidates, [n, b].

    Returns:
      Indices [n] in 0..count - 1, the first of equals.
    """
    queries = jax.lax.stop_gradient(queries)

    def step(best: tuple[Array, Array], indices: Indices) -> tuple[Any, None]:
        scores = score(queries, jax.lax.stop_gradient(take(indices)))
        highest, found = jnp.max(scores, axis=1), indices[jnp.argmax(scores, axis=1)]
        better = highest > best[0]
        chosen = jnp.where(better, highest, best[0]), jnp.where(better, found, best[1])
        return chosen, None

    indices = index_blocks(count, len(queries))
    lowest = jnp.full(len(queries), -jnp.inf, queries.dtype)
    start = lowest, jnp.zeros(len(queries), indices.dtype)
    return jax.lax.scan(step, start, indices)[0][1]


def nearest(units: Vectors, others: Vectors) -> Indices:
    """Find for each unit vector the other one of smallest cosine distance."""
    others = jax.lax.stop_gradient(others)
    return best_matches(units, len(others), lambda indices: others[indices])
