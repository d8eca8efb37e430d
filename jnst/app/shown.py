"""What the page shows of a run, as HTML: every text that came from outside is escaped.

Pictures and curves stand in the page itself: no files are written for them.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jnst.app.asked import check_picture
from jnst.app.desk import (
    DONE,
    ENDED,
    FAILED,
    PREPARING,
    RUNNING,
    STOPPED,
    WAITING,
    Job,
)
from jnst.image.peeking import thumbnail
from jnst.report.chart import Axis, Curve, chart
from jnst.report.page import as_text, embedded

THUMBNAIL_PX = 160
MOST_PX = 1024
"""Longer side of the picture that is shown; the download is whole."""
HINT = (
    "<span>Choose a photograph and a style, then press <b>Make the picture</b>.</span>"
)


class Buttons(NamedTuple):
    """Which buttons can be pressed.

    Attributes:
      start: Whether a new picture may be begun.
      stop: Whether there is something to stop.
      go_on: Whether there is something to go on with.
    """

    start: bool
    stop: bool
    go_on: bool


def buttons_of(job: Job | None) -> Buttons:
    """Say what can be done beside a job."""
    ended = job is None or job.state in ENDED
    return Buttons(ended, not ended, job is not None and job.state == STOPPED)


def picture_of(job: Job | None) -> str:
    """Show the picture so far, or what to do first."""
    if job is None or job.latest is None:
        return f'<div class="jnst-empty">{HINT if job is None else ""}</div>'
    alt = "the picture" if job.state == DONE else "the picture so far"
    shown = embedded(job.latest.image, alt, most_px=MOST_PX)
    return f'<div class="jnst-picture">{shown}</div>'


def curves_of(job: Job | None) -> str:
    """Draw the loss and its terms over steps."""
    losses = {} if job is None else job.losses
    names = [k for k in losses if not k.startswith(("gradient_", "cosine_"))]
    if not names or len(losses["loss"]) < 2:
        return ""
    steps = np.arange(len(losses["loss"]))
    curves = [Curve(k, steps, losses[k]) for k in sorted(names, key=_total_first)]
    drawn = chart(curves, Axis("step"), Axis("weighted loss", log=True))
    return f'<div class="jnst-curves">{drawn}</div>'


def _total_first(name: str) -> bool:
    return name != "loss"


def failure(message: str) -> str:
    """Show what was wrong."""
    return f'<div class="jnst-status jnst-error" role="alert">{as_text(message)}</div>'


def status_of(job: Job | None, before: int) -> str:
    """Say in a line how far a job is.

    Args:
      job: The job; None for none yet.
      before: Jobs that come before it, if it waits.
    """
    if job is None:
        return ""
    if job.state == FAILED:
        return failure(job.message)
    stopping = job.stopping and job.state not in ENDED
    line = "Stopping at the next step." if stopping else _line(job, before)
    latest = job.latest
    share = 100 * latest.step / latest.steps if latest else 0
    bar = f'<div class="jnst-bar"><div style="width:{share:.1f}%"></div></div>'
    notes = "".join(f'<p class="jnst-note">{as_text(note)}</p>' for note in job.notes)
    return f'<div class="jnst-status" role="status">{as_text(line)}{bar}{notes}</div>'


def _line(job: Job, before: int) -> str:
    latest, state = job.latest, job.state
    if state == WAITING:
        others = "1 picture comes" if before == 1 else f"{before} pictures come"
        line = f"Waiting: {others} before yours, which then begins by itself."
        return line if before else "It begins."
    if state == PREPARING:
        return "Compiling for this size, which takes some seconds the first time."
    if latest is None:
        return "Stopped before it began."
    height, width = latest.shape
    steps = f"{latest.step} of {latest.steps} steps"
    if state == STOPPED:
        return f"Stopped after {steps}. “Go on” takes it up from there."
    loss = f"loss {latest.losses['loss']:.4g}"
    if state == RUNNING:
        line = f"{steps}, {width} x {height} px, {loss}, {latest.seconds:.0f} s"
        ends = itertools.accumulate(stage.steps for stage in job.plan.stages)
        return f"{line}; preparing the next size" if latest.step in ends else line
    took = f"{latest.seconds:.1f} s"
    if job.result is not None:
        took += f" and {job.result.compile_seconds:.1f} s of compiling"
    return f"Done: {latest.steps} steps at {width} x {height} px in {took}, {loss}."


def previews(content: str | None, styles: Sequence[str]) -> str:
    """Show the pictures that were chosen, each small, or why it will not do."""
    chosen = [] if content is None else [("Photograph", content)]
    many = len(styles) > 1
    chosen += [(f"Style {n + 1}" if many else "Style", p) for n, p in enumerate(styles)]
    found = "".join(_preview(name, path) for name, path in chosen)
    return f'<div class="jnst-previews">{found}</div>' if found else ""


def _preview(name: str, path: str) -> str:
    try:
        check_picture(path)
        small = thumbnail(path, THUMBNAIL_PX)
        shown = embedded(small, name, most_px=THUMBNAIL_PX)
    except (ValueError, OSError) as error:
        text = str(error).replace(path, Path(path).name)
        shown = f'<div class="jnst-error" role="alert">{as_text(text)}</div>'
    label = f"{name}: {Path(path).name}"
    return f"<figure>{shown}<figcaption>{as_text(label)}</figcaption></figure>"
