"""A watcher that writes for TensorBoard, by tensorboardX: losses, pictures, recipe."""

import importlib.util
from typing import Any

import numpy as np

from jnst.drivers.plan import Plan
from jnst.drivers.result import Progress
from jnst.files import StrPath, json_text
from jnst.image import fit_shape, resize_image
from jnst.recipes.settings import record
from jnst.watching.folders import clear_folder
from jnst.watching.watcher import Watcher, chosen, in_a_row

EVENTS = "events.out.tfevents.*"
"""What the files are called, by `Path.glob`."""
PICTURES, MOST_PX = 20, 1024
"""Pictures of a run, and the longer side that they are reduced to."""
FLUSH_S = 5
"""Seconds after which what was told can be seen."""


def check_tensorboard() -> None:
    """Raise `ValueError` unless the extra `tensorboard` is installed."""
    if importlib.util.find_spec("tensorboardX") is None:  # importing it takes seconds
        raise ValueError(
            "TensorBoard's files need tensorboardX: install the extra 'tensorboard', "
            "as in `pip install 'jnst[tensorboard]'`"
        )


def log_events(folder: StrPath, *, every: int = 0, after: int = 0) -> Watcher:
    """Write every term at every step, pictures on the way, the given ones, the recipe.

    Args:
      folder: Where to; it is made if it is missing, and events of an earlier run in it
        are removed.
      every: Steps between two pictures; 0 for about `PICTURES` of the run.
      after: Steps that a run which was stopped goes on from: what it wrote up to there
        stays, and TensorBoard shows no more of it.

    Returns:
      A watcher. Of a batch, losses are means and pictures stand side by side.

    Raises:
      ValueError: If tensorboardX is not installed.
    """
    check_tensorboard()
    writers: list[Any] = []
    is_due = chosen(every, PICTURES)

    def start(plan: Plan) -> None:
        from tensorboardX import SummaryWriter

        if not after:
            clear_folder(folder, EVENTS)
        # Files are named by the second, in which a run may be stopped and go on.
        own = f".{after}" if after else ""
        writer = SummaryWriter(
            str(folder),
            flush_secs=FLUSH_S,
            purge_step=after or None,
            filename_suffix=own,
        )
        writers.append(writer)
        writer.add_text("recipe", _as_markdown({"recipe": record(plan.recipe)}), 0)
        about = {"inputs": plan.inputs, "weights": plan.weights}
        writer.add_text("inputs", _as_markdown(about), 0)
        for name, image in _given(plan).items():
            writer.add_image(f"given/{name}", _levels(image), 0, dataformats="HWC")

    def update(progress: Progress) -> None:
        for name, values in progress.history.items():
            means = np.atleast_2d(values).mean(0)
            for step, value in enumerate(means, start=progress.step - len(means)):
                writers[0].add_scalar(f"loss/{name}", float(value), step)
        if is_due(progress):
            shown = _levels(in_a_row(progress.image))
            writers[0].add_image("image", shown, progress.step, dataformats="HWC")

    def close(error: BaseException | None) -> None:
        for writer in writers:
            writer.close()

    return Watcher(start, update, close=close)


def _given(plan: Plan) -> dict[str, np.ndarray]:
    """Return content and styles by name."""
    content = {} if plan.content is None else {"content": plan.content.pixels}
    styles = {f"style_{n}": s.pixels for n, s in enumerate(plan.styles, start=1)}
    return {name: in_a_row(pixels) for name, pixels in {**content, **styles}.items()}


def _levels(image: np.ndarray) -> np.ndarray:
    """Return a picture in 8 bits, reduced where it is large."""
    shape = fit_shape(image.shape[:2], min(MOST_PX, max(image.shape)))
    return np.rint(np.clip(resize_image(image, shape), 0, 1) * 255).astype(np.uint8)


def _as_markdown(document: Any) -> str:
    """Return a document as indented JSON, which Markdown leaves as it is."""
    lines = json_text(document).splitlines()
    return "\n".join(f"    {line}" for line in lines)
