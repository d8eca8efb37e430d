"""Members of one program: side by side, or one after the other.

On an accelerator as many as fit its memory are one batch (`jax.vmap`). On a CPU a batch
gains nothing: each member runs by itself through the one program, which takes its
numbers as arrays. Either way a group compiles once.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np

from jnst.drivers.plan import Plan
from jnst.drivers.result import Result
from jnst.drivers.stages import objective_at
from jnst.loop.history import History, NonFiniteLossError, check_finite, join
from jnst.loop.iterate import Event, Size, iterate
from jnst.memory import release_freed
from jnst.objective.value import Objective
from jnst.splitting import BATCH
from jnst.sweeping.capacity import even_length, usual_at_once
from jnst.sweeping.stacking import all_weighed, begin_alike, taken_out, with_members

NO_MEMORY = "RESOURCE_EXHAUSTED"
"""What XLA's message has where memory is short."""


class Outcome(NamedTuple):
    """What became of a member.

    Attributes:
      result: What its run alone would give; the last good image if it stopped, and an
        image without pixels if it never began.
      error: What stopped it; "" if nothing did.
    """

    result: Result
    error: str = ""


class Shared(NamedTuple):
    """What members of a group share, made once.

    Attributes:
      objective: From the number of a stage to the objective there.
      alike: Whether all members begin in one way.
      clock: Seconds of compiling that no outcome tells yet.
    """

    objective: Callable[[int], Objective]
    alike: bool
    clock: list[float]


def _share(plans: Sequence[Plan]) -> Shared:
    clock: list[float] = []

    @functools.cache
    def objective(stage: int) -> Objective:
        found, seconds = objective_at(plans[0], plans[0].stages[stage])
        clock.append(seconds)
        return found

    return Shared(objective, begin_alike(plans), clock)


def _sizes(shared: Shared, plans: Sequence[Plan], batch: bool) -> list[Size]:
    def maker(number: int) -> Callable[[], Objective]:
        def make() -> Objective:
            alike = shared.alike or number > 0
            found = shared.objective(number)
            return with_members(found, plans, alike=alike, batch=batch)

        return make

    return [Size(stage.steps, maker(n)) for n, stage in enumerate(plans[0].stages)]


def _stopped(event: Event, history: History, at: int | None) -> NonFiniteLossError:
    """Say what stopped a member as its run alone would; `at` is its place in a batch.

    Raises:
      RuntimeError: If nothing did.
    """
    objective, state = event.objective, event.state
    if at is not None:
        history = {k: v[at] for k, v in history.items()}
        state = taken_out(state, at)
        objective = dataclasses.replace(
            objective,
            weights=taken_out(objective.weights, at),
            layer_weights=taken_out(objective.layer_weights, at),
            structure=objective.structure._replace(batch=None),
        )
    try:
        check_finite(objective, state, history)
    except NonFiniteLossError as error:
        return error
    raise RuntimeError("all losses of this member are finite")


def _run(
    shared: Shared,
    plans: Sequence[Plan],
    batch: bool,
    on_event: Callable[[Event], None] | None,
) -> list[Outcome]:
    """Run some members to their ends, each of which may be its own."""
    history: list[History] = []
    stopped: dict[int, NonFiniteLossError] = {}
    event = None
    for event in iterate(_sizes(shared, plans, batch), finite=False):
        history.append(event.losses)
        finite = np.isfinite(event.losses["loss"]).all(axis=-1).reshape(-1)
        for n in np.flatnonzero(~finite):
            if int(n) not in stopped:
                at = int(n) if batch else None
                stopped[int(n)] = _stopped(event, join(history), at)
        if on_event:
            on_event(event)
        if len(stopped) == len(plans):
            break
    if event is None:
        raise RuntimeError("a run has at least one step")
    release_freed()
    images, whole = event.image, join(history)
    count = len(plans)
    spans = event.seconds / count, (event.compile_seconds + sum(shared.clock)) / count
    shared.clock.clear()
    found = []
    for n, plan in enumerate(plans):
        image = images[n] if batch else images
        own = {k: v[n] for k, v in whole.items()} if batch else whole
        error = stopped.get(n)
        if error:
            image, own = error.image, error.history
        result = _result(plan, image, own, spans)
        found.append(Outcome(result, str(error) if error else ""))
    return found


def _result(
    plan: Plan, image: np.ndarray, history: History, spans: tuple[float, float]
) -> Result:
    return Result(
        image=image,
        history=history,
        recipe=plan.recipe,
        seconds=spans[0],
        compile_seconds=spans[1],
        stages=list(plan.stages),
        weights=plan.weights,
        inputs=plan.inputs,
    )


def _never(plan: Plan, error: object) -> Outcome:
    """Say that a member has not even begun."""
    nothing = np.zeros((0, 0, 3), np.float32)
    text = " ".join(str(error).split())
    return Outcome(_result(plan, nothing, {}, (0.0, 0.0)), text)


def run_members(
    plans: Sequence[Plan],
    *,
    at_once: int | None = None,
    on_event: Callable[[Sequence[int], Event], None] | None = None,
) -> Iterator[tuple[int, Outcome]]:
    """Run members of one group; each equals its run alone.

    Args:
      plans: Of the members; weights may be "balance".
      at_once: Members that run side by side, at most; None for what suits the device.
        Fewer are taken where its memory proves too small.
      on_event: Called with the places in `plans` of those that run, and the event.

    Yields:
      The place in `plans` and the outcome, of each member as it ends.
    """
    left: list[tuple[int, Plan]] = []
    for n, plan in enumerate(all_weighed(plans)):
        if isinstance(plan, ValueError):
            yield n, _never(plans[n], plan)
        else:
            left.append((n, plan))
    if not left:
        return
    shared = _share([plan for _, plan in left])
    length = None
    while left:
        few = left
        try:
            length = length or _length(shared, left, at_once)
            few = left[:length]
            found = _run_padded(shared, few, length, on_event)
        except (ValueError, MemoryError, jax.errors.JaxRuntimeError) as error:
            short = isinstance(error, MemoryError) or NO_MEMORY in str(error)
            if short and length and length > 1:
                length = -(-length // 2)
                continue
            few = left if isinstance(error, ValueError) else few  # of all: one program
            found = [_never(plan, error) for _, plan in few]
        yield from zip([n for n, _ in few], found, strict=True)
        left = left[len(few) :]


def _length(
    shared: Shared, left: Sequence[tuple[int, Plan]], at_once: int | None
) -> int:
    """Choose how many of the members left run side by side: as many a device."""
    plan = left[0][1]
    each = 1 if plan.mesh is None else plan.mesh.shape[BATCH]
    count = math.ceil(len(left) / each)
    if at_once is None:
        most = usual_at_once(shared.objective(len(plan.stages) - 1), count)
    else:
        most = max(1, at_once // each)
    return each * even_length(count, min(most, count))


def _run_padded(
    shared: Shared,
    few: Sequence[tuple[int, Plan]],
    length: int,
    on_event: Callable[[Sequence[int], Event], None] | None,
) -> list[Outcome]:
    """Run members as a chunk of a length: another one would be compiled anew."""
    places = [n for n, _ in few]
    plans = [plan for _, plan in few]
    filled = [*plans, *[plans[-1]] * (length - len(plans))]
    heard = functools.partial(on_event, places) if on_event else None
    return _run(shared, filled, length > 1, heard)[: len(plans)]
