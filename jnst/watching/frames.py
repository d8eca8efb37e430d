"""Watchers that keep a run's images: as numbered files, and as one animation."""

from pathlib import Path

import numpy as np

from jnst.drivers.plan import Plan
from jnst.drivers.result import Progress, Result
from jnst.files import StrPath
from jnst.image import save_image
from jnst.image.animation import save_animation
from jnst.watching.folders import clear_folder
from jnst.watching.watcher import Watcher, chosen, in_a_row

FRAMES = "frame_*.png"
"""What numbered files are called, by `Path.glob`."""
MOST_FRAMES, MOST_BYTES = 100, 2**29
"""Frames of an animation where nothing else is asked, and the memory that they take at
most until they are written."""


def save_frames(folder: StrPath, *, every: int = 0, after: int = 0) -> Watcher:
    """Write PNGs numbered by their steps: frame_000010.png.

    Args:
      folder: Where to; it is made if it is missing, and frames of an earlier run in it
        are removed.
      every: Steps between two; 0 for every look at the run, about two a second.
      after: Steps that a run which was stopped goes on from: its frames stay.
    """
    where, is_due = Path(folder), chosen(every, 1)

    def update(progress: Progress) -> None:
        if not every or is_due(progress):
            name = FRAMES.replace("*", f"{progress.step:06d}")
            save_image(where / name, in_a_row(progress.image))

    def start(plan: Plan) -> None:
        clear_folder(where, FRAMES, after=after)

    return Watcher(start=start, update=update)


def save_film(path: StrPath, *, every: int = 0) -> Watcher:
    """Write one animation of a run that is done.

    Args:
      path: A file with an ending of `jnst.image.animation.ANIMATION_SUFFIXES`.
      every: Steps between two frames; 0 for about `MOST_FRAMES`, fewer of a picture so
        large that they would fill the memory.
    """
    frames: list[np.ndarray] = []
    is_due = chosen(every, 1)

    def start(plan: Plan) -> None:
        nonlocal is_due
        is_due = chosen(every, frames_for(plan, every))

    def update(progress: Progress) -> None:
        if is_due(progress):
            levels = np.rint(np.clip(in_a_row(progress.image), 0, 1) * 255)
            frames.append(levels.astype(np.uint8))

    def finish(result: Result) -> None:
        save_animation(path, frames)

    return Watcher(start, update, finish)


def frames_for(plan: Plan, every: int) -> int:
    """Return how many frames of a run an animation has.

    Args:
      plan: Plan of the run.
      every: Steps between two; 0 for as many as are good.

    Raises:
      ValueError: If `every` asks for more than the memory is to be filled with.
    """
    height, width = plan.stages[-1].shape
    room = MOST_BYTES // (3 * height * width * (plan.batch or 1))
    if not every:
        return max(1, min(MOST_FRAMES, room))
    count = sum(stage.steps for stage in plan.stages) // every + 1
    if count > max(1, room):
        raise ValueError(
            f"an animation of {count} frames of {width}x{height} px would fill "
            f"{count * 3 * height * width * (plan.batch or 1) / 2**30:.1f} GiB of "
            f"memory: take a frame every {every * count // max(1, room) + 1} steps"
        )
    return count
