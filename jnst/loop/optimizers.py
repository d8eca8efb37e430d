"""The second part of a recipe, and the table of optimisers.

An optimiser is a factory of an `optax` transformation. It gets, by the names of its
parameters, the numbers of `OptimizerFields`; they are arrays, so that another rate
compiles nothing. To add one, add a row to `OPTIMIZERS`:
`OPTIMIZERS["lion"] = optax.lion` will do.
"""

import dataclasses
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Int

from jnst.base import Number, Scalar, check_one_of, shown
from jnst.bounds import DECAY, FRACTION, POSITIVE, STEPS, Choice, Range
from jnst.fitting import check_hashable, declared, fit_fields, fitted, members
from jnst.loop.lbfgs import torch_lbfgs

RESULTS = ("last", "ema", "best", "after_best")
MOMENTS = ("resized", "rescaled")


def scale_by_adam_tf(
    beta1: float | Scalar, beta2: float | Scalar, epsilon: float | Scalar
) -> optax.GradientTransformation:
    """Scale by Adam as TensorFlow does, epsilon outside the bias correction.

    References:
      Kingma & Ba, ICLR 2015, end of section 2 ("epsilon hat"); `tf.keras.optimizers`.
      It matters where epsilon is as large as the 0.1 of source 000.
    """
    adam = optax.scale_by_adam(b1=beta1, b2=beta2, eps=epsilon)  # type: ignore[arg-type]

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        _, state = adam.update(updates, state, params)
        rate = jnp.sqrt(1 - beta2**state.count) / (1 - beta1**state.count)
        scaled = jax.tree.map(
            lambda m, v: rate * m / (jnp.sqrt(v) + epsilon), state.mu, state.nu
        )
        return scaled, state

    return optax.GradientTransformation(adam.init, update)


def adam(learning_rate: Any, beta1: Any, beta2: Any, epsilon: Any) -> Any:
    """Adam as PyTorch and optax have it (Kingma & Ba, ICLR 2015, algorithm 1)."""
    return optax.adam(learning_rate, beta1, beta2, epsilon)


def adam_tf(learning_rate: Any, beta1: Any, beta2: Any, epsilon: Any) -> Any:
    """Adam as TensorFlow has it, see `scale_by_adam_tf`."""
    scale = scale_by_adam_tf(beta1, beta2, epsilon)
    return optax.chain(scale, optax.scale_by_learning_rate(learning_rate))


def sgd(learning_rate: Any) -> Any:
    """Gradient descent."""
    return optax.sgd(learning_rate)


def lbfgs(memory: int) -> Any:
    """L-BFGS with optax's zoom line search, which chooses the step size."""
    return optax.lbfgs(memory_size=memory)


def lbfgs_torch(learning_rate: Any, memory: int) -> Any:
    """L-BFGS as PyTorch runs it by default, see `torch_lbfgs`."""
    return torch_lbfgs(learning_rate, memory)


OPTIMIZERS: dict[str, Callable[..., Any]] = {
    "adam": adam,
    "adam_tf": adam_tf,
    "sgd": sgd,
    "lbfgs": lbfgs,
    "lbfgs_torch": lbfgs_torch,
}
"""Factories of optimisers by name."""


@fitted
@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizerFields:
    """How the image moves.

    Attributes:
      optimizer: Key of `OPTIMIZERS`; or any `optax.GradientTransformation`, which has
        its own rate and whose schedules count the steps of the whole run.
      learning_rate: Step size, in the units of `pixel_scale`.
      decay_rate: Factor on the learning rate every `decay_steps`, continuously.
      decay_steps: See `decay_rate`.
      cooldown: Share of the last scale's steps over which all steps shrink to nothing
        in the end, linearly, whichever the optimiser (Haegele et al, "Scaling Laws and
        Compute-Optimal Training Beyond Fixed Training Durations", 2024).
      beta1: Adam's decay of the first moment.
      beta2: Adam's decay of the second moment.
      epsilon: Adam's epsilon.
      memory: Pairs that L-BFGS keeps.
      restart_every: Steps after which the optimiser starts afresh; 0 for never.
      moments: How Adam's moments come to the next scale: "resized" alone; or "rescaled"
        too, as the derivatives of losses that are means get smaller with more pixels.
      ema: Decay of the exponential moving average of images; 0 for none.
      returns: Which image is the result: "last", "ema", "best" (lowest loss) or
        "after_best" (the step after the lowest loss, source 004).
      clip: Whether pixels are clipped to their range after every step.
    """

    optimizer: Any = "adam"
    learning_rate: Annotated[Number, POSITIVE] = 0.02
    decay_rate: Annotated[Number, POSITIVE] = 1.0
    decay_steps: Annotated[Number, Range(1)] = 100
    cooldown: Annotated[Number, FRACTION] = 0.0
    beta1: Annotated[Number, DECAY] = 0.9
    beta2: Annotated[Number, DECAY] = 0.999
    epsilon: Annotated[Number, POSITIVE] = 1e-8
    memory: Annotated[int, Range(1, 1000)] = 10
    restart_every: Annotated[int, Range(0, STEPS.high)] = 0
    moments: Annotated[str, Choice(MOMENTS)] = "resized"
    ema: Annotated[Number, DECAY] = 0.0
    returns: Annotated[str, Choice(RESULTS)] = "last"
    clip: bool = True

    def __post_init__(self) -> None:
        """Raise `ValueError` for the first field that no run could use."""
        fit_fields(self)
        factory_of(self.optimizer)
        if self.cooldown and self.optimizer in ("lbfgs", "lbfgs_torch"):
            raise ValueError(
                f"optimizer={self.optimizer} learns from the steps it asked for, which "
                "a cooldown would shorten; set cooldown=0"
            )


NUMBERS = tuple(
    name
    for name, kind in declared(OptimizerFields).items()
    if float in dict(members(kind))
)
"""Fields that are arrays in a program: all that are numbers and not whole ones."""


class Rule(NamedTuple):
    """What of an optimiser is compiled.

    Attributes:
      optimizer: A factory, or a transformation that is as it is.
      memory: See `OptimizerFields`, as all that follows.
      restart_every: Steps.
      moments: How moments come to the next size.
      returns: Which image is the result.
      clip: Whether pixels are clipped.
    """

    optimizer: Any
    memory: int
    restart_every: int
    moments: str
    returns: str
    clip: bool


def factory_of(optimizer: Any) -> Any:
    """Return the factory that a name means, or a transformation as it is.

    Raises:
      ValueError: For an unknown name, or anything else.
    """
    if isinstance(optimizer, str):
        check_one_of("optimizer", optimizer, OPTIMIZERS)
        return OPTIMIZERS[optimizer]
    if not (hasattr(optimizer, "init") and hasattr(optimizer, "update")):
        known = ", ".join(sorted(OPTIMIZERS))
        raise ValueError(
            f"optimizer must be one of {known}, or an optax transformation such as "
            f"optax.adamw(0.1), got {shown(optimizer)}"
        )
    check_hashable("optimizer", optimizer)
    return optimizer


def rule_of(fields: OptimizerFields) -> Rule:
    """Take from the fields what is compiled."""
    rest = (getattr(fields, name) for name in Rule._fields[1:])
    return Rule(factory_of(fields.optimizer), *rest)


def numbers_of(fields: OptimizerFields) -> dict[str, Array]:
    """Take from the fields what is arrays, float32."""
    return {k: jax.device_put(np.float32(getattr(fields, k))) for k in NUMBERS}


def names_used(optimizer: Any) -> Collection[str]:
    """List which fields an optimiser looks at: those its factory has by name."""
    factory = factory_of(optimizer)
    if not callable(factory) or hasattr(factory, "update"):
        return ()
    found = set(inspect.signature(factory).parameters) & {*NUMBERS, "memory"}
    decay = {"decay_rate", "decay_steps"} if "learning_rate" in found else set()
    return found | decay


def searches(state: Any) -> bool:
    """Tell from its state whether an optimiser searches along a line."""
    return bool(optax.tree.get_all_with_path(state, "value"))


def searches_by(rule: Rule, numbers: Mapping[str, Any]) -> bool:
    """Tell whether the optimiser of a rule searches along a line."""
    begin = make_optimizer(rule, numbers, 0).init
    return searches(jax.eval_shape(begin, jnp.zeros((1, 1, 1, 3), jnp.float32)))


def make_optimizer(
    rule: Rule, numbers: Mapping[str, Any], step: Int[Array, ""] | int
) -> optax.GradientTransformationExtraArgs:
    """Build the transformation that a rule and its numbers mean at a step.

    Args:
      rule: What is compiled.
      numbers: Scalars by name, tracers included.
      step: Steps done in the whole run, by which the learning rate decays.
    """
    chosen = {}
    if not hasattr(rule.optimizer, "update"):
        done = jnp.asarray(step, jnp.float32)
        decay = numbers["decay_rate"] ** (done / numbers["decay_steps"])
        known = {**numbers, "memory": rule.memory}
        known["learning_rate"] = numbers["learning_rate"] * decay
        wanted = inspect.signature(rule.optimizer).parameters
        chosen = {name: known[name] for name in known if name in wanted}
    return _mixing_types(rule.optimizer, chosen)


def _mixing_types(
    optimizer: Any, numbers: Mapping[str, Any]
) -> optax.GradientTransformationExtraArgs:
    """Make a transformation that may mix types, as optax's do with counts of steps.

    `jax_numpy_dtype_promotion="strict"` would refuse that.
    """
    with jax.numpy_dtype_promotion("standard"):
        own = optimizer if hasattr(optimizer, "update") else optimizer(**numbers)
        own = optax.with_extra_args_support(own)

    def init(params: Any) -> Any:
        with jax.numpy_dtype_promotion("standard"):
            return own.init(params)

    def update(*arguments: Any, **more: Any) -> Any:
        with jax.numpy_dtype_promotion("standard"):
            return own.update(*arguments, **more)

    return optax.GradientTransformationExtraArgs(init, update)
