"""What a peer is, and when it computes the same as we do."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from jnst.bench.measure import Row, timings

Losses = dict[str, np.ndarray]
TOLERANCES = {"float32": (1e-4, 2), "bfloat16": (0.1, 1)}
"""Relative deviation allowed between a peer's loss and ours, and at how many steps.

In bfloat16 each side rounds elsewhere, and Adam's first step, which knows the sign of a
gradient alone, makes of it another image."""
WARMUP = max(steps for _, steps in TOLERANCES.values())
"""Calls of a peer that surely hold as many steps as are compared."""


class Peer(NamedTuple):
    """Another implementation, ready to run.

    Attributes:
      calls: Functions by name, each of which takes as many steps as ours and waits.
      check: Raises unless our losses {term: [N, steps]} are its own, to a tolerance.
      row: Makes fields of a row from the seconds of all calls and steps a call.
    """

    calls: dict[str, Callable[[], Any]]
    check: Callable[[Losses], None]
    row: Callable[[dict[str, list[float]], int], Row]


def check_agreement(name: str, ours: Losses, theirs: Losses, dtype: str) -> None:
    """Raise `FloatingPointError` unless two sides' terms agree at the first steps.

    Args:
      name: The peer, for the message.
      ours: {"loss" and terms: [N, steps]}.
      theirs: The same.
      dtype: Key of `TOLERANCES`, which hold for the loss and for every term.
    """
    rtol, steps = TOLERANCES[dtype]
    for term in sorted(ours):
        mine, other = ours[term][:, :steps], theirs[term][:, :steps]
        if not np.allclose(mine, other, rtol=rtol, atol=0):
            raise FloatingPointError(
                f"{name} does not compute the same: {term} of the first steps is "
                f"{mine.ravel().tolist()} here and {other.ravel().tolist()} there"
            )


def peer_fields(
    name: str, theirs: str, seconds: dict[str, list[float]], steps: int
) -> Row:
    """Make the fields of a row that every peer has.

    Args:
      name: What the row calls it.
      theirs: Its name among `seconds`.
      seconds: Of every call, by name, "jnst" among them.
      steps: Steps of a call.

    Returns:
      Its times in ms a step, and "ratio", the median of ours / theirs by pairs.
    """
    found = timings(seconds[theirs], steps)
    ratios = np.divide(seconds["jnst"], seconds[theirs])
    return {
        "peer": name,
        "peer_step_ms": found["step_ms"],
        "peer_step_ms_deciles": found["step_ms_deciles"],
        "peer_samples_ms": found["samples_ms"],
        "ratio": float(np.median(ratios)),
    }
