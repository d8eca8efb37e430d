"""`score`: all metrics of a result at once, features made once for all of them."""

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jnst.base import Params, check_one_of
from jnst.image import check_image, clip_rounding, resize_image
from jnst.metrics.computing import run
from jnst.metrics.features import input_scale
from jnst.metrics.rows import Metric
from jnst.metrics.table import METRICS
from jnst.network.layers import too_small
from jnst.network.vgg import extract
from jnst.weights import load_at_hand, load_weights
from jnst.weights.places import ENVIRONMENT
from jnst.weights.sources import DEFAULT_SOURCE


class Scores(NamedTuple):
    """What metrics say of a result.

    Attributes:
      values: By name of metric; of a batch the mean.
      left_out: Why a metric was not computed, by its name.
    """

    values: dict[str, float]
    left_out: dict[str, str]


class _Pictures(NamedTuple):
    """The pictures of a score, each [N, H, W, 3], contents of the results' size."""

    result: np.ndarray
    content: np.ndarray
    style: np.ndarray


def _as_batch(what: str, images: Any) -> np.ndarray:
    """Return one picture or several as float32 [N, H, W, 3].

    Raises:
      ValueError: If they are none.
    """
    found = np.asarray(images)
    found = found[None] if found.ndim == 3 else found
    if found.ndim != 4 or not len(found):
        raise ValueError(
            f"{what} must be [H, W, 3] or [N, H, W, 3], got {list(np.shape(images))}"
        )
    for each in found:
        check_image(what, each)
    return clip_rounding(what, found).astype(np.float32)


def _pictures(result: Any, content: Any, style: Any) -> _Pictures:
    batches = [
        _as_batch(what, images)
        for what, images in (("result", result), ("content", content), ("style", style))
    ]
    for what, batch in zip(("content", "style"), batches[1:], strict=True):
        if len(batch) not in (1, len(batches[0])):
            raise ValueError(
                f"{what} must be one image or {len(batches[0])}, as many as results, "
                f"got {len(batch)}"
            )
    shape = (batches[0].shape[1], batches[0].shape[2])
    content = np.stack([resize_image(each, shape) for each in batches[1]])
    return _Pictures(batches[0], content, batches[2])


@functools.lru_cache(maxsize=2)
def _named_network(name: str | None, environment: str | None) -> Params:
    if name is None and not environment:
        # Nothing is downloaded to judge a picture.
        return load_at_hand(DEFAULT_SOURCE, "the extra 'weights'")
    return load_weights(name)


def _network(weights: Any) -> Params:
    if isinstance(weights, Mapping):
        return dict(weights)
    name = None if weights is None else os.fspath(weights)
    return _named_network(name, os.environ.get(ENVIRONMENT))


@functools.partial(jax.jit, static_argnames="layers")
def _look(params: Params, images: Array, scale: Any, *, layers: tuple[str, ...]) -> Any:
    return jax.tree.map(lambda x: x / scale, extract(params, images, layers))


def _layers(names: Sequence[str], what: str) -> tuple[str, ...]:
    """List the layers at which metrics look at a picture."""
    rows = [METRICS[name] for name in names]
    used = [row.layers for row in rows if what in ("result", row.reference)]
    return tuple(sorted({layer for layers in used for layer in layers}))


def _looker(
    pictures: _Pictures, names: Sequence[str], load: Callable[[], Params]
) -> Callable[[str], dict[str, Array]]:
    """Return what looks at a picture the first time it is asked for."""

    @functools.cache
    def look(what: str) -> dict[str, Array]:
        layers, scale = _layers(names, what), np.float32(input_scale(load()))
        return _look(load(), getattr(pictures, what), scale, layers=layers)

    return look


def _reason(row: Metric, pictures: _Pictures, load: Callable[[], Params]) -> str:
    """Say why a metric cannot be computed; "" if it can."""
    for what in ("result", row.reference):
        shape = getattr(pictures, what).shape[1:3]
        if min(shape) < row.least:
            return too_small(shape, "the metric", row.least, given=what)
    try:
        if row.load:
            row.load()
        elif row.layers:
            load()
    except FileNotFoundError as error:
        return str(error)
    return ""


def check_possible(name: str, smallest: tuple[int, int]) -> None:
    """Raise for a metric that was asked for by name and cannot be computed.

    Args:
      name: Key of `METRICS`.
      smallest: Height and width of the smallest picture it will see.

    Raises:
      ValueError: Naming it, and why.
    """
    row = METRICS[name]
    try:
        if min(smallest) < row.least:
            raise ValueError(too_small(smallest, "it", row.least, given="a picture"))
        _ = row.load() if row.load else None
    except (ValueError, FileNotFoundError) as error:
        raise ValueError(f"metric {name!r} cannot be computed: {error}") from None


def _value(
    name: str, pictures: _Pictures, look: Callable[[str], dict[str, Array]]
) -> float:
    """Compute one metric, the mean over a batch."""
    row = METRICS[name]
    pair = []
    for what in ("result", row.reference):
        if row.layers:
            found: Any = {layer: look(what)[layer] for layer in row.layers}
            found = found[row.layers[0]] if row.takes == "maps" else found
        else:
            found = jnp.asarray(getattr(pictures, what))
        pair.append(found)
    alone = len(getattr(pictures, row.reference)) == 1
    reference = jax.tree.map(lambda x: x[0], pair[1]) if alone else pair[1]
    arrays = row.load() if row.load else None
    each = run(pair[0], reference, arrays, name, axes=(0, None if alone else 0))
    return float(jnp.mean(each))


def scores_and_reasons(
    result: Any,
    content: Any,
    style: Any,
    *,
    names: Sequence[str] | None = None,
    weights: Any = None,
    strict: bool = False,
    on_metric: Callable[[str], object] | None = None,
) -> Scores:
    """Compute what metrics can be computed, and say why others cannot.

    Args:
      result: As in `score`, as all that follows.
      content: The content picture.
      style: The style picture.
      names: Keys of `METRICS`; all if absent.
      weights: The VGG.
      strict: Whether a metric that cannot be computed is an error, before any work.
      on_metric: Called with the name of each metric, once it is done.

    Returns:
      Values and reasons: a picture too small, or weights that are not installed.

    Raises:
      ValueError: For an unknown metric, for what is no picture, or if `strict`.
    """
    chosen = list(METRICS) if names is None else list(names)
    for name in chosen:
        check_one_of("metric", name, METRICS)
    pictures = _pictures(result, content, style)
    load = functools.cache(lambda: _network(weights))
    reasons = {name: _reason(METRICS[name], pictures, load) for name in chosen}
    left_out = {name: reason for name, reason in reasons.items() if reason}
    if strict and left_out:
        name, reason = next(iter(left_out.items()))
        raise ValueError(f"metric {name!r} cannot be computed: {reason}")
    able = [name for name in chosen if name not in left_out]
    look, values = _looker(pictures, able, load), {}
    for name in able:
        values[name] = _value(name, pictures, look)
        if on_metric:
            on_metric(name)
    return Scores(values, left_out)


def score(
    result: Any,
    content: Any,
    style: Any,
    *,
    names: Sequence[str] | None = None,
    weights: Any = None,
) -> dict[str, float]:
    """Judge a result by many metrics.

    Args:
      result: Float array [H, W, 3] in [0, 1], or [N, H, W, 3]: the mean over them.
      content: The content; resized to the results' size where it has another, with
        Pillow's bicubic filter. One for all, or one a result.
      style: The style, of any size, never resized. One for all, or one a result.
      names: Keys of `METRICS`; if absent all that can be computed with what is
        installed and at this size, see `scores_and_reasons`.
      weights: Name or path of a VGG's weights, or parameters, for `cfsd`, `frechet`,
        `gram` and `sliced_wasserstein`; as in `jnst.stylize`. Maps are divided by
        `jnst.metrics.features.input_scale`; published numbers of CFSD are
        torchvision's, "vgg19_torch".

    Returns:
      {name: value}, in the order of `names`.

    Raises:
      ValueError: For an unknown metric, for what is no picture, or for a metric that
        was asked for by name and cannot be computed.
    """
    strict, how = names is not None, {"names": names, "weights": weights}
    return scores_and_reasons(result, content, style, strict=strict, **how).values
