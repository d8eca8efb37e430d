"""What is done to a loss's gradient rather than to its value."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jnst.base import Scalar

EPSILON = 1e-8


def _unit_l1(gradient: jax.Array) -> jax.Array:
    return gradient / (jnp.sum(jnp.abs(gradient)) + EPSILON)


def normalise_gradient(loss: Callable[..., Scalar]) -> Callable[..., Scalar]:
    """Give a feature loss a gradient whose L1 norm is 1 at every layer.

    Args:
      loss: Function of features, or of a {layer: features}, and of other arguments
        that nothing differentiates. A weight outside of it stays a weight.

    Returns:
      The loss with the same value; its gradient is divided by its L1 norm + 1e-8, for
      each layer by itself.

    References:
      jcjohnson/neural-style, `normalize_gradients`. In neural-style-pt the flag of that
      name divides the gradient of the scalar loss, which squares the weight instead.
    """

    @jax.custom_vjp
    def wrapped(features: Any, *arguments: Any) -> Scalar:
        return loss(features, *arguments)

    def forward(features: Any, *arguments: Any) -> tuple[Scalar, Any]:
        value, gradient = jax.value_and_grad(loss)(features, *arguments)
        return value, (jax.tree.map(_unit_l1, gradient), arguments)

    def backward(saved: Any, cotangent: Scalar) -> tuple[Any, ...]:
        gradient, arguments = saved
        scaled = jax.tree.map(lambda leaf: cotangent * leaf, gradient)
        return scaled, *(None for _ in arguments)

    wrapped.defvjp(forward, backward)
    return wrapped
