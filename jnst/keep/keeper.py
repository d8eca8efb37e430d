"""What keeps a run: it hears the loop's events, and writes checkpoints beside it."""

import contextlib
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax

from jnst.base import Number
from jnst.drivers.plan import Plan
from jnst.drivers.result import Begun
from jnst.files import StrPath, atomic_write, sha256_of
from jnst.keep import folder as kept
from jnst.keep.folder import Found, folder_of, newest, write_newest
from jnst.keep.identity import difference, identity_of, unnamed
from jnst.keep.runs import arrays_of, begun_of, check_document, document_of
from jnst.loop.history import History, NonFiniteLossError
from jnst.loop.iterate import Event
from jnst.objective.term import OWN, kind_of

EVERY_S = 60.0
"""Seconds between checkpoints, where nobody says."""


class Keeper:
    """Checkpoints of one run, in `OUT.checkpoint/`: `jnst.stylize(keeper=...)`.

    Give it a run, and the run goes on where an earlier one of the same arguments was
    stopped. As a context it writes a last checkpoint where the run is interrupted.

    Attributes:
      folder: Where checkpoints are.
      event: The last event; None before the first.
      tell: Called with a line when it goes on, and for what could not be written.
      begun: Steps that were done before this process went on; 0 if it began.
    """

    def __init__(
        self,
        output: StrPath,
        *,
        every_s: Number = EVERY_S,
        restart: bool = False,
        found: Found | None = None,
        command: Mapping[str, Any] | None = None,
        other_devices: bool = False,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        """Keep a run with this output; nothing is read or written yet.

        Args:
          output: The picture that the run makes.
          every_s: Seconds between checkpoints; 0 writes none, not even a last one.
          restart: Whether checkpoints that are there are given up.
          found: The newest of them, where it has been read already.
          command: How a command line runs it again, as JSON has it.
          other_devices: Whether the run may go on on other devices than it began on.
          tell: Called with a line when it goes on, and for what could not be written.
        """
        self.folder = folder_of(output)
        self.event: Event | None = None
        self.begun = 0
        self._plan: Plan | None = None
        self._every_s, self._restart, self._found = float(every_s), restart, found
        self._about = {"output": Path(output).name, "command": dict(command or {})}
        self._other_devices = other_devices
        self.tell: Callable[[str], None] = tell or _nothing
        self._asked: dict[str, Any] = {}
        self._history: list[History] = []
        self._spent = (0.0, 0.0)
        self._paths: list[Path] = []
        self._written: list[str] = []
        self._thread = ThreadPoolExecutor(1, "checkpoints")
        self._writing: Future[Path] | None = None
        self._last, self._told = time.monotonic(), ""

    def begin(self, plan: Plan) -> Begun | None:
        """Return where a run goes on; None if it begins.

        Args:
          plan: Of the run; its weights may still be "balance".

        Raises:
          ValueError: If a run of other arguments is kept here, all is damaged, or the
            run has a function that no file can hold.
        """
        check_storable(plan)
        self._asked = identity_of(plan)
        if self._restart:
            kept.clear(self.folder, notes=False)
            return None
        kept.tidy(self.folder)
        found = self._found or newest(self.folder)
        if found is None:
            return None
        begun = self._read(found, plan)
        if found.passed_over:
            self.tell(f"{found.passed_over}; the one before is taken")
        self._history, self._paths = [begun.history], [found.path]
        self._spent = begun.seconds, begun.compile_seconds
        self.begun, steps = found.document["step"], found.document["steps"]
        self.tell(f"goes on from step {self.begun} of {steps}")
        return begun

    def _read(self, found: Found, plan: Plan) -> Begun:
        where = f"checkpoint {str(found.path)!r}"
        try:
            check_document(found.document)
            then = dict(found.document["asked"])
            now = dict(self._asked)
            if self._other_devices:
                then["devices"] = now["devices"]
            if unnamed(now) != unnamed(then):
                raise ValueError(
                    f"is of a run with other arguments: {difference(now, then)}"
                )
            return begun_of(plan, found.arrays, found.document)
        except ValueError as error:
            raise ValueError(
                f"{where} {error}; give the arguments of then, or --restart to begin "
                "anew"
            ) from None

    def hear(self, plan: Plan, event: Event) -> None:
        """Take note of an event, and write a checkpoint if it is time.

        Args:
          plan: Of the run; its weights are numbers.
          event: Its state may be given up when this returns.
        """
        self._plan, self.event = plan, event
        self._history.append(event.losses)
        idle = self._writing is None or self._writing.done()
        due = time.monotonic() - self._last >= self._every_s
        if self._every_s and idle and due and event.step < event.steps:
            self._settle()
            self._begin_writing(plan, event)

    def write(self, path: StrPath, write: Callable[[Path], Any]) -> None:
        """Write an output that the run may replace when it goes on.

        Args:
          path: The output.
          write: Writes it to the path it is given.
        """
        with atomic_write(path) as temporary:
            write(temporary)
            self._written.append(sha256_of(temporary))
            kept.note(self.folder, self._written[-1:])  # before it has its name

    def is_between(self) -> bool:
        """Tell whether the loop has given up the last event's state for the next."""
        if not self._every_s or self.event is None:
            return False
        return not _is_alive(self.event.state)

    def __enter__(self) -> "Keeper":
        """Return itself."""
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        """Write a last checkpoint where the run was interrupted, and wait for it."""
        event, plan = self.event, self._plan
        with contextlib.ExitStack() as end:
            end.callback(self._thread.shutdown)
            self._settle()
            if isinstance(error, NonFiniteLossError):
                kept.clear(self.folder)  # it would come to the same again
            if not isinstance(error, KeyboardInterrupt) or event is None:
                return
            whole = event.step < event.steps and _is_alive(event.state)
            if plan and whole and self._every_s:
                self._begin_writing(plan, event)
                self._settle()
            if self._paths:
                step = int(self._paths[-1].stem)
                self.tell(f"a checkpoint of step {step} is in {str(self.folder)!r}")

    def done(self) -> None:
        """Remove the checkpoints of a run that is done, and the folder."""
        self._settle()
        kept.clear(self.folder)

    def _begin_writing(self, plan: Plan, event: Event) -> None:
        spent = event._replace(
            seconds=event.seconds + self._spent[0],
            compile_seconds=event.compile_seconds + self._spent[1],
        )
        document = {**self._about, **document_of(plan, spent, self._asked)}
        arrays = arrays_of(event, self._history)
        place = self.folder, event.step, arrays, document
        self._writing = self._thread.submit(
            write_newest,
            *place,
            keep=self._paths[-kept.KEPT + 1 :],
            written=tuple(self._written),
        )
        self._last = time.monotonic()

    def _settle(self) -> None:
        """Wait for what is being written; what cannot be is told, once."""
        if self._writing is None:
            return
        try:
            self._paths.append(self._writing.result())
        except (OSError, MemoryError) as error:
            why = getattr(error, "strerror", None) or error
            text = f"no checkpoint in {str(self.folder)!r}: {why}; the run goes on"
            if text != self._told:
                self.tell(f"jnst: warning: {text}")
            self._told = text
        self._writing = None


def _nothing(line: str) -> None:
    """Say nothing."""


def _is_alive(tree: Any) -> bool:
    """Tell whether the arrays of a tree were not given up."""
    leaves = jax.tree.leaves(tree)
    return not any(isinstance(x, jax.Array) and x.is_deleted() for x in leaves)


def check_storable(plan: Plan) -> None:
    """Raise `ValueError` for what of a plan no file can hold: functions."""
    recipe = plan.recipe
    for term in recipe.objective.terms:
        if kind_of(term.loss) == OWN:
            raise ValueError(
                f"term {term.name!r} is a function, which no checkpoint can hold: add "
                "it to a table of jnst.losses and name it"
            )
    if not isinstance(recipe.optimizer, str):
        raise ValueError(
            "the optimizer is a transformation, which no checkpoint can hold: add it "
            "to jnst.OPTIMIZERS and name it"
        )
    if not plan.weights:
        raise ValueError(
            "features of your own, and weights as parameters, have no name that a "
            "checkpoint can hold: give weights as a file"
        )
