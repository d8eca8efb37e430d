"""`compute`: one metric of arrays; `as_loss`: the same as a term of an objective."""

import functools
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jnst.base import check_one_of, shown
from jnst.fitting import fit
from jnst.losses.rows import OPTION_RANGES, option_names
from jnst.metrics.rows import Metric
from jnst.metrics.table import METRICS
from jnst.network.vgg import extract
from jnst.weights import load_weights


def _as_array(what: str, array: Any, row: Metric) -> Array:
    """Return a picture or map, or a batch of them, in floats."""
    given = jnp.asarray(array)
    floats = jnp.issubdtype(given.dtype, jnp.floating)
    channels = "C" if row.takes == "maps" else "3"
    wrong = row.takes != "maps" and given.shape[-1:] != (3,)
    if given.ndim not in (3, 4) or wrong or not floats or 0 in given.shape:
        raise ValueError(
            f"{what} must be floats [H, W, {channels}] or [N, H, W, {channels}], got "
            f"{shown(array)} of type {given.dtype}"
        )
    return given


def _axes(result: Array, reference: Array) -> tuple[int | None, int | None]:
    """Tell which of two arrays are batches.

    Raises:
      ValueError: If they are batches of different numbers.
    """
    axes = tuple(0 if each.ndim == 4 else None for each in (result, reference))
    if axes == (0, 0) and len(result) != len(reference):
        raise ValueError(
            f"result and reference are batches of {len(result)} and {len(reference)}"
        )
    return axes[0], axes[1]


def _checked(name: str, options: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Return options in order, once they are known and of their types.

    Raises:
      ValueError: For the first that is not.
    """
    function = METRICS[name].function
    known = [each for each in option_names(function) if each != "weights"]
    found = {}
    for option, value in options.items():
        if not known:
            raise ValueError(f"metric {name!r} takes no options, got {shown(option)}")
        check_one_of(f"option of metric {name!r}", option, known)
        kind = Annotated[function.__annotations__[option], OPTION_RANGES.get(option)]
        found[option] = fit(f"{option} of metric {name!r}", value, kind)
    return tuple(sorted(found.items()))


def _one(row: Metric, options: Any, weights: Any, result: Any, reference: Any) -> Array:
    """Compute a metric of one pair of pictures, maps, or maps by layer."""
    function = functools.partial(row.function, **dict(options))
    if row.load:
        function = functools.partial(function, weights=weights)
    if row.layers and weights is not None:
        found = [extract(weights, x[None], row.layers) for x in (result, reference)]
        result, reference = jax.tree.map(lambda maps: maps[0], found)
    return function(result, reference)


@functools.partial(jax.jit, static_argnames=("name", "options", "axes"))
def run(
    result: Any,
    reference: Any,
    weights: Any,
    name: str,
    *,
    axes: tuple[int | None, int | None],
    options: tuple[tuple[str, Any], ...] = (),
) -> Array:
    """Compute a metric of arrays that have been checked.

    Args:
      result: Pictures, maps, or {layer: maps}.
      reference: The same.
      weights: Arrays that it computes with. A VGG looks at pictures; where features
        are given there is None.
      name: Key of `METRICS`.
      axes: Where each is a batch, 0 or None.
      options: Of the metric's function.

    Returns:
      Scalar, or [N].
    """
    one = functools.partial(_one, METRICS[name], options, weights)
    if axes == (None, None):
        return one(result, reference)
    return jax.vmap(one, in_axes=axes)(result, reference)


def arrays_of(row: Metric, weights: Any) -> Any:
    """Return the arrays that a metric computes with: given, or found."""
    if row.load:
        return row.load() if weights is None else weights
    if row.layers and row.takes == "images":
        return weights if isinstance(weights, Mapping) else load_weights(weights)
    if weights is not None:
        raise ValueError("weights are of no use to a metric of pixels or of maps")
    return None


def compute(
    name: str,
    result: Any,
    reference: Any,
    *,
    weights: Any = None,
    **options: Any,
) -> Array:
    """Compute a metric, by the formula of its source.

    It is pure on JAX arrays: it can be jitted, mapped and differentiated by `result`.

    Args:
      name: Key of `METRICS`.
      result: What is judged: pictures in [0, 1], [H, W, 3] or [N, H, W, 3]; for
        `cfsd` and `frechet` feature maps [H, W, C] or [N, H, W, C].
      reference: What it is compared with, the content or the style; one for all, or
        one a result.
      weights: For `gram` and `sliced_wasserstein` the VGG, as in `jnst.stylize`; for
        metrics with learned weights what `METRICS[name].load()` returns, which is
        loaded if absent.
      **options: Keyword arguments of the metric's function, such as `bins`.

    Returns:
      Scalar, or [N] for batches.

    Raises:
      ValueError: For an unknown metric or option, or arrays of a shape that will not
        do.
      FileNotFoundError: For missing weights, naming what to install.
    """
    check_one_of("metric", name, METRICS)
    row = METRICS[name]
    found = _checked(name, options)
    pair = [
        _as_array(what, array, row)
        for what, array in (("result", result), ("reference", reference))
    ]
    axes = _axes(pair[0], pair[1])
    arrays = arrays_of(row, weights)
    return run(pair[0], pair[1], arrays, name, axes=axes, options=found)


def as_loss(
    name: str, reference: Any, *, weights: Any = None, **options: Any
) -> Callable[[Mapping[str, Array]], Array]:
    """Make a metric a loss, for a term of an objective.

    Args:
      name: Key of `METRICS`.
      reference: What the image is compared with, see `compute`.
      weights: See `compute`.
      **options: See `compute`.

    Returns:
      Function from {layer: features [1, h, w, C]} of a single layer to a scalar, for
      `jnst.Term("ssim", as_loss("ssim", content), ("image",))`: the metric, or 1
      minus it where higher is better.

    Raises:
      ValueError: For an unknown metric.
      FileNotFoundError: For missing weights.
    """
    check_one_of("metric", name, METRICS)
    row = METRICS[name]
    arrays = arrays_of(row, weights)
    fixed = jnp.asarray(reference)

    def loss(features: Mapping[str, Array]) -> Array:
        (found,) = features.values()
        # Else XLA would compute what is made of the reference while it compiles, by a
        # slow interpreter: a minute for the sorted colours of 128 px.
        target, known = jax.lax.optimization_barrier((fixed, arrays))
        value = compute(name, found, target, weights=known, **options)[0]
        return 1 - value if row.better == "higher" else value

    return loss
