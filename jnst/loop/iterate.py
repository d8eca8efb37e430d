"""The loop: an iterator over chunks of steps, from coarse to fine.

Whoever wants to watch, save or stop is a `for` over it. Nothing here touches files.
"""

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jnst.loop.history import History, check_finite, join, steps_before
from jnst.loop.sizes import resized
from jnst.loop.state import State, init, on_host
from jnst.loop.step import run_chunk, tiled_step, waiting
from jnst.memory import release_freed
from jnst.objective.value import Objective
from jnst.program import compiled
from jnst.scale.parking import is_large
from jnst.scale.running import Compiling
from jnst.splitting import fetched

PIXEL_STEPS = {"cpu": 1e5}
"""Pixels times steps between two looks: about half a second on two cores."""
ACCELERATOR_PIXEL_STEPS = 3e7
MAX_CHUNK = 100


class Size(NamedTuple):
    """One size of a run.

    Attributes:
      steps: Steps at this size.
      make: Makes the objective at this size, when the run comes to it.
    """

    steps: int
    make: Callable[[], Objective]


class Event(NamedTuple):
    """What an iterator tells after each chunk.

    Attributes:
      step: Steps done in all sizes together.
      steps: Steps of the whole run.
      losses: "loss" and every weighted term at the steps of this chunk, before each
        update: [n], or [N, n] for a batch.
      objective: The objective at this size.
      state: The state now. Its arrays are given up when the iterator goes on: keep
        `jax.tree.map(jnp.copy, event.state)`.
      seconds: Time in the loop so far, without compilation.
      compile_seconds: Time of compiling steps so far.
    """

    step: int
    steps: int
    losses: History
    objective: Objective
    state: State
    seconds: float
    compile_seconds: float

    @property
    def image(self) -> np.ndarray:
        """The image so far, as `jnst.shown`."""
        return on_host(self.objective, self.state)


def chunk_lengths(pixels: int) -> tuple[int, int]:
    """Choose how many steps pass before Python looks, and how many a program runs.

    Neither depends on how many steps there are: what is left of them is a shorter chunk
    of the same program, see `run_chunk`.

    Args:
      pixels: Pixels of all images together.

    Returns:
      As many steps as take about half a second; and as many a program at most, but 1 on
      a CPU, where XLA runs the convolutions in the body of a loop almost three times
      slower than those outside (jaxlib 0.10.2).
    """
    backend = jax.default_backend()
    budget = PIXEL_STEPS.get(backend, ACCELERATOR_PIXEL_STEPS)
    look = int(np.clip(budget / pixels, 1, MAX_CHUNK))
    return look, 1 if backend == "cpu" else look


def next_look(look: int, done: int, left: int, every: int) -> int:
    """Return how many steps pass before Python looks again.

    Args:
      look: Steps at most.
      done: Steps done in the whole run.
      left: Steps left at this size.
      every: Steps of the whole run after which Python must look, 0 for no such wish.
    """
    return min(look, left, every - done % every if every else left)


def planned(state: State, total: int, last: int) -> State:
    """Tell a state how many steps are to come, and over how many it cools down.

    Args:
      state: The state as the run begins.
      total: Steps of the whole run.
      last: Steps at its last size, of which `cooldown` is a share.
    """
    share = state.numbers["cooldown"]
    counts = on_device(total), on_device(last)
    end, cooldown = _plan(state.step, state.end, share, *counts)
    return dataclasses.replace(state, end=end, cooldown=cooldown)


@jax.jit
def _plan(
    step: Array, end: Array, share: Array, total: Array, last: Array
) -> tuple[Array, Array]:
    cooldown = jnp.maximum(1, share.astype(end.dtype) * last.astype(end.dtype))
    return (step + total).astype(end.dtype), cooldown


def _at_size(objective: Objective, state: State | None) -> tuple[State, float]:
    """Bring a state to an objective's size, or begin; and the seconds of compiling."""
    if state is None:
        program, seconds = compiled(init, (objective,))
        return program(objective), seconds
    if state.image.shape[-3:-1] != objective.start.shape:
        program, seconds = compiled(resized, (objective, state))
        return program(objective, state), seconds
    return state, 0.0


def iterate(
    objective: Objective | Sequence[Size],
    state: State | None = None,
    *,
    steps: int | None = None,
    every: int = 0,
    finite: bool = True,
    before: History | None = None,
) -> Iterator[Event]:
    """Run an objective, chunk by chunk.

    Args:
      objective: What to minimise; or several sizes from coarse to fine, as
        `jnst.coarse_to_fine` makes them.
      state: Where to begin, from `init`; it is left alone. None for `init(objective)`.
      steps: Steps to take; None for the recipe's. Sizes have steps of their own.
      every: There is an event after every so many steps of the whole run; 0: no wish.
      finite: Whether a loss that is not finite ends the run. If not, whoever looks at
        the events decides, as for members of a batch that have nothing to do with it.
      before: Losses of all steps that the run has taken before, where it goes on in the
        middle; the state is what the last of them left. Steps and sizes are those of
        the whole run, which goes on as if it had never stopped.

    Yields:
      An `Event` after each chunk of about half a second.

    Raises:
      NonFiniteLossError: With the step, the term at fault and advice.
      ValueError: For steps below 1, steps beside sizes, or a run that goes on without a
        state or has nothing left to do.
    """
    sizes = _sizes(objective, steps)
    steps_before(before, state, sum(size.steps for size in sizes))
    state = None if state is None else jax.tree.map(jnp.copy, state)
    return _walk(sizes, state, every, finite, before)


def _sizes(objective: Objective | Sequence[Size], steps: int | None) -> list[Size]:
    if steps is not None and steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    if isinstance(objective, Objective):
        known = objective
        count = int(known.start.steps) if steps is None else steps
        return [Size(count, lambda: known)]
    if steps is not None:
        raise ValueError("each size has steps of its own; give them to coarse_to_fine")
    if not objective:
        raise ValueError("a run needs at least one size")
    return list(objective)


def _walk(
    sizes: Sequence[Size],
    state: State | None,
    every: int,
    finite: bool,
    before: History | None,
) -> Iterator[Event]:
    total, end = sum(size.steps for size in sizes), 0
    history = [] if before is None else [before]
    begun = done = steps_before(before, state, total)
    seconds, compile_seconds = 0.0, 0.0
    for size in sizes:
        end += size.steps
        if end <= begun:
            continue
        objective = size.make()
        state, spent = _at_size(objective, state)
        if done == 0:
            state = planned(state, total, sizes[-1].steps)
        look, length = chunk_lengths(state.image.size // 3)
        if objective.structure.tile_px:
            look, length = 1, 1
            state = waiting(state) if is_large(state) else state
        program, more = program_of(objective, state, length)
        compile_seconds += spent + more
        jax.block_until_ready((objective, state))  # targets were computed meanwhile
        release_freed()
        while done < end:
            count = next_look(look, done, end - done, every)
            start = time.perf_counter()
            state, losses = advance(program, objective, state, count, length)
            seconds += time.perf_counter() - start
            history.append(losses)
            if finite and not np.isfinite(losses["loss"]).all():
                check_finite(objective, state, join(history))
            done += count
            spans = seconds, compile_seconds
            yield Event(done, total, losses, objective, state, *spans)


def program_of(
    objective: Objective, state: State, length: int
) -> tuple[Callable[..., Any], float]:
    """Compile what takes up to `length` steps; and the seconds it took.

    Returns:
      `run_chunk`, whose state is donated, or what takes its place with tiles.
    """
    if not objective.structure.tile_px:
        arguments = objective, state, on_device(0)
        return compiled(run_chunk, arguments, static=(length,), donated=(1,))
    compiling = Compiling()
    tiled_step(objective, state, run=compiling, donate=True)
    return _one_tiled, compiling.seconds


def _one_tiled(
    objective: Objective, state: State, count: Array, length: int
) -> tuple[State, History]:
    """Take one step as `run_chunk` does."""
    del count, length
    state, losses = tiled_step(objective, state, donate=True)
    return state, {name: np.asarray(loss)[None] for name, loss in losses.items()}


def advance(
    program: Callable[..., Any], objective: Objective, state: State, count: int, n: int
) -> tuple[State, History]:
    """Take `count` steps by a program of at most `n`, and wait for them."""
    parts = []
    for begun in range(0, count, n):
        few = min(n, count - begun)
        state, losses = program(objective, state, on_device(few), n)
        parts.append((few, losses))
    state = jax.block_until_ready(state)
    return state, join([
        {name: values[..., :few] for name, values in fetched(losses).items()}
        for few, losses in parts
    ])  # fmt: skip


def on_device(count: int) -> Array:
    """Return a count as a program takes it."""
    return jax.device_put(np.int32(count))
