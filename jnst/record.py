"""What is kept beside a picture, so that a run can be told and made again."""

import importlib.metadata
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jnst.files import sha256_of
from jnst.result import History, Result
from jnst.settings import record

PACKAGES = ("jnst", "jax", "jaxlib", "flax", "optax", "numpy", "pillow")


def versions() -> dict[str, str]:
    """Return the versions a result depends on."""
    found = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version(), **found}


def device() -> str:
    """Name the device that JAX computes on."""
    first = jax.devices()[0]
    if first.platform == "cpu":
        return f"cpu ({platform.machine()}, {os.cpu_count()} cores)"
    return f"{first.platform} ({first.device_kind})"


def described(path: str | Path) -> dict[str, str]:
    """Return a file's name, without its folder, and SHA-256."""
    return {"name": Path(path).name, "sha256": sha256_of(path)}


def document(
    result: Result,
    *,
    name: str,
    content: str | Path | None,
    styles: Sequence[str | Path],
    blend: Sequence[float] | None,
    init: str | None,
) -> dict[str, Any]:
    """Gather what a PNG carries: recipe, inputs, weights, versions, figures."""
    return {
        "recipe_name": name,
        "recipe": record(result.recipe),
        "content": described(content) if content else None,
        "styles": [described(style) for style in styles],
        "blend": list(blend) if blend else None,
        "init": described(init) if init and Path(init).is_file() else init,
        "weights": result.weights,
        "versions": versions(),
        "device": device(),
        "stages": [stage._asdict() for stage in result.stages],
        "seconds": result.seconds,
        "compile_seconds": result.compile_seconds,
        "final_loss": float(result.history["loss"][-1]),
    }


def with_history(about: dict[str, Any], history: History) -> dict[str, Any]:
    """Add a history to `document`, as `--history` writes it."""
    return {**about, "history": {k: np.asarray(v) for k, v in history.items()}}
