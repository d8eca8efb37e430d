"""Losses of a run step by step, and what is told when one of them is not finite."""

from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Array

from jnst.loop.state import State
from jnst.objective.value import Objective
from jnst.splitting import fetched

History = dict[str, np.ndarray]
"""Losses by term: [steps], or [N, steps] for a batch."""


def join(histories: Sequence[History]) -> History:
    """Concatenate the histories of chunks."""
    return {k: np.concatenate([h[k] for h in histories], -1) for k in histories[0]}


def steps_before(before: History | None, state: State | None, total: int) -> int:
    """Return how many steps a run has taken before it goes on in the middle.

    Args:
      before: Their losses; None for a run that begins.
      state: What the last of them left.
      total: Steps of the whole run.

    Raises:
      ValueError: If there is no state, or nothing left to do.
    """
    if before is None:
        return 0
    done = before["loss"].shape[-1]
    if state is None:
        raise ValueError("a run that goes on needs the state that it was left with")
    if not 0 < done < total:
        raise ValueError(f"a run of {total} steps cannot go on after step {done}")
    return done


class NonFiniteLossError(FloatingPointError):
    """A loss that became NaN or infinite, and the run up to it.

    Attributes:
      image: The last image whose loss was finite, float32 [H, W, 3] in [0, 1].
      history: History up to and including the step at fault.
    """

    def __init__(self, message: str, image: np.ndarray, history: History) -> None:
        """Keep the last good image and the history beside the message."""
        super().__init__(message)
        self.image = image
        self.history = history


def _advice(
    objective: Objective, state: State, step: int, term: str, value: float
) -> str:
    weight = ""
    if term in objective.names:
        weight = f"{term}_weight (now {_first(objective.weights[term]):g})"
    if step == 0:  # nothing has moved yet: no learning rate would help
        lower = f" or lower {weight}" if weight else ""
        begin = f"the loss is {value} at step 0, before any step, in {term}: choose"
        return f"{begin} another loss{lower}"
    also = f" or {weight}" if weight else ""
    return (
        f"the loss became {value} at step {step}, in {term}; lower learning_rate (now "
        f"{_first(state.numbers['learning_rate']):g}){also}, or try optimizer=adam "
        "with clip=true"
    )


def _first(numbers: Array) -> float:
    return float(np.ravel(jax.device_get(numbers))[0])


def check_finite(objective: Objective, state: State, history: History) -> None:
    """Raise if a loss is not finite, naming the step and the term at fault."""
    losses = np.atleast_2d(history["loss"])
    bad = np.argwhere(~np.isfinite(losses.T))
    if not len(bad):
        return
    at, member = (int(n) for n in bad[0])
    found = {k: np.atleast_2d(v)[member] for k, v in history.items()}
    terms = [k for k in found if k != "loss" and not np.isfinite(found[k][at])]
    term = terms[0] if terms else "the sum of all terms"
    message = _advice(objective, state, at, term, float(found["loss"][at]))
    if objective.structure.batch is not None:
        message = f"picture {member} of the batch: {message}"
    good = fetched(state.good).reshape(-1, *state.good.shape[-3:])[member]
    good = np.clip(good / objective.structure.pixel_scale, 0, 1)
    raise NonFiniteLossError(message, good, {k: v[: at + 1] for k, v in found.items()})
