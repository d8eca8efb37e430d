"""The loop: `init` and `step`, chunks of them under `lax.scan`, and size changes.

A state holds the image in the optimiser's scale, 0..`recipe.pixel_scale`. `step` is
pure; a chunk compiles once a size, runs many steps and donates its state.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PyTree

from jnst.base import Image, Params, Scalar
from jnst.lbfgs import torch_lbfgs
from jnst.objective import diagnostics, total
from jnst.recipe import ADAMS, Recipe
from jnst.targets import Targets


class State(NamedTuple):
    """All that a run carries from step to step.

    Attributes:
      image: Image being optimised.
      optimizer: State of the optimiser.
      ema: Exponential moving average of images, not yet corrected for its start.
      ema_left: Share of the average still missing, which corrects it.
      best: Image that "best" or "after_best" would return.
      best_loss: Lowest loss so far.
      good: Last image whose loss was finite.
      step: Steps done in the whole run.
      end: Steps that the whole run has, infinite if nobody knows.
      cooldown: Steps before the end over which the steps' length falls to 0.
      key: PRNG key of the run.
    """

    image: Image
    optimizer: PyTree
    ema: Image
    ema_left: Scalar
    best: Image
    best_loss: Scalar
    good: Image
    step: Int[Array, ""]
    end: Scalar
    cooldown: Scalar
    key: Array


def scale_by_adam_tf(
    beta1: float, beta2: float, epsilon: float
) -> optax.GradientTransformation:
    """Scale by Adam as TensorFlow does, epsilon outside the bias correction.

    References:
      Kingma & Ba, ICLR 2015, end of section 2 ("epsilon hat"); `tf.keras.optimizers`.
      It matters where epsilon is as large as the 0.1 of source 000.
    """
    adam = optax.scale_by_adam(b1=beta1, b2=beta2, eps=epsilon)

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        _, state = adam.update(updates, state, params)
        rate = jnp.sqrt(1 - beta2**state.count) / (1 - beta1**state.count)
        scaled = jax.tree.map(
            lambda m, v: rate * m / (jnp.sqrt(v) + epsilon), state.mu, state.nu
        )
        return scaled, state

    return optax.GradientTransformation(adam.init, update)


def make_optimizer(recipe: Recipe) -> optax.GradientTransformationExtraArgs:
    """Build the optimiser that a recipe names, or take the one it holds."""
    rate: Any = recipe.learning_rate
    if recipe.decay_rate != 1:  # continuous: rate ** (step / decay_steps)
        rate = optax.exponential_decay(rate, recipe.decay_steps, recipe.decay_rate)
    betas = recipe.beta1, recipe.beta2, recipe.epsilon
    if not isinstance(recipe.optimizer, str):
        chosen = recipe.optimizer
    elif recipe.optimizer == "adam":
        chosen = optax.adam(rate, *betas)
    elif recipe.optimizer == "adam_tf":
        chosen = optax.chain(
            scale_by_adam_tf(*betas), optax.scale_by_learning_rate(rate)
        )
    elif recipe.optimizer == "sgd":
        chosen = optax.sgd(rate)
    elif recipe.optimizer == "lbfgs":
        chosen = optax.lbfgs(memory_size=recipe.memory)
    else:
        chosen = torch_lbfgs(recipe.learning_rate, recipe.memory)
    return optax.with_extra_args_support(chosen)


def init(
    image: Image,
    recipe: Recipe,
    key: Array,
    *,
    end: float | Scalar = math.inf,
    cooldown: float | Scalar = 1.0,
) -> State:
    """Make the state of a run that has not stepped yet.

    Args:
      image: First image, [1, H, W, 3], in 0..`recipe.pixel_scale`.
      recipe: The recipe.
      key: PRNG key of the run.
      end: Steps that the whole run has.
      cooldown: Steps, 1 or more, before the end over which the learning rate falls to
        0, linearly.

    Returns:
      A state of which no two leaves share a buffer, so that it can be donated.
    """
    state = State(
        image=image,
        optimizer=make_optimizer(recipe).init(image),
        ema=(1 - recipe.ema) * image,
        ema_left=jnp.asarray(recipe.ema, image.dtype),
        best=image,
        best_loss=jnp.asarray(jnp.inf, image.dtype),
        good=image,
        step=jnp.zeros((), jnp.int32),
        end=jnp.asarray(end, image.dtype),
        cooldown=jnp.asarray(cooldown, image.dtype),
        key=key,
    )
    return jax.tree.map(jnp.copy, state)


def _restart(state: State, recipe: Recipe) -> PyTree:
    """Start the optimiser afresh every `recipe.restart_every` steps."""
    if not recipe.restart_every:
        return state.optimizer
    due = (state.step % recipe.restart_every == 0) & (state.step > 0)
    fresh = make_optimizer(recipe).init(state.image)
    return jax.tree.map(lambda a, b: jnp.where(due, a, b), fresh, state.optimizer)


def step(
    state: State, params: Params, targets: Targets, recipe: Recipe
) -> tuple[State, dict[str, Scalar]]:
    """Take one step.

    Args:
      state: From `init`, `step` or `resized`.
      params: Parameters of the network.
      targets: Targets at the image's size.
      recipe: The static part of a recipe is enough.

    Returns:
      The new state; and "loss", every weighted term, and what `diagnostics` tells if
      the recipe wants it, at the image *before* the step.
    """
    key = jax.random.fold_in(state.key, state.step)

    def objective(image: Image) -> tuple[Scalar, dict[str, Scalar]]:
        return total(image, params, targets, recipe, key)

    (loss, found), gradient = jax.value_and_grad(objective, has_aux=True)(state.image)
    updates, optimizer = make_optimizer(recipe).update(
        gradient,
        _restart(state, recipe),
        state.image,
        value=loss,
        grad=gradient,
        value_fn=lambda image: objective(image)[0],
    )
    pace = jnp.clip((state.end - state.step) / state.cooldown, 0, 1)
    updates = jax.tree.map(lambda update: pace * update, updates)
    image = jnp.asarray(optax.apply_updates(state.image, updates))
    if recipe.clip:
        image = jnp.clip(image, 0, recipe.pixel_scale)
    better = loss < state.best_loss
    best = image if recipe.returns == "after_best" else state.image
    new = state._replace(
        image=image,
        optimizer=optimizer,
        ema=recipe.ema * state.ema + (1 - recipe.ema) * image,
        ema_left=recipe.ema * state.ema_left,
        best=jnp.where(better, best, state.best),
        best_loss=jnp.where(better, loss, state.best_loss),
        good=jnp.where(jnp.isfinite(loss), state.image, state.good),
        step=state.step + 1,
    )
    if recipe.diagnostics:
        found = found | diagnostics(state.image, params, targets, recipe, key)
    return new, {"loss": loss, **found}


def run_chunk(
    state: State, params: Params, targets: Targets, recipe: Recipe, length: int
) -> tuple[State, dict[str, Float[Array, "steps"]]]:
    """Take `length` steps in one program; losses have shape [length]."""
    if length == 1:
        state, losses = step(state, params, targets, recipe)
        return state, jax.tree.map(lambda loss: loss[None], losses)

    def body(carry: State, _: None) -> tuple[State, dict[str, Scalar]]:
        return step(carry, params, targets, recipe)

    return jax.lax.scan(body, state, None, length=length)


def shown(state: State, recipe: Recipe) -> Image:
    """Return the image that a recipe's `returns` means, in [0, 1]."""
    if recipe.returns == "ema":
        image = state.ema / (1 - state.ema_left)
    elif recipe.returns == "last":
        image = state.image
    else:
        image = jnp.where(jnp.isfinite(state.best_loss), state.best, state.image)
    return jnp.clip(image / recipe.pixel_scale, 0, 1)


def _resize(image: Image, shape: tuple[int, int], method: str) -> Image:
    return jax.image.resize(image, (1, *shape, 3), method)


def _carry(optimizer: PyTree, shape: tuple[int, int], rescale: bool) -> PyTree:
    """Resize Adam's moments, so that the next size begins warm."""

    def resize(leaf: Any) -> Any:
        if not isinstance(leaf, optax.ScaleByAdamState):
            return leaf
        mu, nu = jnp.asarray(leaf.mu), jnp.asarray(leaf.nu)
        height, width = mu.shape[1:3]
        factor = height * width / (shape[0] * shape[1]) if rescale else 1.0
        second = jnp.maximum(_resize(nu, shape, "linear"), 0)
        return leaf._replace(
            mu=factor * _resize(mu, shape, "cubic"), nu=factor**2 * second
        )

    is_adam = lambda leaf: isinstance(leaf, optax.ScaleByAdamState)  # noqa: E731
    return jax.tree.map(resize, optimizer, is_leaf=is_adam)


def resized(state: State, shape: tuple[int, int], recipe: Recipe) -> State:
    """Carry a state over to another size, coarse to fine.

    The image is the moving average where there is one, resized by cubic interpolation;
    the average starts again. Adam's moments and step count are carried as
    `recipe.moments` says, other optimisers start again.

    Args:
      state: State at the end of a size.
      shape: Height and width of the next.
      recipe: The recipe.

    Returns:
      State at the next size.

    References:
      crowsonkb/style-transfer-pytorch, `scale_adam` and `stylize`. Its cubic kernel
      has a = -0.75, ours -0.5. "rescaled" is ours: else steps are too short as long
      as Adam remembers, half as long where there are twice the pixels.
    """
    average = recipe.ema > 0
    image = state.ema / (1 - state.ema_left) if average else state.image
    image = _resize(image, shape, "cubic")
    if recipe.clip:
        image = jnp.clip(image, 0, recipe.pixel_scale)
    end, cooldown = state.end, state.cooldown
    fresh = init(image, recipe, state.key, end=end, cooldown=cooldown)
    optimizer = fresh.optimizer
    if recipe.optimizer in ADAMS:
        optimizer = jax.tree.map(
            jnp.copy, _carry(state.optimizer, shape, recipe.moments == "rescaled")
        )
    return fresh._replace(optimizer=optimizer, step=state.step)
