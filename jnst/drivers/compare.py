"""Many style losses on one pair of images: same recipe, budget, seed and yardstick.

Every loss is weighed by `style_weight="balance"`, so that all pull as hard at the
start. The yardstick is the same for all and at layers that none of them optimises.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jnst.base import check_one_of
from jnst.drivers.objectives import features
from jnst.drivers.sources import as_array
from jnst.drivers.transfer import stylize
from jnst.image import resize_image
from jnst.loop.history import NonFiniteLossError
from jnst.losses import STYLE_LOSSES, compute

YARDSTICK_LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
YARDSTICKS = ("gram", "sliced_wasserstein")


class Row(NamedTuple):
    """One loss in a comparison.

    Attributes:
      name: Key of `STYLE_LOSSES`.
      image: Picture it gave, float32 [H, W, 3] in [0, 1].
      seconds: Time in the loop.
      first: Its own weighted style term at the first image.
      last: The same at the last step.
      yardsticks: For each of `YARDSTICKS` the distance to the style over that of the
        content image, mean over `YARDSTICK_LAYERS`: 1 for the photograph as it was,
        0 for the style itself.
      error: What stopped it; empty if nothing did.
    """

    name: str
    image: np.ndarray
    seconds: float
    first: float
    last: float
    yardsticks: Mapping[str, float]
    error: str = ""


def _extractor(options: Mapping[str, Any]) -> Callable[[np.ndarray], dict[str, Any]]:
    """Return what the yardsticks look through: a user's features, or the network."""
    own = options.get("extract")
    if own is None:
        return lambda image: features(image, YARDSTICK_LAYERS, options["weights"])
    compiled = jax.jit(own)
    return lambda image: compiled(np.asarray(image, np.float32)[None])


def _distances(
    found: Mapping[str, Any], style: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Distances of features to the style's, by yardstick and layer."""
    key = {"sliced_wasserstein": jax.random.key(0)}
    return {
        name: np.asarray(
            [compute(name, found[k], style[k], key.get(name)) for k in style]
        )
        for name in YARDSTICKS
    }


def _row(
    name: str,
    content: Any,
    style: Any,
    measure: Callable[[np.ndarray], dict[str, float]],
    options: Mapping[str, Any],
) -> Row:
    error, history, start = "", {}, time.perf_counter()
    merged: dict[str, Any] = {"style_weight": "balance", **options, "style_loss": name}
    try:
        result = stylize(content, style, **merged)
        image, seconds, history = result.image, result.seconds, result.history
    except NonFiniteLossError as stopped:
        error, image, history = str(stopped), stopped.image, stopped.history
        seconds = time.perf_counter() - start
    losses = history["style"]
    return Row(
        name, image, seconds, float(losses[0]), float(losses[-1]), measure(image), error
    )


def compare(
    content: Any,
    style: Any,
    *,
    names: Sequence[str] = (),
    on_row: Callable[[Row], None] | None = None,
    **options: Any,
) -> list[Row]:
    """Run each style loss on the same images with the same recipe, budget and seed.

    Args:
      content: As in `jnst.stylize`.
      style: As in `jnst.stylize`; one image.
      names: Keys of `STYLE_LOSSES`; all if empty.
      on_row: Called with each row as it comes.
      **options: Arguments of `jnst.stylize` for all runs, such as `size_px`, `steps`,
        `recipe`, `seed`; `weights` as parameters loads them once; `extract` brings
        features of one's own, through which the yardsticks look too.

    Returns:
      A row a loss. A loss that is not finite has an error and its last good image.

    Raises:
      ValueError: For an unknown loss or option, before any work.
    """
    for name in names:
        check_one_of("style loss", name, STYLE_LOSSES)
    look = _extractor(options)
    rows: list[Row] = []
    reference: dict[str, Any] = {}

    def measure(image: np.ndarray) -> dict[str, float]:
        if not reference:
            shape = (image.shape[0], image.shape[1])
            reference["style"] = look(resize_image(as_array("style", style), shape))
            before = look(resize_image(as_array("content", content), shape))
            reference["before"] = _distances(before, reference["style"])
        after = _distances(look(image), reference["style"])
        before = reference["before"]
        return {k: float(np.mean(after[k] / before[k])) for k in YARDSTICKS}

    for name in names or list(STYLE_LOSSES):
        rows.append(_row(name, content, style, measure, options))
        if on_row:
            on_row(rows[-1])
    return rows
