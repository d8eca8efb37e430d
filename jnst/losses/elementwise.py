"""Small functions that several families share, safe to differentiate everywhere."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from jnst.base import Scalar


def absolute(x: Shaped[Array, "..."]) -> Shaped[Array, "..."]:
    """Take absolute values, with derivative 0 at 0 (JAX's own says +1)."""
    return x * jax.lax.stop_gradient(jnp.sign(x))


def power(x: Shaped[Array, "..."], exponent: float) -> Shaped[Array, "..."]:
    """Raise x >= 0 to a power > 0, with derivative 0 at 0 (JAX's own says NaN)."""
    positive = x > 0
    return jnp.where(positive, jnp.where(positive, x, 1) ** exponent, 0)


def scaled_squares(difference: Float[Array, "..."], epsilon: float) -> Scalar:
    """Divide the sum of squares by the sum of absolute values.

    Args:
      difference: Any array.
      epsilon: Added to the denominator.

    Returns:
      Scalar >= 0 of degree 1; its gradient has an L1 norm of about 1.

    References:
      crowsonkb/style-transfer-pytorch, `ScaledMSELoss`.
    """
    return jnp.sum(difference**2) / (jnp.sum(absolute(difference)) + epsilon)
