"""What a run carries from step to step: how it begins, and what is shown of it.

A state holds the image in the optimiser's scale, 0..`pixel_scale`, as [1, H, W, 3];
of a batch, every leaf has one axis more in front.
"""

import dataclasses
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import register_dataclass
from jaxtyping import Array, PyTree

from jnst.base import Image, check_one_of
from jnst.loop.initial import INITS
from jnst.loop.optimizers import NUMBERS, Rule, factory_of, make_optimizer
from jnst.objective.value import Objective, as_images
from jnst.splitting import BATCH, fetched, kept


class Begin(NamedTuple):
    """What of a beginning is compiled: the key of `INITS`, and the rule."""

    init: str
    rule: Rule


@register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class Start:
    """What a run begins with; an objective carries it, and looks at none of it.

    Attributes:
      content: Content image [1, H, W, 3] in [0, 1]; black for a texture.
      style: The styles, weighted and stretched to that shape.
      first: First image, in [0, 1] with values outside kept; None for what `init` says.
      zero: Colour that the network sees as zero, [3].
      seed: Seed of all random numbers, a scalar; a batch may have N.
      numbers: Scalars of the optimiser, see `NUMBERS`; a batch may have N of each.
      steps: Steps at this size.
      begin: What is compiled.
    """

    content: PyTree
    style: PyTree
    first: PyTree
    zero: PyTree
    seed: PyTree
    numbers: PyTree
    steps: PyTree
    begin: Begin = dataclasses.field(metadata={"static": True})

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the image."""
        return self.content.shape[-3], self.content.shape[-2]


@register_dataclass
@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class State:
    """All that a run carries from step to step; a pytree.

    Attributes:
      image: Image being optimised.
      optimizer: State of the optimiser.
      numbers: Scalars of the optimiser, see `NUMBERS`: each may be replaced.
      ema: Exponential moving average of images, not yet corrected for its start.
      ema_left: Share of the average still missing, which corrects it.
      best: Image that "best" or "after_best" returns; empty where neither is asked for.
      best_loss: Lowest loss so far.
      good: Last image whose loss was finite.
      step: Steps done in the whole run.
      end: Steps that the whole run has, infinite if nobody knows.
      cooldown: Steps before the end over which steps shrink to nothing.
      key: PRNG key of the run.
      rule: What of the optimiser is compiled.
    """

    image: PyTree
    optimizer: PyTree
    numbers: PyTree
    ema: PyTree
    ema_left: PyTree
    best: PyTree
    best_loss: PyTree
    good: PyTree
    step: PyTree
    end: PyTree
    cooldown: PyTree
    key: PyTree
    rule: Rule = dataclasses.field(metadata={"static": True})

    def with_numbers(self, **numbers: Any) -> "State":
        """Return the state with other numbers of the optimiser.

        Args:
          **numbers: By name (`learning_rate`, `beta1`, ...): a number or an array,
            tracers included; scalars, of which a batch has one a picture.

        Raises:
          ValueError: For a name that is none of `NUMBERS`.
        """
        for name in numbers:
            check_one_of("number of an optimiser", name, NUMBERS)
        arrays = {
            k: jnp.broadcast_to(jnp.asarray(v, jnp.float32), self.ema_left.shape)
            for k, v in numbers.items()
        }
        return dataclasses.replace(self, numbers=self.numbers | arrays)

    def __repr__(self) -> str:
        """Tell the shape of the image alone."""
        return f"State(image={list(jnp.shape(self.image))})"


def keeps_best(rule: Rule) -> bool:
    """Tell whether the image of the lowest loss may be the result."""
    return rule.returns in ("best", "after_best")


def begin(image: Image, rule: Rule, numbers: dict[str, Any], key: Array) -> State:
    """Make the state of a run of one picture that has not stepped yet.

    Args:
      image: First image, [1, H, W, 3], in the optimiser's scale.
      rule: What of the optimiser is compiled.
      numbers: Its scalars.
      key: PRNG key of the run.
    """
    ema = numbers["ema"].astype(image.dtype)
    return State(
        image=image,
        optimizer=make_optimizer(rule, numbers, 0).init(image),
        numbers=numbers,
        ema=(1 - ema) * image,
        ema_left=ema,
        best=image if keeps_best(rule) else image[:, :0, :0],
        best_loss=jnp.asarray(jnp.inf, image.dtype),
        good=image,
        step=jnp.zeros((), jnp.int32),
        end=jnp.asarray(math.inf, image.dtype),
        cooldown=jnp.ones((), image.dtype),
        key=key,
        rule=rule,
    )


def first_image(start: Start, key: Array) -> Image:
    """Draw the first image of one picture, in [0, 1], as the recipe begins."""
    if start.first is not None:
        return start.first
    return INITS[start.begin.init](key, start.content, start.style, start.zero)


def _one_or_each(start: Start) -> Any:
    """Which leaves of a start have the axis of a batch, as `jax.vmap` takes it."""
    nothing: dict[str, Any] = dict.fromkeys(f.name for f in dataclasses.fields(start))
    for name in ("content", "style", "first"):
        found = getattr(start, name)
        nothing[name] = 0 if found is not None and found.ndim == 5 else None
    numbers = start.numbers.items()
    nothing["numbers"] = {k: 0 if jnp.ndim(v) else None for k, v in numbers}
    nothing["seed"] = 0 if jnp.ndim(start.seed) else None
    nothing["begin"] = start.begin
    return dataclasses.replace(start, **nothing)


def _seeds(seed: Any, start: Start, batch: int | None) -> Array:
    """Return one seed, or one for each member of a batch."""
    seeds = jnp.asarray(start.seed if seed is None else seed)
    wanted = "a whole number" if batch is None else f"a whole number or {batch} of them"
    if seeds.shape not in ([()] if batch is None else [(), (batch,)]):
        raise ValueError(
            f"seed must be {wanted}, got an array of shape {seeds.shape}; use jax.vmap "
            "for several"
        )
    return seeds if batch is None else jnp.broadcast_to(seeds, (batch,))


def init(
    objective: Objective, image: Any = None, optimizer: Any = None, seed: Any = None
) -> State:
    """Make the state of a run that has not stepped yet.

    Args:
      objective: What will be minimised.
      image: First image in [0, 1] (values outside are kept), [H, W, 3], or
        [N, H, W, 3] for a batch; None for what the recipe begins with.
      optimizer: Key of `OPTIMIZERS`, or an `optax.GradientTransformation`; None for the
        recipe's.
      seed: Seed of all random numbers, of which a batch may have N; None for the
        recipe's, 0 in all that jnst has.

    Returns:
      A state of which no two leaves share a buffer, so that it can be donated.

    Raises:
      ValueError: For an unknown optimiser, or an image that is none.
    """
    start, structure = objective.start, objective.structure
    rule = start.begin.rule
    if optimizer is not None:
        rule = rule._replace(optimizer=factory_of(optimizer))
    seeds = _seeds(seed, start, structure.batch)
    if image is not None:
        start = dataclasses.replace(start, first=as_images(image, structure.batch))

    def one(start: Start, seed: Array) -> State:
        first = first_image(start, jax.random.key(seed)) * structure.pixel_scale
        state = begin(first, rule, start.numbers, jax.random.key(seed + 1))
        return kept(state, structure.mesh)

    if structure.batch is None:
        state = one(start, seeds)
    else:
        axes = _one_or_each(start)
        name = BATCH if structure.mesh else None
        state = jax.vmap(one, in_axes=(axes, 0), spmd_axis_name=name)(start, seeds)
    return jax.tree.map(jnp.copy, state)


def shown(objective: Objective, state: State) -> Array:
    """Return the image that a recipe's `returns` means.

    Args:
      objective: What is minimised.
      state: From `init` or `step`.

    Returns:
      RGB in [0, 1], [H, W, 3]; [N, H, W, 3] for a batch.
    """
    known = state.image, state.ema, state.ema_left, state.best, state.best_loss
    return _shown(*known, state.rule.returns, objective.structure.pixel_scale)


def _picture(
    image: Any,
    ema: Any,
    ema_left: Any,
    best: Any,
    best_loss: Any,
    returns: str,
    scale: float,
    xp: Any = jnp,
) -> Any:
    """Choose and clip, by JAX or by NumPy."""
    left = ema_left.reshape(ema_left.shape + (1,) * 4)
    if returns == "ema":
        image = ema / (1 - left)
    elif returns != "last":
        known = xp.isfinite(best_loss).reshape(left.shape)
        image = xp.where(known, best, image)
    return xp.squeeze(xp.clip(image / scale, 0, 1), axis=-4)


_shown = jax.jit(_picture, static_argnums=(5, 6))


def on_host(objective: Objective, state: State) -> np.ndarray:
    """Return `shown` as a NumPy array; a loop over shapes compiles nothing for it."""
    returns = state.rule.returns
    averaged, chosen = returns == "ema", returns not in ("ema", "last")
    known = (
        None if averaged else state.image,
        state.ema if averaged else None,
        state.ema_left,
        state.best if chosen else None,
        state.best_loss if chosen else None,
    )
    scale = objective.structure.pixel_scale
    image, *rest = fetched(known)
    return _picture(image, *rest, returns=returns, scale=scale, xp=np)
