"""One step, and chunks of them: pure functions of an objective and a state."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PyTree

from jnst.base import Image, Scalar
from jnst.loop.optimizers import make_optimizer, searches
from jnst.loop.state import State, keeps_best
from jnst.objective.turns import Turns, at_turn, taken
from jnst.objective.value import (
    Objective,
    add_up,
    diagnose,
    over_batch,
    terms_at,
)
from jnst.scale.evaluation import evaluate
from jnst.scale.parking import is_parked, parked, unparked
from jnst.scale.refusals import check_optimizer
from jnst.scale.running import Run, Whole, run
from jnst.scale.targets import with_content
from jnst.splitting import kept

Losses = dict[str, Array]
Evaluated = tuple[Scalar, Image, Losses]
"""Loss, gradient and weighted terms of an image."""


def _restarted(state: State) -> PyTree:
    """Start the optimiser afresh every `restart_every` steps."""
    if not state.rule.restart_every:
        return state.optimizer
    due = (state.step % state.rule.restart_every == 0) & (state.step > 0)
    fresh = make_optimizer(state.rule, state.numbers, 0).init(state.image)
    return jax.tree.map(lambda a, b: jnp.where(due, a, b), fresh, state.optimizer)


def _remembers(objective: Objective, optimizer: PyTree) -> bool:
    """Tell whether a line search has kept what the objective is at the image."""
    if objective.shift is not None:
        return False
    keyed = any(getattr(part.row, "keyed", False) for part in objective.structure.parts)
    kept = [optax.tree.get_all_with_path(optimizer, name) for name in ("value", "grad")]
    return not keyed and all(len(each) == 1 for each in kept)


def _evaluate(
    objective: Objective, image: Image, optimizer: PyTree, key: Array
) -> Evaluated:
    """Compute loss, gradient and terms, or take from a line search what it has kept."""

    def value(x: Image) -> tuple[Scalar, Losses]:
        found = terms_at(objective, x, key=key)
        return add_up(found), found

    if not _remembers(objective, optimizer):
        (loss, found), gradient = jax.value_and_grad(value, has_aux=True)(image)
        return loss, gradient, found
    known = optax.value_and_grad_from_state(lambda x: value(x)[0])
    found = known(image, state=optimizer)
    loss, gradient = (jnp.asarray(x, image.dtype) for x in found)
    names = objective.names
    return loss, gradient, {names[0]: loss} if len(names) == 1 else value(image)[1]


def _forget(optimizer: PyTree, moved: Array) -> PyTree:
    """Let a line search evaluate anew where the image is not the one it has chosen."""
    (kept,) = optax.tree.get_all_with_path(optimizer, "value")
    return optax.tree.set(optimizer, value=jnp.where(moved, jnp.inf, kept[1]))


def _move(
    objective: Objective, state: State, loss: Scalar, gradient: Image, key: Array
) -> tuple[Image, PyTree]:
    """Update the image; the optimiser's updates shrink to nothing in a cooldown."""
    optimizer = make_optimizer(state.rule, state.numbers, state.step)
    like = state.image.dtype  # a line search looks at doubles where JAX has them
    updates, after = optimizer.update(
        gradient,
        state.optimizer,
        state.image,
        value=loss,
        grad=gradient,
        value_fn=lambda x: add_up(terms_at(objective, x.astype(like), key=key)),
    )
    left = state.end - state.step.astype(state.end.dtype)
    pace = jnp.clip(left / state.cooldown, 0, 1)
    chosen = jnp.asarray(optax.apply_updates(state.image, updates))
    updates = jax.tree.map(lambda update: pace * update, updates)
    image = jnp.asarray(optax.apply_updates(state.image, updates))
    if state.rule.clip:
        image = jnp.clip(image, 0, objective.structure.pixel_scale)
    if _remembers(objective, after):
        after = _forget(after, jnp.any(image != chosen))
    return image, after


def _step(objective: Objective, state: State) -> tuple[State, Losses]:
    key = jax.random.fold_in(state.key, state.step)
    objective = at_turn(objective, state.step)
    state = dataclasses.replace(state, optimizer=_restarted(state))
    seen = _evaluate(objective, state.image, state.optimizer, key)
    return _stepped(objective, state, seen, key)


def _stepped(
    objective: Objective, state: State, seen: Evaluated, key: Array
) -> tuple[State, Losses]:
    loss, gradient, found = seen
    image, optimizer = _move(objective, state, loss, gradient, key)
    ema = state.numbers["ema"].astype(image.dtype)
    better = loss < state.best_loss
    rule = state.rule
    best = image if rule.returns == "after_best" else state.image
    new = dataclasses.replace(
        state,
        image=image,
        optimizer=optimizer,
        ema=ema * state.ema + (1 - ema) * image,
        ema_left=ema * state.ema_left,
        best=jnp.where(better, best, state.best) if keeps_best(rule) else state.best,
        best_loss=jnp.where(better, loss, state.best_loss),
        good=jnp.where(jnp.isfinite(loss), state.image, state.good),
        step=state.step + 1,
    )
    if objective.structure.diagnostics:
        found = found | diagnose(objective, state.image, key)
    return kept(new, objective.structure.mesh), {"loss": loss, **found}


def turned(key: Array, turns: Turns | None, step: Array) -> tuple[Array, Any, Any]:
    """Return the key of a step, and its shift and content's targets, None if none."""
    key = jax.random.fold_in(key, step)
    return (key, None, {}) if turns is None else (key, *taken(turns, step))


def moved(
    objective: Objective, state: State, seen: Evaluated, key: Array
) -> tuple[State, Losses]:
    """Take the step that a loss and its gradient ask for."""
    state = dataclasses.replace(state, optimizer=_restarted(state))
    return _stepped(objective, state, seen, key)


def tiled_step(
    objective: Objective, state: State, *, run: Run = run, donate: bool = False
) -> tuple[State, Whole]:
    """Take one step of an objective with tiles: a loop over programs.

    Args:
      objective: What is minimised.
      state: From `init`, a step or `resized`.
      run: How programs are called.
      donate: Whether the state's buffers may be used.

    Returns:
      The new state and the losses; what waits in the host's memory goes back there.

    Raises:
      ValueError: If the optimiser searches along a line.
    """
    check_optimizer(searches(state.optimizer))
    turns = objective.turns
    bare = turns if turns is None else turns._replace(content=None, kept=None)
    key, shift, targets = run(turned, state.key, bare, state.step)
    objective = dataclasses.replace(
        objective, turns=None, shift=shift, targets={**objective.targets, **targets}
    )
    if turns is not None and turns.content is not None:
        objective = with_content(objective, turns, state.step, run=run)
    found = evaluate(objective, state.image, key, run=run)
    rest = dataclasses.replace(objective, extract=None, targets={}, start=None)
    away, state = is_parked(state), unparked(state)
    given = rest, state, found, key
    state, losses = run(moved, *given, donated=(1,) if donate or away else ())
    return (waiting(state) if away else state), losses


def waiting(state: State) -> State:
    """Bring what a step in tiles needs only at its end into the host's memory."""
    names = ("optimizer", "ema", "best", "good")
    away = {name: parked(getattr(state, name)) for name in names}
    return dataclasses.replace(state, **away)


@jax.jit
def _compiled(objective: Objective, state: State) -> tuple[State, Losses]:
    return over_batch(objective, _step, state)


def step(objective: Objective, state: State) -> tuple[State, Losses]:
    """Take one step: a pure function, which compiles itself once.

    Args:
      objective: What is minimised.
      state: From `init`, `step` or `resized`.

    Returns:
      The new state; and "loss", every weighted term, and what `diagnostics` tells if
      the recipe wants it, at the image *before* the step: scalars, [N] for a batch.
    """
    tiled = objective.structure.tile_px > 0
    state, losses = (tiled_step if tiled else _compiled)(objective, state)
    names = ["loss", *objective.names]  # jit sorts them
    rest = [name for name in losses if name not in names]
    return state, {name: losses[name] for name in [*names, *rest]}


def run_chunk(
    objective: Objective, state: State, count: Int[Array, ""], length: int
) -> tuple[State, dict[str, Float[Array, "..."]]]:
    """Take `count` steps in one program.

    The count is an argument, so that one program serves chunks of any length: another
    one would be compiled for as long as the first, only for what is left of a run.

    Args:
      objective: What is minimised.
      state: From `init`, `run_chunk` or `resized`.
      count: Steps to take, at most `length`.
      length: Room for losses. With room for 1 the program is one step without a loop,
        whatever the count.

    Returns:
      The new state; and the losses before each step, [length], or [N, length] for a
      batch. From `count` on they mean nothing.
    """

    def one(carry: State) -> tuple[State, Losses]:
        return over_batch(objective, _step, carry)

    if length == 1:
        state, losses = one(state)
        return state, jax.tree.map(lambda loss: loss[..., None], losses)
    one = jax.jit(one)  # traced once for both uses
    _, losses = jax.eval_shape(one, state)
    room = jax.tree.map(lambda x: jnp.zeros((length, *x.shape), x.dtype), losses)

    def body(at: Any, carry: tuple[State, Losses]) -> tuple[State, Losses]:
        after, found = one(carry[0])
        return after, jax.tree.map(lambda a, x: a.at[at].set(x), carry[1], found)

    state, losses = jax.lax.fori_loop(0, count, body, (state, room))
    return state, jax.tree.map(lambda each: jnp.moveaxis(each, 0, -1), losses)
