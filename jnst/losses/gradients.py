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

    @jax.custom_jvp
    def wrapped(features: Any, *arguments: Any) -> Scalar:
        return loss(features, *arguments)

    @wrapped.defjvp
    def tangent(primals: tuple[Any, ...], changes: tuple[Any, ...]) -> Any:
        value, gradient = jax.value_and_grad(loss)(*primals)
        scaled = jax.tree.map(_unit_l1, gradient)
        products = jax.tree.map(lambda g, c: jnp.sum(g * c), scaled, changes[0])
        return value, jax.tree.reduce(jnp.add, products).astype(value.dtype)

    return wrapped
