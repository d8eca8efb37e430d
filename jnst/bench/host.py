"""The machine around a measurement: load, clocks, power, heat, and what else is told.

What nobody tells is left out: a figure that is missing is better than a guess.
"""

import importlib.metadata
import os
import subprocess
from typing import Any

import jax
import psutil

Found = dict[str, Any]
LIBRARIES = (
    "libtpu",
    "nvidia-cudnn-cu12",
    "nvidia-cudnn-cu13",
    "jax-cuda12-plugin",
    "jax-cuda13-plugin",
)
"""Packages beside JAX's own that a time depends on."""
VARIABLES = ("LIBTPU_INIT_ARGS", "JAX_PLATFORMS", "XLA_PYTHON_CLIENT_MEM_FRACTION")
"""Variables beside XLA_FLAGS that a time depends on."""
ASKED = {
    "clocks.sm": "sm_mhz",
    "clocks.mem": "memory_mhz",
    "power.draw": "power_w",
    "temperature.gpu": "temperature_c",
    "utilization.gpu": "busy_percent",
}
"""What NVIDIA's `nvidia-smi --query-gpu` calls figures, and our names."""
TIMEOUT_S = 10


def asked_of_driver(names: list[str]) -> list[list[str]]:
    """Ask NVIDIA's driver, a line a GPU; nothing where there is none.

    Args:
      names: As `nvidia-smi --help-query-gpu` lists them.
    """
    command = ["nvidia-smi", f"--query-gpu={','.join(names)}"]
    command += ["--format=csv,noheader,nounits"]
    how: dict[str, Any] = {"capture_output": True, "text": True, "timeout": TIMEOUT_S}
    try:
        done = subprocess.run(command, check=True, **how)
    except (OSError, subprocess.SubprocessError):
        return []
    return [[x.strip() for x in line.split(",")] for line in done.stdout.splitlines()]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:  # "[N/A]"
        return None


def gpus() -> list[Found]:
    """Return clocks, power and temperature of every NVIDIA GPU, as its driver tells."""
    rows = [map(_number, row) for row in asked_of_driver(list(ASKED))]
    return [
        {k: v for k, v in zip(ASKED.values(), row, strict=True) if v is not None}
        for row in rows
    ]


def _hottest() -> float | None:
    """Return the highest temperature of the CPU in degrees Celsius, if it is told."""
    sensors = getattr(psutil, "sensors_temperatures", dict)()
    names = ("coretemp", "k10temp", "zenpower", "cpu_thermal")
    found = [each.current for name in names for each in sensors.get(name, [])]
    return max(found, default=None)


def sensed() -> Found:
    """Return what the machine is doing now.

    Returns:
      "load": processes that wanted a core, mean of the last minute; "cpu_mhz" and
      "cpu_c", clock and temperature, where the system tells; "gpus" where JAX computes
      on NVIDIA's, see `gpus`.
    """
    clock, heat = psutil.cpu_freq(), _hottest()
    found: Found = {"load": psutil.getloadavg()[0]}
    if clock and clock.current:
        found["cpu_mhz"] = clock.current
    if heat is not None:
        found["cpu_c"] = heat
    on_gpu = jax.default_backend() == "gpu"
    return found | ({"gpus": gpus()} if on_gpu else {})


def surroundings() -> Found:
    """Return what a document tells of libraries, driver and variables.

    Returns:
      {"libraries": {package: version}, "variables": {name: value}}, and "driver", the
      version of NVIDIA's.
    """
    found: Found = {"libraries": {}, "variables": {}}
    for name in LIBRARIES:
        try:
            found["libraries"][name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    set_ = {name: os.environ[name] for name in VARIABLES if name in os.environ}
    found["variables"] = set_
    driver = (
        asked_of_driver(["driver_version"]) if jax.default_backend() == "gpu" else []
    )
    return found | ({"driver": driver[0][0]} if driver else {})
