"""What ends a command from outside: Ctrl-C (SIGINT), and SIGTERM, which clusters send.

Both raise where the command is, so that it keeps what it can: `KeyboardInterrupt`, and
`Terminated`, which is one. Python sees a signal when the call that it is in returns: a
step, or XLA compiling one. A signal that comes while an earlier one is being dealt with
is left alone: nothing breaks the writing of what there is. One that was raised where
nobody hears (a finaliser, a callback of a C library) is raised again.
"""

import contextlib
import dataclasses
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

PATIENCE_S, AGAIN_S = 5.0, 1.0
"""Seconds that a signal waits at most for a loop's next event; between two tries."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a command as Ctrl-C does."""


ENDS: dict[int, tuple[type[KeyboardInterrupt], str, int]] = {
    # Signal: (what it raises, the word for it, exit code).
    signal.SIGINT: (KeyboardInterrupt, "interrupted", 130),
    signal.SIGTERM: (Terminated, "terminated", 143),
}


@dataclasses.dataclass
class _Heard:
    """What is known of signals to the command that runs.

    Attributes:
      number: The first signal that came; 0 for none.
      waits: Tells whether a signal waits for the next event of a loop.
      settled: Whether the command has kept what it can, and goes to its end.
      alarm: Whether this system and thread have timers.
    """

    number: int = 0
    waits: Callable[[], bool] | None = None
    settled: bool = False
    alarm: bool = False


_HEARD = _Heard()


@contextlib.contextmanager
def listening() -> Iterator[None]:
    """Let signals raise in this block, and forget them at its end.

    Does nothing outside the main thread, for signals that somebody else listens to, and
    for those that were to be ignored, as `nohup` has it.
    """
    usual = (signal.SIG_DFL, signal.default_int_handler)
    ours = threading.current_thread() is threading.main_thread()
    known = [n for n in ENDS if ours and signal.getsignal(n) in usual]
    before = {number: signal.signal(number, _hear) for number in known}
    alarm = ours and hasattr(signal, "setitimer")
    if alarm:
        before[signal.SIGALRM] = signal.signal(signal.SIGALRM, _again)
    _forget(alarm=alarm)
    unheard, sys.unraisablehook = sys.unraisablehook, _quietly(sys.unraisablehook)
    try:
        yield
    finally:
        _set_alarm(0.0)
        sys.unraisablehook = unheard
        for number, handler in before.items():
            signal.signal(number, handler)


def _forget(*, alarm: bool) -> None:
    _HEARD.number, _HEARD.waits, _HEARD.settled = 0, None, False
    _HEARD.alarm = alarm


@contextlib.contextmanager
def at_events(waits: Callable[[], bool]) -> Iterator[None]:
    """Let signals wait for `check`, which a loop calls at its events.

    What is there between two events is not whole: a state has been given up, the next
    is being computed. A loop that does not come to an event soon is left all the same.

    Args:
      waits: Tells, as a signal comes, whether there is something to wait for.
    """
    _HEARD.waits = waits if _HEARD.alarm else None
    try:
        yield
    finally:
        _HEARD.waits = None


def check(*, last: bool = False) -> None:
    """Raise what a signal means, if one has come and was not dealt with.

    Args:
      last: Whether the loop has come to its end: then what follows is left alone.
    """
    if _HEARD.number and last:
        settle()
    elif _HEARD.number and not _HEARD.settled:
        raise ENDS[_HEARD.number][0]


def settle() -> None:
    """Leave all further signals alone: what there is is kept, the end is near."""
    _HEARD.settled = True
    _set_alarm(0.0)


def has_come() -> bool:
    """Tell whether a signal has come while this command runs."""
    return bool(_HEARD.number)


def end() -> tuple[str, int]:
    """Return the word and the exit code for how a command was ended from outside."""
    return ENDS[_HEARD.number or signal.SIGINT][1:]


def _hear(number: int, frame: Any) -> None:
    first = not _HEARD.number
    _HEARD.number = _HEARD.number or number
    if _HEARD.settled or _is_dealt_with(sys.exception()):
        return
    waits = first and _HEARD.waits is not None and _HEARD.waits()
    _set_alarm(PATIENCE_S if waits else AGAIN_S)
    if not waits:
        raise ENDS[_HEARD.number][0]


def _again(number: int, frame: Any) -> None:
    if _HEARD.number and not (_HEARD.settled or _is_dealt_with(sys.exception())):
        raise ENDS[_HEARD.number][0]


def _quietly(hook: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Show no traceback where an end was raised that nobody could hear."""

    def shown(about: Any) -> None:
        if not issubclass(about.exc_type, KeyboardInterrupt):
            hook(about)

    return shown


def _set_alarm(seconds: float) -> None:
    if _HEARD.alarm:
        signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN_S if seconds else 0.0)


def _is_dealt_with(error: BaseException | None) -> bool:
    """Tell whether the code that runs now handles an end from outside."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None
