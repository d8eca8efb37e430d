"""What comes out of a run."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from jnst.files import StrPath
from jnst.image import encode_png, load_alpha, resize_alpha, save_image
from jnst.loop.history import History
from jnst.loop.iterate import Event
from jnst.loop.state import State
from jnst.recipes.recipe import Recipe
from jnst.recipes.schedule import Stage


class Progress(NamedTuple):
    """What a run tells after each chunk of steps.

    Attributes:
      step: Steps done in all sizes together.
      steps: Steps of the whole run.
      shape: Height and width of the image now.
      losses: "loss" and every weighted term at the last step; of a batch, the means.
      image: The image so far, float32 [H, W, 3] in [0, 1]; [N, H, W, 3] for a batch.
      seconds: Time in the loop so far, without compilation.
      history: Losses at the steps of this chunk, as `Result.history` holds them.
    """

    step: int
    steps: int
    shape: tuple[int, int]
    losses: dict[str, float]
    image: np.ndarray
    seconds: float
    history: Mapping[str, np.ndarray]


class Begun(NamedTuple):
    """Where a run was when it was stopped, from which it goes on.

    Attributes:
      plan: The plan, whose weights are the numbers that were found as it began.
      state: What the last step left.
      history: Losses of all steps so far.
      seconds: Time in the loop so far.
      compile_seconds: Time of compilation so far.
    """

    plan: Any
    state: State
    history: History
    seconds: float
    compile_seconds: float


def progress_of(event: Event) -> Progress:
    """Tell a user what an event means."""
    image = event.image
    latest = {k: float(np.mean(v[..., -1])) for k, v in event.losses.items()}
    shape = image.shape[-3], image.shape[-2]
    spent, losses = event.seconds, event.losses
    return Progress(event.step, event.steps, shape, latest, image, spent, losses)


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Result:
    """What a run gives.

    Attributes:
      image: NumPy float32 [H, W, 3] in [0, 1]; [N, H, W, 3] for a batch.
      history: "loss" and every weighted term, one value a step ([N, steps] for a
        batch); entry i is the objective at the image before the i-th update.
        `pandas.DataFrame(result.history)` reads that of one picture.
      recipe: The recipe in effect.
      seconds: Wall time of the loop, without compilation and file work.
      compile_seconds: Time of compilation; about 0 for shapes seen before.
      stages: Sizes and steps from coarse to fine.
      weights: Provenance of the weights file; empty for parameters given as arrays.
      inputs: Name of the recipe, pictures with SHA-256, blend and first image.
    """

    image: np.ndarray
    history: History
    recipe: Recipe
    seconds: float
    compile_seconds: float
    stages: list[Stage]
    weights: dict[str, str]
    inputs: dict[str, Any]

    def save(
        self, path: StrPath, *, alpha: StrPath | None = None, metadata: bool = True
    ) -> None:
        """Write the picture; a PNG carries recipe, inputs, weights and versions.

        Args:
          path: A file whose ending says the format; it is replaced.
          alpha: A picture, usually the content, whose transparency is kept: resized as
            the content was. None, or a picture without any, for an opaque one.
          metadata: Whether it carries them. Without, nobody can tell how it was made.

        Raises:
          FileNotFoundError: If there is no such picture.
          ValueError: If the ending is unknown or of a format without transparency, or
            this is a batch: `each` splits it.
        """
        from jnst.drivers.record import document  # which needs this file

        if self.image.ndim == 4:
            raise ValueError(
                f"a batch of {len(self.image)} pictures has as many files: save each "
                "of result.each()"
            )
        found = None if alpha is None else load_alpha(alpha)
        shape = self.image.shape[0], self.image.shape[1]
        if found is not None:
            found = resize_alpha(found, shape, method=self.recipe.schedule.resize)
        about = document(self) if metadata else None
        save_image(path, self.image, metadata=about, alpha=found)

    def each(self) -> "list[Result]":
        """Split a batch into its pictures; one picture is a list of itself."""
        if self.image.ndim == 3:
            return [self]
        return [
            dataclasses.replace(
                self,
                image=image,
                history={k: v[n] for k, v in self.history.items()},
                inputs=_inputs(self.inputs, n, len(self.image)),
            )
            for n, image in enumerate(self.image)
        ]

    def _repr_png_(self) -> bytes:
        """Show the picture in a notebook; a batch side by side."""
        row = self.image if self.image.ndim == 3 else np.concatenate(self.image, 1)
        return encode_png(row)

    def __repr__(self) -> str:
        """Tell size, steps and the last loss."""
        *batch, height, width, _ = self.image.shape
        loss = self.history["loss"]
        many = f"{batch[0]} pictures of " if batch else ""
        last = ", ".join(f"{x:.4g}" for x in np.atleast_1d(loss[..., -1]))
        return (
            f"Result({many}{height}x{width}, {loss.shape[-1]} steps, "
            f"{self.seconds:.1f} s, loss {last})"
        )


def _inputs(inputs: dict[str, Any], n: int, count: int) -> dict[str, Any]:
    """Tell the inputs of the n-th picture of a batch: its own of a list of contents."""
    content, of = inputs["content"], {"batch": [n, count]}
    content = content[n] if isinstance(content, list) else content
    return {**inputs, "content": content, **of}
