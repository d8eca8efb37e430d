"""One run in several processes, on one host or many, by `jax.distributed`.

Every process runs the same program on the same pictures; each has its own devices, and
a mesh spans them all. The first alone writes files and tells of the run.
"""

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

import jax

AUTO = "auto"
JOINING_S, HEARTBEAT_S, FINISHING_S = 120, 20, 900
"""Seconds until others must have come, after which a silent one is lost, and in which
the first must have written what it found."""


class Team(NamedTuple):
    """How the processes of a run find each other.

    Attributes:
      coordinator: HOST:PORT of the first, which all others can reach; "auto" where a
        scheduler such as SLURM says all this.
      size: Number of processes; None for the scheduler's.
      number: Number of this one, from 0; None for the scheduler's.
    """

    coordinator: str
    size: int | None = None
    number: int | None = None


class LostWorkerError(RuntimeError):
    """A process of the run that has gone, or was never there."""


def check_team(team: Team) -> None:
    """Raise `ValueError` for what cannot be, before any work."""
    if team.coordinator == AUTO:
        return
    host, _, port = team.coordinator.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(
            f"--coordinator must be HOST:PORT such as 10.0.0.1:1234, or {AUTO}, got "
            f"{team.coordinator!r}"
        )
    if team.size is None or team.number is None:
        raise ValueError(
            f"--coordinator {team.coordinator} needs --processes and --process-id; "
            f"--coordinator {AUTO} asks the scheduler for all three"
        )
    if not 0 <= team.number < team.size:
        raise ValueError(
            f"--process-id must be 0 to {team.size - 1} for --processes {team.size}, "
            f"got {team.number}"
        )


@contextlib.contextmanager
def joined(team: Team | None) -> Iterator[bool]:
    """Run with the other processes; nothing of JAX may have run before.

    Args:
      team: Who they are; None for a run in this process alone.

    Yields:
      Whether this process is the first.

    Raises:
      ValueError: For what cannot be.
      LostWorkerError: If the others do not come, or one is lost.
    """
    if team is None:
        yield True
        return
    check_team(team)
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    # It would take SIGTERM away from Python and let a run go on.
    jax.config.update("jax_enable_preemption_service", False)
    known = {} if team.coordinator == AUTO else {"coordinator_address": team[0]}
    known |= {"num_processes": team.size, "process_id": team.number}
    limits = {
        "initialization_timeout": JOINING_S,
        "heartbeat_timeout_seconds": HEARTBEAT_S,
        "shutdown_timeout_seconds": FINISHING_S,
    }
    try:
        jax.distributed.initialize(**known, **limits)  # type: ignore[arg-type]
    except (RuntimeError, ValueError) as error:
        raise LostWorkerError(f"no run together: {_reason(error)}") from None
    try:
        yield jax.process_index() == 0
    except jax.errors.JaxRuntimeError as error:
        raise LostWorkerError(
            f"process {jax.process_index()} of {jax.process_count()} stopped; another "
            f"may be lost: {_reason(error)}"
        ) from None
    jax.distributed.shutdown()


def _reason(error: BaseException) -> str:
    """Return the innermost of what XLA has wrapped again and again."""
    line = str(error).strip().partition("\n")[0]
    return line.rpartition("Error dispatching computation: ")[2][:120]
