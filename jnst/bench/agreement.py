"""What a peer is, and when it computes the same as we do."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from jnst.bench.measure import Row, timings

Losses = dict[str, np.ndarray]
TOLERANCES: dict[str, tuple[tuple[float, float], ...]] = {
    "float32": ((1e-5, 1e-5), (1e-4, math.inf)),
    "bfloat16": ((0.1, 0.1),),
}
"""Relative deviation allowed between a peer and us at each of the first steps: of the
loss, and of every term.

Adam's first step is as long wherever there is a gradient, and its sign is all that
counts: where it is nearly 0, rounding decides. PyTorch's own two layouts part by 7e-5
in the content's term at the second step (128 px, PyTorch 2.13, AVX2), where the loss,
which is what is minimised, parts by 2e-5. In bfloat16 each side rounds elsewhere, and
that first step makes another image of it."""
WARMUP = max(map(len, TOLERANCES.values()))
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
      dtype: Key of `TOLERANCES`.
    """
    known = min(next(iter(side.values())).shape[1] for side in (ours, theirs))
    for step, (of_loss, of_terms) in enumerate(TOLERANCES[dtype][:known]):
        for term in sorted(ours):
            mine, other = ours[term][:, step], theirs[term][:, step]
            allowed = of_loss if term == "loss" else of_terms
            if (np.abs(mine - other) <= allowed * np.abs(other)).all():
                continue
            raise FloatingPointError(
                f"{name} does not compute the same: {term} before step {step + 1} is "
                f"{mine.tolist()} here and {other.tolist()} there"
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
