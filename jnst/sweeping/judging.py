"""Metrics of a sweep's pictures: which, whether they can be computed, and their values.

Content and style are what the run has seen at its last size, so that pictures of one
size are judged against the same.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jnst.base import check_one_of, shown
from jnst.drivers.plan import Plan
from jnst.metrics import METRICS, check_possible, scores_and_reasons
from jnst.recipes.schedule import Shape, resized_to

USUAL = ("lpips_alex", "cfsd", "ssim", "histogram", "colour", "gram")
USUAL += ("sliced_wasserstein",)
"""Metrics of a sweep that asks for none by name: those of them that can be computed."""


def check_metrics(
    names: Sequence[str] | None, *, content: bool, shapes: Sequence[Shape]
) -> tuple[str, ...]:
    """Return the metrics to compute, before any work.

    Args:
      names: Keys of `METRICS`; None for the usual ones.
      content: Whether there is a content picture.
      shapes: Heights and widths of results and styles.

    Raises:
      ValueError: For one that is unknown, or asked for by name and not to be computed.
    """
    if names is None:
        return tuple(k for k in USUAL if content or METRICS[k].reference == "style")
    if isinstance(names, str):
        raise ValueError(f"metrics must be a list of names, got {shown(names)}")
    least = min(shapes, key=min)
    for name in names:
        check_one_of("metric", name, METRICS)
        if METRICS[name].reference == "content" and not content:
            raise ValueError(f"metric {name!r} needs a content picture")
        check_possible(name, least)
    return tuple(dict.fromkeys(names))


def judge(
    image: np.ndarray, plan: Plan, names: Sequence[str], weights: Any
) -> dict[str, float]:
    """Compute metrics of a result; NaN for those that cannot be computed.

    Args:
      image: The result, [H, W, 3] in [0, 1]; one without pixels has no metrics.
      plan: Its plan.
      names: Keys of `METRICS`.
      weights: The VGG of metrics that need one; None for the usual one.
    """
    unknown = dict.fromkeys(names, float("nan"))
    if not names or not image.size:
        return unknown
    last, schedule = plan.stages[-1], plan.recipe.schedule
    style = resized_to(plan.styles[0].pixels, last.styles[0], schedule)[0]
    content = image
    if plan.content is not None:
        content = resized_to(plan.content.pixels, last.shape, schedule)[0]
    scores = scores_and_reasons(image, content, style, names=names, weights=weights)
    return unknown | scores.values
