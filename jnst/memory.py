"""Memory of this process, as the system sees it, and what it may still take."""

import contextlib
import ctypes
from pathlib import Path

import jax

CGROUPS = (
    ("/sys/fs/cgroup", "max", "current", "inactive_file"),
    (
        "/sys/fs/cgroup/memory",
        "limit_in_bytes",
        "usage_in_bytes",
        "total_inactive_file",
    ),
)
"""Where Linux tells what a container may have, has, and has of files that it would give
up (in memory.stat): version 2, version 1."""


def release_freed() -> None:
    """Give memory that was freed back to the system, where the C library keeps it.

    glibc keeps what lies below anything still in use: after weights were read, or a
    program compiled, as much as 100 MB. Does nothing with another C library.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def available_bytes() -> int | None:
    """Return the memory that this process may still take; None where nobody says.

    On an accelerator that of its first device; else the least of what Linux says of the
    machine and of the container.
    """
    if jax.default_backend() != "cpu":
        stats = jax.devices()[0].memory_stats() or {}
        limit = stats.get("bytes_limit")
        return None if limit is None else limit - stats.get("bytes_in_use", 0)
    free = _numbers("/proc/meminfo").get("MemAvailable:")
    found = [] if free is None else [1024 * free]
    for folder, limit, usage, reclaimable in CGROUPS:
        most = _read(f"{folder}/memory.{limit}").strip()
        now = _read(f"{folder}/memory.{usage}").strip()
        if most.isdigit() and now.isdigit():
            files = _numbers(f"{folder}/memory.stat").get(reclaimable, 0)
            found.append(int(most) - int(now) + files)
    return min(found, default=None)


def container_bytes() -> int | None:
    """Return the memory that the container may have; None without such a limit."""
    machine = _numbers("/proc/meminfo").get("MemTotal:", 0) * 1024
    texts = [_read(f"{folder}/memory.{limit}").strip() for folder, limit, *_ in CGROUPS]
    limits = [int(text) for text in texts if text.isdigit()]
    return min((each for each in limits if each < machine), default=None)


def resident_bytes() -> int | None:
    """Return what this process has in memory now; None where Linux does not say."""
    return _own("VmRSS:")


def peak_bytes() -> int | None:
    """Return the most that this process has had in memory; None as above."""
    return _own("VmHWM:")


def _own(name: str) -> int | None:
    found = _numbers("/proc/self/status").get(name)
    return None if found is None else 1024 * found


def _numbers(path: str) -> dict[str, int]:
    """Read a file of names and numbers, a pair a line."""
    lines = [line.split() for line in _read(path).splitlines()]
    return {line[0]: int(line[1]) for line in lines if line[1:] and line[1].isdigit()}


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
