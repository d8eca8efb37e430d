"""What goes into a run and what comes out of it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jnst.recipe import Recipe
from jnst.schedule import Source, Stage

History = dict[str, np.ndarray]


class Progress(NamedTuple):
    """What a run tells after each chunk of steps.

    Attributes:
      step: Steps done in all sizes together.
      steps: Steps of the whole run.
      shape: Height and width of the image now.
      losses: "loss" and every weighted term at the last step.
      image: The image so far, float32 [H, W, 3] in [0, 1].
      seconds: Time in the loop so far, without compilation.
    """

    step: int
    steps: int
    shape: tuple[int, int]
    losses: dict[str, float]
    image: np.ndarray
    seconds: float


class Plan(NamedTuple):
    """What is about to run.

    Attributes:
      stages: Sizes and steps from coarse to fine.
      recipe: The recipe in effect.
      weights: Provenance of the weights file; empty for parameters given as arrays.
    """

    stages: list[Stage]
    recipe: Recipe
    weights: dict[str, str]


class Result(NamedTuple):
    """What a run gives.

    Attributes:
      image: NumPy float32 [H, W, 3] in [0, 1].
      history: "loss" and every weighted term, one value a step; entry i is the
        objective at the image before the i-th update.
      recipe: The recipe in effect.
      seconds: Wall time of the loop, without compilation and file work.
      compile_seconds: Time of compilation; about 0 for shapes seen before.
      stages: Sizes and steps from coarse to fine.
      weights: Provenance of the weights file; empty for parameters given as arrays.
    """

    image: np.ndarray
    history: History
    recipe: Recipe
    seconds: float
    compile_seconds: float
    stages: list[Stage]
    weights: dict[str, str] = {}


class NonFiniteLossError(FloatingPointError):
    """A loss that became NaN or infinite, and the run up to it.

    Attributes:
      image: The last image whose loss was finite, float32 [H, W, 3] in [0, 1].
      history: History up to and including the step at fault.
    """

    def __init__(self, message: str, image: np.ndarray, history: History) -> None:
        """Keep the last good image and the history beside the message."""
        super().__init__(message)
        self.image = image
        self.history = history


class Inputs(NamedTuple):
    """What a run starts from.

    Attributes:
      content: Content image; None for a texture.
      styles: Style images.
      blend: Weight of each style, summing to 1.
      init: First image, in [0, 1] with values outside kept; None for the recipe's.
      reference: Recipe that `style_weight="balance"` measures by.
    """

    content: Source | None
    styles: Sequence[Source]
    blend: Sequence[float]
    init: np.ndarray | None
    reference: Recipe | None = None
