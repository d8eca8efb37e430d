"""What is kept beside a picture, so that a run can be told and made again."""

import importlib.metadata
import os
import platform
from typing import Any

import jax
import numpy as np

from jnst.drivers.result import Result
from jnst.loop.history import History
from jnst.recipes.settings import record

PACKAGES = ("jnst", "jax", "jaxlib", "flax", "optax", "numpy", "pillow")


def versions() -> dict[str, str]:
    """Return the versions a result depends on."""
    found = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version(), **found}


def cores() -> int | None:
    """Return how many cores this process may use, as far as the system tells."""
    allowed = getattr(os, "sched_getaffinity", None)  # of Linux
    return len(allowed(0)) if allowed else os.cpu_count()


def device() -> str:
    """Name the device that JAX computes on."""
    first = jax.devices()[0]
    if first.platform == "cpu":
        return f"cpu ({platform.machine()}, {cores()} cores)"
    return f"{first.platform} ({first.device_kind})"


def document(result: Result) -> dict[str, Any]:
    """Gather what a PNG carries: recipe, inputs, weights, versions, figures."""
    return {
        **result.inputs,
        "recipe": record(result.recipe),
        "weights": result.weights,
        "versions": versions(),
        "device": device(),
        "stages": [stage._asdict() for stage in result.stages],
        "seconds": result.seconds,
        "compile_seconds": result.compile_seconds,
        "final_loss": float(np.mean(result.history["loss"][..., -1])),
    }


def with_history(about: dict[str, Any], history: History) -> dict[str, Any]:
    """Add a history to `document`, as `--history` writes it."""
    return {**about, "history": {k: np.asarray(v) for k, v in history.items()}}
