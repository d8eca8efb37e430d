"""L-BFGS as PyTorch runs it by default: no line search, fixed step.

optax has L-BFGS with a line search (`optax.lbfgs`); the published PyTorch programs use
the other one, whose first step is scaled by 1 / |g|_1 and whose later ones take the
quasi-Newton direction as it is.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from jnst.base import Image, Scalar, vdot

MIN_CURVATURE = 1e-10


class TorchLbfgsState(NamedTuple):
    """Memory of differences, as ring buffers of `memory` slots.

    Attributes:
      updates: Updates so far.
      pairs: Differences stored so far; slot `pairs % memory` is written next.
      image: Image at the previous update.
      gradient: Gradient there.
      steps: Differences of images, [memory, 1, H, W, 3].
      changes: Differences of gradients, the same shape.
      inverses: One over the dot product of each pair of differences, [memory].
      scale: Diagonal of the initial inverse Hessian.
    """

    updates: Int[Array, ""]
    pairs: Int[Array, ""]
    image: Image
    gradient: Image
    steps: Float[Array, "m 1 _ _ 3"]
    changes: Float[Array, "m 1 _ _ 3"]
    inverses: Float[Array, "m"]
    scale: Scalar


def _remember(state: TorchLbfgsState, image: Image, gradient: Image) -> TorchLbfgsState:
    """Store the newest differences, unless their curvature is not positive."""
    step, change = image - state.image, gradient - state.gradient
    curvature = vdot(change, step)
    keep = (state.updates > 0) & (curvature > MIN_CURVATURE)
    slot = state.pairs % state.steps.shape[0]
    curvature = jnp.where(keep, curvature, 1)
    norm = jnp.where(keep, vdot(change, change), 1)

    def store(memory: Array, value: Array) -> Array:
        return memory.at[slot].set(jnp.where(keep, value, memory[slot]))

    return state._replace(
        pairs=state.pairs + keep.astype(jnp.int32),
        steps=store(state.steps, step),
        changes=store(state.changes, change),
        inverses=store(state.inverses, 1 / curvature),
        scale=jnp.where(keep, curvature / norm, state.scale),
    )


def _direction(state: TorchLbfgsState, gradient: Image) -> Image:
    """Multiply the gradient by minus the inverse Hessian, by two loops."""
    memory = state.steps.shape[0]
    stored = jnp.minimum(state.pairs, memory)
    newest_first = (state.pairs - 1 - jnp.arange(memory, dtype=jnp.int32)) % memory
    valid = jnp.arange(memory, dtype=jnp.int32) < stored

    def first(q: Image, at: tuple[Array, Array]) -> tuple[Image, Array]:
        slot, use = at
        alpha = jnp.where(use, state.inverses[slot] * vdot(state.steps[slot], q), 0)
        return q - alpha * state.changes[slot], alpha

    def second(r: Image, at: tuple[Array, Array]) -> tuple[Image, None]:
        slot, alpha = at
        beta = state.inverses[slot] * vdot(state.changes[slot], r)
        # An unused slot holds zeros, so that beta is 0 there as well.
        return r + (alpha - beta) * state.steps[slot], None

    q, alphas = jax.lax.scan(first, -gradient, (newest_first, valid))
    r, _ = jax.lax.scan(second, q * state.scale, (newest_first, alphas), reverse=True)
    return r


def torch_lbfgs(
    learning_rate: float | Scalar, memory: int
) -> optax.GradientTransformation:
    """Build `torch.optim.LBFGS` without a line search.

    Args:
      learning_rate: Length of a step along the quasi-Newton direction; the first step
        is also multiplied by min(1, 1 / |g|_1).
      memory: Differences kept, PyTorch's `history_size`.

    Returns:
      A transformation whose update is one of PyTorch's inner iterations, which costs
      one evaluation. Its stopping rules are left out: a run has as many steps as asked.

    References:
      torch.optim.LBFGS, `line_search_fn=None`; Nocedal & Wright, algorithm 7.4.
    """

    def init(image: Image) -> TorchLbfgsState:
        ring = jnp.zeros((memory, *image.shape), image.dtype)
        zero, one = jnp.zeros((), jnp.int32), jnp.ones((), image.dtype)
        blank = jnp.zeros_like(image)
        inverses = jnp.zeros(memory, image.dtype)
        return TorchLbfgsState(zero, zero, blank, blank, ring, ring, inverses, one)

    def update(
        gradient: Image, state: TorchLbfgsState, image: Image | None = None
    ) -> tuple[Image, TorchLbfgsState]:
        if image is None:
            raise ValueError("torch_lbfgs needs the image it updates")
        state = _remember(state, image, gradient)
        first = jnp.minimum(1, 1 / jnp.sum(jnp.abs(gradient)))
        length = learning_rate * jnp.where(state.updates == 0, first, 1)
        move = length * _direction(state, gradient)
        state = state._replace(
            updates=state.updates + 1, image=image, gradient=gradient
        )
        return move, state

    return optax.GradientTransformation(init, update)  # type: ignore[arg-type]
