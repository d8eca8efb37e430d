"""What metrics say of a cell's picture, and of the content picture as it was.

Every method is judged alike: the picture as an 8-bit file has it, beside the content at
its size and the style at `size_px`, neither enlarged, through one VGG.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jnst.base import check_one_of
from jnst.image import fit_shape, resize_image
from jnst.metrics import METRICS, check_possible, scores_and_reasons
from jnst.recipes.schedule import Shape
from jnst.studying.pictures import Picture, pixels_of

DEFAULT_METRICS = (
    "ssim",
    "lpips_alex",
    "dists",
    "cfsd",
    "histogram",
    "colour",
    "gram",
    "sliced_wasserstein",
    "frechet",
)
"""Judges of content, then of style; those whose weights are missing are left out."""


def make_metrics(names: Sequence[str] | str | None) -> list[str]:
    """Check names of metrics; `DEFAULT_METRICS` for None.

    Raises:
      ValueError: For an unknown one, or one that is there twice.
    """
    if names is None:
        return list(DEFAULT_METRICS)
    chosen = [names] if isinstance(names, str) else list(names)
    for n, name in enumerate(chosen):
        check_one_of("metric", name, METRICS)
        if name in chosen[:n]:
            raise ValueError(f"metric {name!r} is there twice")
    return chosen


def judged_shapes(
    pictures: Mapping[str, Sequence[Picture]], size_px: int
) -> dict[str, list[Shape]]:
    """Return the shapes that results, as contents, and styles are judged at."""
    return {
        kind: [
            fit_shape(each.shape, size_px, enlarge=kind == "content")
            for each in several
        ]
        for kind, several in pictures.items()
    }


def check_metrics(names: Sequence[str], shapes: Mapping[str, Sequence[Shape]]) -> None:
    """Raise for a metric that was asked for by name and cannot be computed.

    Args:
      names: Keys of `METRICS`.
      shapes: From `judged_shapes`.

    Raises:
      ValueError: Naming it, and why.
    """
    for name in names:
        styles = shapes["style"] if METRICS[name].reference == "style" else ()
        check_possible(name, min([*shapes["content"], *styles], key=min))


def eight_bits(image: np.ndarray) -> np.ndarray:
    """Return an image as it is read back from an 8-bit file."""
    levels = np.rint(np.clip(np.asarray(image, np.float64), 0, 1) * 255)
    return (levels / 255).astype(np.float32)


def judged_style(style: Picture, size_px: int) -> np.ndarray:
    """Return a style at the size that results are judged at: never enlarged."""
    shape = fit_shape(style.shape, size_px, enlarge=False)
    return np.clip(resize_image(pixels_of(style), shape), 0, 1)


def judge(
    image: np.ndarray,
    content: np.ndarray,
    style: np.ndarray,
    *,
    names: Sequence[str],
    weights: Any,
) -> dict[str, Any]:
    """Judge a picture.

    Args:
      image: The picture, [H, W, 3] in [0, 1], as from `eight_bits`.
      content: The content picture, of any size.
      style: From `judged_style`.
      names: Keys of `METRICS`.
      weights: Of the judges' VGG, as in `jnst.metrics.score`.

    Returns:
      {metric: value, or None where it cannot be computed}, and "left_out": why.
    """
    values, why = scores_and_reasons(
        image, content, style, names=names, weights=weights
    )
    found: dict[str, Any] = {name: values.get(name) for name in names}
    found["left_out"] = "; ".join(f"{name}: {text}" for name, text in why.items())
    return found


def missing(record: dict[str, Any], names: Sequence[str]) -> list[str]:
    """List the metrics that a record has no value of."""
    return [name for name in names if record.get(name) is None]
