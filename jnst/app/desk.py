"""One run at a time, in a thread of its own; others wait in a line.

A run that is stopped keeps its iterator, with all that is on the device: it goes on by
asking that for the next event, so that it ends in the same picture.
"""

import contextlib
import dataclasses
import logging
import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence

from jnst.app.asked import plain
from jnst.drivers.fits import check_fits
from jnst.drivers.plan import Plan
from jnst.drivers.result import Progress, Result, progress_of
from jnst.drivers.stages import sizes_of, weighed
from jnst.loop.history import History, NonFiniteLossError, join
from jnst.loop.iterate import Event, iterate
from jnst.memory import release_freed

WAITING, PREPARING, RUNNING = "waiting", "preparing", "running"
STOPPED, DONE, FAILED = "stopped", "done", "failed"
ENDED = (STOPPED, DONE, FAILED)
EXPECTED = (ValueError, OSError, FloatingPointError, MemoryError)
"""What a run may raise that says in a line what was wrong."""


@dataclasses.dataclass(eq=False)
class Job:
    """A run that somebody asked for. The desk's thread writes, all others read.

    Attributes:
      plan: What is to run.
      notes: What its user should know of it.
      state: One of the six above.
      stopping: Whether it is to stop at the next event.
      message: Why it failed.
      latest: What it told last.
      history: Losses so far, a chunk each.
      result: What it gave.
      clock: Seconds of compiling objectives.
      events: Where it goes on.
    """

    plan: Plan
    notes: list[str] = dataclasses.field(default_factory=list)
    state: str = WAITING
    stopping: bool = False
    message: str = ""
    latest: Progress | None = None
    history: list[History] = dataclasses.field(default_factory=list)
    result: Result | None = None
    clock: list[float] = dataclasses.field(default_factory=list)
    events: Iterator[Event] | None = None

    @property
    def losses(self) -> History:
        """Losses so far."""
        return join(self.history) if self.history else {}


def result_of(job: Job, event: Event) -> Result:
    """Gather what a run gave at its last event."""
    return Result(
        image=event.image,
        history=join(job.history),
        recipe=job.plan.recipe,
        seconds=event.seconds,
        compile_seconds=event.compile_seconds + sum(job.clock),
        stages=list(job.plan.stages),
        weights=job.plan.weights,
        inputs=job.plan.inputs,
    )


def work(job: Job) -> str:
    """Run a job until it ends or is stopped, and return its state.

    Raises:
      ValueError: If it cannot fit the memory there is, or cannot be weighed.
      NonFiniteLossError: If a loss becomes NaN or infinite.
    """
    if job.events is None:
        check_fits(job.plan)
        job.plan = weighed(job.plan)
        job.events = iterate(sizes_of(job.plan, job.clock))
    for event in job.events:
        job.history.append(event.losses)
        job.latest = progress_of(event)
        job.state = RUNNING
        if event.step == event.steps:
            job.result = result_of(job, event)
        elif job.stopping:
            return STOPPED
    return DONE


def told(error: Exception, folder: str | os.PathLike[str]) -> str:
    """Return what the page says of an error; of one that is a fault, the log has more.

    Args:
      error: What was raised.
      folder: Where uploads lie.
    """
    if isinstance(error, EXPECTED):
        return plain(error, folder)
    logging.getLogger("jnst").error("a fault in a run of the page", exc_info=error)
    return plain(RuntimeError(f"{type(error).__name__}: {error}"), folder)


class Desk:
    """A line of jobs and the thread that runs them; a job belongs to a tab.

    Attributes:
      folder: Where uploads lie.
      jobs: The job of each tab, by its session.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Open with nobody in the line."""
        self.folder = folder
        self.jobs: dict[str, Job] = {}
        self._line: deque[Job] = deque()
        self._change = threading.Condition()
        self._open, self._busy = True, False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def begin(self, session: str, plan: Plan, *, notes: Sequence[str] = ()) -> Job:
        """Put a new job into the line, in place of one that has ended.

        Args:
          session: Of the tab.
          plan: What is to run.
          notes: What its user should know of it.

        Raises:
          ValueError: If the tab's job has not ended.
        """
        with self._change:
            self._check_free(session)
            self.jobs[session] = job = Job(plan, list(notes))
            self._join(job)
        return job

    def go_on(self, session: str) -> Job:
        """Put a stopped job into the line again.

        Raises:
          ValueError: If there is none.
        """
        with self._change:
            job = self.jobs.get(session)
            if job is None or job.state != STOPPED:
                raise ValueError("there is no stopped picture to go on with")
            self._join(job)
        return job

    def stop(self, session: str) -> None:
        """Ask a tab's job to stop, if there is one; one that waits does at once."""
        with self._change:
            job = self.jobs.get(session)
            if job is None:
                return
            job.stopping = True
            if job in self._line:
                self._line.remove(job)
                job.state = STOPPED

    def forget(self, session: str) -> None:
        """Let go of a tab that was closed, with all it has."""
        self.stop(session)
        self.jobs.pop(session, None)

    def before(self, job: Job) -> int:
        """Count the jobs that come before one that waits."""
        with self._change:
            place = self._line.index(job) if job in self._line else 0
        return place + self._busy

    def close(self, seconds: float) -> bool:
        """Stop all jobs, wait for the thread, and tell whether it ended in time."""
        for session in list(self.jobs):
            self.stop(session)
        with self._change:
            self._open = False
            self._change.notify_all()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _check_free(self, session: str) -> None:
        job = self.jobs.get(session)
        if job is not None and job.state not in ENDED:
            raise ValueError("a picture is being made: stop it first")

    def _join(self, job: Job) -> None:
        job.stopping, job.state = False, WAITING
        self._line.append(job)
        self._change.notify_all()

    def _next(self) -> Job | None:
        """Wait for a job; None at the end."""
        with self._change:
            while self._open and not self._line:
                self._change.wait()
            if not self._open:
                return None
            job = self._line.popleft()
            job.state, self._busy = PREPARING, True
            return job

    def _serve(self) -> None:
        while (job := self._next()) is not None:
            self._run(job)
            self._busy = False
            del job  # what it keeps on the device goes with its tab

    def _run(self, job: Job) -> None:
        state = FAILED
        try:
            state = work(job)
        except Exception as error:
            job.message = told(error, self.folder)
            if isinstance(error, NonFiniteLossError) and job.latest:
                job.latest = job.latest._replace(image=error.image)
        if state != STOPPED:
            job.events = None  # and with it the arrays of the run
            with contextlib.suppress(Exception):
                release_freed()
        job.state = state
