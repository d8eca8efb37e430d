"""What every other module may know: array aliases, checks and the error of a run.

Arrays are NHWC with a batch of one. Names are kept out of the shapes of the
aliases (`_`), because a named axis would bind across arguments and force content
and style to one size.
"""

import functools
from collections.abc import Collection
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from jnst.guesses import did_you_mean, nearest

Image = Float[Array, "1 _ _ 3"]
Images = Float[Array, "_ _ _ 3"]
FeatureMap = Float[Array, "1 _ _ _"]
FeatureMaps = Float[Array, "_ _ _ _"]
Features = dict[str, FeatureMap]
Scalar = Float[Array, ""]
Statistic = PyTree[Array]
Params = dict[str, dict[str, Array]]
"""Arrays of a network: `{"preprocess": {"kernel", "bias"}, "conv1_1": {...}, ...}`.

`preprocess` maps RGB pixels in [0, 1] to the network's input as a 1x1 convolution,
kernel [3, 3] (in, out) and bias [3]. Every `convB_N` has a kernel [3, 3, I, O] and a
bias [O].
"""


HIGHEST = jax.lax.Precision.HIGHEST
"""Precision of every product but the network's convolutions: float32 itself, where an
accelerator left to itself rounds factors to bfloat16 or TF32."""
matmul = functools.partial(jnp.matmul, precision=HIGHEST)
vdot = functools.partial(jnp.vdot, precision=HIGHEST)

Number = float | int
"""A number that is kept as a float: 1 is meant as 1.0."""
Options = tuple[tuple[str, Any], ...]
"""Options of a loss, (name, value) pairs."""


SHOWN = 60
"""Characters of a value that a message shows."""


def shown(value: Any) -> str:
    """Return a value as a message shows it: in a line, not at length."""
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape:
        return f"an array of shape {shape}"
    try:
        text = " ".join(repr(value).split())
    except Exception:  # of a user's class, or of a number of thousands of digits
        return f"a value of {type(value).__name__}"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def check_one_of(what: str, value: Any, options: Collection[str]) -> None:
    """Raise `ValueError` naming the closest option if `value` is not in `options`."""
    text = isinstance(value, str)
    if text and value in options:
        return
    guess = did_you_mean(nearest(value, options)) if text else ""
    known = ", ".join(sorted(options))
    raise ValueError(f"unknown {what} {shown(value)}.{guess} Options: {known}")


def check_same_shape(what: str, first: jax.Array, second: jax.Array) -> None:
    """Raise `ValueError` if two arrays differ in shape: broadcasting would hide it."""
    if first.shape != second.shape:
        raise ValueError(
            f"{what} must have the same shape, got {first.shape} and {second.shape}"
        )


def check_positive(what: str, value: float) -> None:
    """Raise `ValueError` unless `value` is above zero."""
    if not value > 0:
        raise ValueError(f"{what} must be above 0, got {value}")


def statistics_dtype(features: FeatureMap) -> Any:
    """Return the type of a map's statistics: the map's own, float32 at least."""
    half = jnp.finfo(features.dtype).bits < 32
    return jnp.float32 if half else features.dtype


def as_statistics_dtype(features: FeatureMap) -> FeatureMap:
    """Widen half-precision features to float32; float32 and float64 stay.

    For what subtracts or squares a map: of values near a mean bfloat16 would leave two
    or three digits. Products of maps as they are need no copy: `jnst.losses.products`.
    """
    return features.astype(statistics_dtype(features))
