"""The machine and what is installed: system, versions, variables, memory, disk."""

import importlib.metadata
import os
import platform
import shutil
import tempfile
from pathlib import Path
from typing import Any

import jax
import psutil

from jnst.bench.host import LIBRARIES, asked_of_driver
from jnst.doctor.finding import LOOK, OK, Finding, Found
from jnst.drivers.record import PACKAGES, cores
from jnst.files import cache_folder
from jnst.memory import available_bytes, container_bytes
from jnst.processor import cpu_name
from jnst.scale.memory import WHOLE_BYTES

PREFIXES = ("JAX_", "XLA_", "LIBTPU_", "TPU_", "JNST_", "CUDA_", "NVIDIA_", "OMP_")
NAMES = ("XDG_CACHE_HOME", "LD_LIBRARY_PATH", "MALLOC_ARENA_MAX")
"""Variables of the environment that a report tells, by how they begin and by name."""
MIB = 2**20
LITTLE_DISK_MIB = 512
"""Below this a disk may fill: weights take 80 MB, programs of a size some 14 MiB."""
LITTLE_MEMORY_PX = 256
"""A picture of this side is what the demo makes."""


def installed(name: str) -> str | None:
    """Return a package's version, None where it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def versions() -> Found:
    """Tell the versions a result depends on, and the variables that are set."""
    told = {name: installed(name) for name in PACKAGES}
    driver = asked_of_driver(["driver_version"])
    libraries = {name: installed(name) for name in LIBRARIES}
    facts: dict[str, Any] = {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": told,
        "libraries": {k: v for k, v in libraries.items() if v},
        "driver": driver[0][0] if driver else None,
        "variables": {
            name: value
            for name, value in sorted(os.environ.items())
            if name.startswith(PREFIXES) or name in NAMES
        },
    }
    short = (f"{k} {told[k] or 'unknown'}" for k in ("jnst", "jax", "jaxlib", "numpy"))
    text = f"Python {facts['python']}, {', '.join(short)}, {facts['system']}"
    findings = [Finding("versions", OK, text)]
    if told["jax"] and told["jaxlib"] and told["jax"] != told["jaxlib"]:
        words = f"jax {told['jax']} beside jaxlib {told['jaxlib']}"
        advice = f"pip install 'jaxlib=={told['jax']}', which belongs to this JAX"
        findings.append(Finding("versions", LOOK, words, advice))
    return Found(facts, findings)


def _mib(amount: int | None) -> int | None:
    return None if amount is None else amount // MIB


def gib(amount: int) -> str:
    """Write an amount of memory."""
    return f"{amount / 2**30:.3g} GiB"


def memory() -> Found:
    """Tell the memory of the machine, the container and the accelerator."""
    machine, limit = psutil.virtual_memory(), container_bytes()
    facts: dict[str, Any] = {
        "cpu": cpu_name(),
        "cores": cores(),
        "machine_mib": _mib(machine.total),
        "machine_free_mib": _mib(machine.available),
        "container_mib": _mib(limit),
    }
    parts = [f"machine {gib(machine.total)}"]
    parts += [] if limit is None else [f"container {gib(limit)}"]
    free = available_bytes()
    facts["free_mib"] = _mib(free)
    if jax.default_backend() != "cpu":
        devices = [device.memory_stats() or {} for device in jax.devices()]
        limits = [stats.get("bytes_limit") for stats in devices]
        facts["devices_mib"] = [_mib(each) for each in limits]
        parts += [f"device {gib(each)}" for each in limits[:1] if each]
    if free is None:
        words = f"{', '.join(parts)}; nobody tells how much is free"
        return Found(facts, [Finding("memory", OK, words)])
    side = int((free / WHOLE_BYTES) ** 0.5) // 16 * 16
    little = side < LITTLE_MEMORY_PX
    words = f"{', '.join(parts)}; {gib(free)} free, for pictures up to some {side} px"
    advice = "`--tile-px auto` takes less, `jnst plan --size PX` says how much"
    state, advice = (LOOK, advice) if little else (OK, "")
    return Found(facts, [Finding("memory", state, words, advice)])


def nearest_folder(path: Path) -> Path:
    """Return a folder, or the nearest one above it that is there."""
    return next(each for each in (path, *path.parents) if each.is_dir())


def disk() -> Found:
    """Tell how much room there is for the cache, temporary files, and results."""
    places = {
        "cache": nearest_folder(cache_folder()),
        "temporary files": Path(tempfile.gettempdir()),
        "this folder": Path.cwd(),
    }
    usages = {what: shutil.disk_usage(folder) for what, folder in places.items()}
    facts = {
        what: {"folder": str(places[what]), "free_mib": usage.free // MIB}
        for what, usage in usages.items()
        if usage.total  # else no disk
    }
    few = [each for each in facts.values() if each["free_mib"] < LITTLE_DISK_MIB]
    words = ", ".join(
        f"{each['free_mib'] / 1024:.1f} GiB free for {what}"
        for what, each in facts.items()
    )
    advice = ", ".join(sorted({repr(each["folder"]) for each in few}))
    advice = advice and f"make room in {advice}: a full disk ends a run"
    return Found(facts, [Finding("disk", LOOK if few else OK, words, advice)])
