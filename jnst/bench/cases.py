"""What is measured: a recipe at a size, and the pictures it is fed.

Pictures are synthetic and seeded, so that two machines run the same numbers. To
measure along another axis (optimiser, backbone, a new field), change the recipe or the
weights of a case: nothing here knows which fields a recipe has.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jnst.base import check_one_of
from jnst.losses import STYLE_LOSSES
from jnst.recipes.changing import resolve
from jnst.recipes.recipe import Recipe

OBJECTIVE = Recipe(tv_weight=1e6, content_weight=1e3, learning_rate=0.02)
"""Gram matrices at relu1_1 .. relu5_1, content at relu4_2, total variation, Adam: what
most code bases share, so that peers can run it too. Weights make all terms count."""


class Case(NamedTuple):
    """One thing to measure; its row in a report is named by these fields.

    Attributes:
      recipe: What a step does: losses, type, optimiser and all else.
      size_px: Side of the square image.
      batch: Images optimised together in one program.
      label: What the recipe is called in a report.
      mode: One of `jnst.bench.modes.MODES`: the whole step, or a part of it.
      devices: What it is split over, as `jnst.scale.meshes.make_mesh` reads it.
      scaling: "strong" or "weak", where it is one of several numbers of devices.
      base_px: Side of the image on the first of these; 0 where there is one number.
    """

    recipe: Recipe
    size_px: int
    batch: int = 1
    label: str = "objective"
    mode: str = "step"
    devices: str = "1"
    scaling: str = ""
    base_px: int = 0


class Pictures(NamedTuple):
    """What a case starts from, RGB in [0, 1], float32.

    Attributes:
      first: Images before the first step, [N, 1, size, size, 3].
      contents: Content images, the same shape.
      style: The one style image, [1, size, size, 3].
    """

    first: np.ndarray
    contents: np.ndarray
    style: np.ndarray


def _picture(size_px: int, seed: int) -> np.ndarray:
    """Draw coloured waves with a little noise, [1, size, size, 3]."""
    rng = np.random.default_rng(seed)
    axis = np.arange(size_px, dtype=np.float32)
    periods = rng.uniform(6, 60, (2, 3)).astype(np.float32)
    phases = rng.uniform(0, 2 * np.pi, (2, 3)).astype(np.float32)
    rows, columns = np.sin(2 * np.pi * axis[:, None, None] / periods + phases).swapaxes(
        0, 1
    )
    noise = rng.uniform(-0.15, 0.15, (size_px, size_px, 3)).astype(np.float32)
    waves = 0.5 + (rows[:, None] + columns[None]) / 6 + noise
    return np.clip(waves, 0, 1)[None]


def make_pictures(case: Case) -> Pictures:
    """Make the pictures of a case, always the same ones.

    Args:
      case: Its `size_px` and `batch` decide.

    Returns:
      The style, and for each image of the batch a content and a first image of its
      own: were the first image the content, a content loss would begin at 0.
    """
    numbers = range(case.batch)
    first = [_picture(case.size_px, 1 + 2 * n) for n in numbers]
    contents = [_picture(case.size_px, 2 + 2 * n) for n in numbers]
    style = _picture(case.size_px, 0)
    return Pictures(np.stack(first), np.stack(contents), style)


def with_loss(recipe: Recipe, loss: str) -> Recipe:
    """Give a recipe another style loss, of weight 1: a weight changes no time.

    Raises:
      ValueError: If there is no such loss.
    """
    check_one_of("style loss", loss, STYLE_LOSSES)
    changed = resolve(recipe, {"style_loss": loss})
    if changed.style_weight == "balance":
        changed = dataclasses.replace(changed, style_weight=1.0)
    return changed


def make_cases(
    recipe: Recipe,
    sizes: Sequence[int],
    *,
    dtypes: Sequence[str] = (),
    precisions: Sequence[str] = (),
    losses: Sequence[str] = (),
    batches: Sequence[int] = (1,),
    optimizers: Sequence[str] = (),
    modes: Sequence[str] = ("step",),
    label: str = "objective",
) -> list[Case]:
    """Cross a recipe with sizes, types, losses, optimisers, batches and so on.

    Args:
      recipe: What to start from.
      sizes: Sides of the square image, at least 1.
      dtypes: Values of `Recipe.dtype`; empty for the recipe's own.
      precisions: Values of `Recipe.precision`; empty for the recipe's own.
      losses: Keys of `STYLE_LOSSES`; empty for the recipe's own.
      batches: Images in one program, at least 1.
      optimizers: Keys of `OPTIMIZERS`; empty for the recipe's own.
      modes: See `Case`.
      label: See `Case`.

    Returns:
      Cases, sizes varying fastest.

    Raises:
      ValueError: For a value no run could use.
    """
    for what, values in (("size", sizes), ("batch", batches)):
        for value in values:
            if value < 1:
                raise ValueError(f"{what} must be at least 1, got {value}")
    return [
        Case(
            dataclasses.replace(
                with_loss(recipe, loss),
                dtype=dtype,
                precision=precision,
                optimizer=optimizer,
            ),
            size_px,
            batch,
            label,
            mode,
        )
        for loss in losses or [recipe.style_loss]
        for optimizer in optimizers or [recipe.optimizer]
        for dtype in dtypes or [recipe.dtype]
        for precision in precisions or [recipe.precision]
        for batch in batches
        for mode in modes
        for size_px in sizes
    ]
