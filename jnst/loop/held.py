"""Moving an image so that one loss changes while another stays: two pure steps.

`propose` makes a candidate: one step of Adam along the gradient of the loss that moves,
with the gradient of the held loss projected out, and a Newton step along the held
loss's own gradient back to its level. `look` evaluates it, `settle` takes it or halves
the pace. A step costs one evaluation of both losses and their gradients, and no image
is ever accepted on which the held loss is off by more than the bound.

Losses are compared with their values at the start, by logarithms: scales and units
of the two do not matter.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from jnst.base import Scalar, vdot
from jnst.objective.value import Objective

Pixels = Float[Array, "_ _ 3"]
ADAM = optax.scale_by_adam(b1=0.9, b2=0.99)
"""Directions of steps. Losses fall by orders of magnitude: a long memory of their
gradients' size would stall them."""
FASTER, SLOWER = 1.1, 0.5
"""Factors on the pace after a candidate that is taken, and one that is not."""


class Seen(NamedTuple):
    """What is known of an image.

    Attributes:
      values: Both losses, [2].
      slopes: Gradients of their logarithms, [2, H, W, 3].
    """

    values: Float[Array, "2"]
    slopes: Float[Array, "2 _ _ 3"]


class Goal(NamedTuple):
    """What a run is for; numbers, so that one program serves all runs of a pair.

    Attributes:
      start: Values of both losses at the first image, [2].
      held: Which of them is held, 0 or 1.
      sign: 1 to lower the other, -1 to raise it.
      bound: How far the held loss may be off, relative to its start.
    """

    start: Float[Array, "2"]
    held: Array
    sign: Scalar
    bound: Scalar


class Walk(NamedTuple):
    """What a run carries from step to step.

    Attributes:
      image: Image in [0, 1], [H, W, 3], on which the held loss is within the bound.
      seen: What is known of it.
      candidate: Image that may replace it.
      moments: Adam's, at `image`.
      proposed: Adam's, at `candidate`.
      pace: Factor on the rate, in (0, 1].
      best: The accepted image on which the loss that moves is furthest on its way.
      best_change: Logarithm of that loss over its start.
    """

    image: Pixels
    seen: Seen
    candidate: Pixels
    moments: Any
    proposed: Any
    pace: Scalar
    best: Pixels
    best_change: Scalar


def project_off(image: Float[Array, "..."], held: Float[Array, "..."]) -> Array:
    """Project one gradient out of another, by the full inner product.

    Args:
      image: Array of any shape.
      held: What is projected out, of the same shape; zeros leave `image` as it is.

    Returns:
      `image` without its part along `held`.

    References:
      Wang & Simoncelli, "Maximum differentiation (MAD) competition", J. Vision 2008.
      Their MATLAB divides sums over columns instead, which is another thing.
    """
    return image - _ratio(vdot(image, held), held) * held


def _ratio(value: Array, held: Array) -> Array:
    """Divide by the squared norm of a gradient that may be zero."""
    return value / jnp.maximum(vdot(held, held), jnp.finfo(held.dtype).tiny)


def look(objective: Objective, image: Pixels, key: Array) -> Seen:
    """Evaluate both terms of an objective, and the gradients of their logarithms.

    Args:
      objective: Of two terms.
      image: Image in [0, 1].
      key: PRNG key, the same at every step: a loss that samples is then a function.
    """

    def values(x: Pixels) -> Float[Array, "2"]:
        found = objective.terms(x, key)
        return jnp.stack([found[name] for name in objective.names])

    found, pull = jax.vjp(values, image)
    slopes = [pull(row)[0] for row in jnp.diag(1 / found)]
    return Seen(found, jnp.stack(slopes))


def begin(image: Pixels, seen: Seen) -> Walk:
    """Make the state of a run that has not stepped yet."""
    moments, one = ADAM.init(image), jnp.ones((), image.dtype)
    return Walk(image, seen, image, moments, moments, one, image, 0 * one)


def changes(values: Float[Array, "2"], goal: Goal) -> tuple[Scalar, Scalar]:
    """Return logarithms of the moved and the held loss over their starts."""
    logs = jnp.log(values / goal.start)
    return logs[1 - goal.held], logs[goal.held]


def propose(walk: Walk, goal: Goal, rate: Scalar) -> Walk:
    """Propose the next image.

    Args:
      walk: From `begin` or `settle`.
      goal: What the run is for.
      rate: Step size of Adam, in pixel values.

    Returns:
      The run with another candidate.

    References:
      Wang & Simoncelli 2008, and their `gds_mse_ssimweighted.m`. Departs: the projected
      gradient goes through Adam and is projected again; what one step puts off is put
      right together with the next; pixels at 0 or 1 that would leave [0, 1] stay.
    """
    held = walk.seen.slopes[goal.held]
    slope = goal.sign * walk.seen.slopes[1 - goal.held]
    step, moments = ADAM.update(project_off(slope, held), walk.moments)
    step = project_off(-jnp.asarray(step), held)
    low, high = walk.image <= 0, walk.image >= 1
    step = jnp.where((low & (step < 0)) | (high & (step > 0)), 0, step)
    step = project_off(step, held)
    _, off = changes(walk.seen.values, goal)
    image = walk.image + rate * walk.pace * step - _ratio(off, held) * held
    return walk._replace(candidate=jnp.clip(image, 0, 1), proposed=moments)


def settle(walk: Walk, seen: Seen, goal: Goal) -> Walk:
    """Take the candidate, or keep the image and halve the pace.

    Args:
      walk: From `propose`.
      seen: What `look` found of its candidate.
      goal: What the run is for.
    """
    moved, off = changes(seen.values, goal)
    finite = jnp.isfinite(moved) & jnp.isfinite(seen.slopes).all()
    taken = finite & (jnp.abs(jnp.expm1(off)) < goal.bound)
    better = taken & (goal.sign * moved < goal.sign * walk.best_change)

    def choose(new: Any, old: Any) -> Any:
        return jax.tree.map(lambda a, b: jnp.where(taken, a, b), new, old)

    return walk._replace(
        image=choose(walk.candidate, walk.image),
        seen=choose(seen, walk.seen),
        moments=choose(walk.proposed, walk.moments),
        pace=jnp.where(taken, jnp.minimum(1, FASTER * walk.pace), SLOWER * walk.pace),
        best=jnp.where(better, walk.candidate, walk.best),
        best_change=jnp.where(better, moved, walk.best_change),
    )
