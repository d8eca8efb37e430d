"""Options of a run in several processes, of which all but the first show nothing."""

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

import click

if TYPE_CHECKING:
    from jnst.watching.watcher import Watcher

OPTIONS = (
    click.option(
        "--coordinator",
        metavar="HOST:PORT",
        help="Run in several processes, the first at HOST; auto under SLURM.",
    ),
    click.option("--processes", type=int, metavar="N", help="How many there are."),
    click.option("--process-id", type=int, metavar="K", help="Which is this, from 0."),
)


def processes_from(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def team_of(
    coordinator: str | None, processes: int | None, process_id: int | None
) -> Any:
    """Return what the options mean, None for a process alone.

    Raises:
      ValueError: For what cannot be.
    """
    if coordinator is None:
        if processes is not None or process_id is not None:
            raise ValueError("--processes and --process-id need --coordinator")
        return None
    from jnst.scale.processes import Team, check_team

    team = Team(coordinator, processes, process_id)
    check_team(team)
    return team


def _own_output() -> None:
    """Send to standard error what C libraries write to standard output."""
    sys.stdout.flush()
    own = os.dup(1)  # Gloo tells of every connection
    os.dup2(2, 1)
    sys.stdout = os.fdopen(own, "w", encoding=sys.stdout.encoding)


def together(
    team: Any,
    watchers: "Callable[[], list[Watcher]]",
    work: "Callable[[Watcher], None]",
) -> int:
    """Do a run in this process, or with others; the first alone shows and writes.

    Args:
      team: From `team_of`.
      watchers: Makes those that watch the run; nobody does in the other processes.
      work: Runs, and tells a watcher.

    Returns:
      The exit code: 1 where another process was lost.
    """
    from jnst.cli.main import fail
    from jnst.cli.stopping import end, has_come
    from jnst.scale.processes import LostWorkerError, joined
    from jnst.watching.watcher import watched

    if team is not None:
        _own_output()
    try:
        with joined(team) as first, watched(watchers() if first else []) as shows:
            work(shows)
    except LostWorkerError as error:
        # All were told to end, and another was the first to do so.
        _leave(fail(*end()) if has_come() else fail(error, 1))
    except KeyboardInterrupt:
        if team is None:
            raise
        _leave(fail(*end()))
    return 0


def _leave(code: int) -> NoReturn:
    """End this process at once, else JAX waits for the others."""
    sys.stderr.flush()
    os._exit(code)
