"""What a watcher is, how several become one, and when those that need not see all look.

A watcher is four functions. What it remembers lies in the function that makes it:

    def print_losses() -> Watcher:
        return Watcher(update=lambda progress: print(progress.losses))
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from jnst.drivers.plan import Plan
from jnst.drivers.result import Progress, Result


def _nothing(told: Any) -> None:
    """Do nothing."""


class Watcher(NamedTuple):
    """Whoever follows a run.

    Attributes:
      start: Called with the plan before any step.
      update: Called after each chunk of steps.
      finish: Called with the result, if there is one.
      close: Called last in any case, with what ended the run, or None.
    """

    start: Callable[[Plan], None] = _nothing
    update: Callable[[Progress], None] = _nothing
    finish: Callable[[Result], None] = _nothing
    close: Callable[[BaseException | None], None] = _nothing


@contextlib.contextmanager
def watched(watchers: Sequence[Watcher]) -> Iterator[Watcher]:
    """Yield one watcher that tells all, in order, and close them when the block ends.

    Args:
      watchers: Those to tell. Each is closed even if another's `close` raises.

    Yields:
      A watcher for `on_start`, `on_progress` and the result; it need not be closed.
    """

    def to_all(name: str) -> Callable[[Any], None]:
        def tell(told: Any) -> None:
            for watcher in watchers:
                getattr(watcher, name)(told)

        return tell

    with contextlib.ExitStack() as stack:
        for watcher in reversed(watchers):  # the last that is pushed is closed first
            stack.push(_closing(watcher))
        yield Watcher(*(to_all(name) for name in ("start", "update", "finish")))


def _closing(watcher: Watcher) -> Callable[..., None]:
    return lambda kind, error, trace: watcher.close(error)


def chosen(every: int, count: int) -> Callable[[Progress], bool]:
    """Return which looks to take: the last, and some before it.

    Args:
      every: Those after every so many steps of the whole run; 0 for `count`.
      count: About so many, spread evenly over the run.
    """
    taken = 0

    def is_due(progress: Progress) -> bool:
        nonlocal taken
        step, steps = progress.step, progress.steps
        if every:
            return step % every == 0 or step == steps
        passed = step * count // steps
        due, taken = passed > taken, max(passed, taken)
        return due

    return is_due


def in_a_row(image: np.ndarray) -> np.ndarray:
    """Put the pictures of a batch [N, H, W, 3] side by side; one picture is itself."""
    return image if image.ndim == 3 else np.concatenate(image, 1)
