"""From one size to the next, coarse to fine: what of a state goes on."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import PyTree

from jnst.base import Image
from jnst.loop.state import State, begin
from jnst.objective.value import Objective
from jnst.splitting import BATCH, kept


def _resize(image: Image, shape: tuple[int, int], method: str) -> Image:
    return jax.image.resize(image, (1, *shape, 3), method)


def _starts_again(node: Any, image: Image) -> bool:
    """Tell whether a transformation's state means nothing at another size.

    So it is with values and gradients that a line search keeps, and with memories of
    several images, as L-BFGS has.
    """
    if not hasattr(node, "_fields"):
        return False
    if {"value", "grad"} <= set(node._fields):
        return True
    arrays = [leaf for leaf in node if isinstance(leaf, jax.Array)]
    return any(x.shape not in ((), image.shape) for x in arrays)


def carried(
    before: PyTree, fresh: PyTree, image: Image, shape: tuple[int, int], rescale: bool
) -> PyTree:
    """Bring an optimiser's state to another size, so that it begins warm.

    Args:
      before: State at the last size.
      fresh: State of the same optimiser as it begins at the next.
      image: Image at the last size.
      shape: Height and width of the next.
      rescale: Whether Adam's moments are made those of a mean over other pixels.

    Returns:
      Counts of steps and other scalars as they were, arrays of the image's shape
      resized, Adam's first moment by cubic interpolation; `fresh` for what means
      nothing at another size.
    """

    def carry(old: Any, new: Any) -> Any:
        if isinstance(old, optax.ScaleByAdamState):
            mu, nu = jnp.asarray(old.mu), jnp.asarray(old.nu)
            area = image.shape[1] * image.shape[2]
            factor = area / (shape[0] * shape[1]) if rescale else 1.0
            second = jnp.maximum(_resize(nu, shape, "linear"), 0)
            mu = factor * _resize(mu, shape, "cubic")
            return old._replace(mu=mu, nu=factor**2 * second)
        if _starts_again(old, image):
            return new
        resizes = jnp.ndim(old) == 4
        return _resize(old, shape, "linear") if resizes else old

    def whole(node: Any) -> bool:
        return isinstance(node, optax.ScaleByAdamState) or _starts_again(node, image)

    return jax.tree.map(carry, before, fresh, is_leaf=whole)


def resized(objective: Objective, state: State) -> State:
    """Carry a state over to another size, coarse to fine.

    The image is the moving average, resized by cubic interpolation; the average starts
    again. The optimiser goes on as `carried` says.

    Args:
      objective: The objective at the next size.
      state: State at the end of the last.

    Returns:
      State at the next size.

    References:
      crowsonkb/style-transfer-pytorch, `scale_adam` and `stylize`. Its cubic kernel
      has a = -0.75, ours -0.5. `moments="rescaled"` is ours: else steps are too short
      as long as Adam remembers, half as long where there are twice the pixels.
    """
    shape, scale = objective.start.shape, objective.structure.pixel_scale
    mesh = objective.structure.mesh

    def one(state: State) -> State:
        image = _resize(state.ema / (1 - state.ema_left), shape, "cubic")
        if state.rule.clip:
            image = jnp.clip(image, 0, scale)
        fresh = begin(image, state.rule, state.numbers, state.key)
        rescale = state.rule.moments == "rescaled"
        same = {k: getattr(state, k) for k in ("step", "end", "cooldown")}
        optimizer = carried(
            state.optimizer, fresh.optimizer, state.image, shape, rescale
        )
        after = dataclasses.replace(fresh, optimizer=optimizer, **same)
        return kept(after, mesh)

    if objective.structure.batch is None:
        state = one(state)
    else:
        state = jax.vmap(one, spmd_axis_name=BATCH if mesh else None)(state)
    return jax.tree.map(jnp.copy, state)
