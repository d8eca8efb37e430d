"""A run in a notebook: the picture so far, which grows in place."""

from collections.abc import Callable
from typing import Any

from jnst.drivers.result import Progress
from jnst.report.page import as_text, embedded
from jnst.watching.watcher import in_a_row

MOST_PX = 512
"""Longer side of the picture; a larger one is reduced."""


def show_progress() -> Callable[[Progress], None]:
    """Show the picture so far in a notebook, with step and losses under it.

    Returns:
      A function for `on_progress`, as in
      `jnst.stylize(..., on_progress=jnst.show_progress())`. A later run that is given
      the same one begins a picture of its own.

    Raises:
      ValueError: If IPython is not installed, or nothing of it is running.
    """
    display = _display()
    handle: Any = None
    step = 0

    def show(progress: Progress) -> None:
        nonlocal handle, step
        shown = _as_shown(progress)
        if handle is None or progress.step <= step:
            handle = display(shown, raw=True, display_id=True)
        else:
            handle.update(shown, raw=True)
        step = progress.step

    return show


def _display() -> Callable[..., Any]:
    try:
        from IPython.core.getipython import get_ipython
        from IPython.display import display
    except ImportError:
        raise ValueError(
            "show_progress needs IPython, which every notebook has: `pip install "
            "ipython`, or use on_progress=print"
        ) from None
    if get_ipython() is None:
        raise ValueError(
            "show_progress draws in a notebook, and none is running; use "
            "on_progress=print, or the command's --preview"
        )
    return display


def _as_shown(progress: Progress) -> dict[str, str]:
    """Return what a notebook shows, and what a console does."""
    height, width = progress.shape
    losses = ", ".join(f"{k} {v:.4g}" for k, v in progress.losses.items())
    text = (
        f"step {progress.step} of {progress.steps}, {width}x{height} px, "
        f"{progress.seconds:.1f} s: {losses}"
    )
    picture = embedded(in_a_row(progress.image), text, most_px=MOST_PX)
    html = f"<figure>{picture}<figcaption>{as_text(text)}</figcaption></figure>"
    return {"text/html": html, "text/plain": text}
