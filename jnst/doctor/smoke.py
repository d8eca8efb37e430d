"""Three steps of the default recipe on a fixed pair, beside the losses they must have.

The losses are in `jnst/data/smoke.json`, made by `benchmarks/smoke.py`, with versions,
device and tolerances. Real weights are taken if they are at hand, so that the run is
what a user's would be; seeded ones otherwise.
"""

import functools
import importlib.resources
import json
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jnst.base import Params
from jnst.bench.networks import RANDOM, random_params
from jnst.doctor.finding import BROKEN, LOOK, OK, Finding, Found, in_a_line
from jnst.drivers.transfer import stylize
from jnst.files import cache_folder
from jnst.weights import DEFAULT_SOURCE, list_weights, load_described

STEPS, SHAPE = 3, (32, 48)
RATE = 0.01
"""Learning rate: so few steps of the default's would go beyond what they look for."""
CHANNELS = 64
"""Widest layer of the network with seeded kernels."""


def waves(phase: float) -> np.ndarray:
    """Draw coloured waves, [H, W, 3] in [0, 1], the same everywhere.

    Args:
      phase: Where they begin; another one makes another picture.
    """
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(np.float64)
    channels = [
        0.5
        + 0.25 * np.sin(rows / (3 + n) + phase)
        + 0.2 * np.sin(columns / (5 - n) + n)
        for n in range(3)
    ]
    return np.stack(channels, axis=-1).astype(np.float32)


def smoke_losses(params: Params, **changes: Any) -> list[float]:
    """Run the three steps.

    Args:
      params: Parameters of a network.
      **changes: Fields of the recipe.

    Returns:
      The loss before each step.
    """
    fields: dict[str, Any] = {"steps": STEPS, "learning_rate": RATE, **changes}
    result = stylize(waves(0.0), waves(1.5), weights=params, seed=0, **fields)
    return [float(loss) for loss in result.history["loss"]]


def seeded_params() -> Params:
    """Return the network with seeded kernels, for machines without weights.

    It sees grey levels instead of values about 1, as VGG19 does: else its features
    would be too small to tell in the loss.
    """
    params = random_params("vgg19", most_channels=CHANNELS)
    pixels = {name: 255 * leaf for name, leaf in params["preprocess"].items()}
    return {**params, "preprocess": pixels}


@functools.cache
def known() -> dict[str, Any]:
    """Read `jnst/data/smoke.json`."""
    path = importlib.resources.files("jnst.data") / "smoke.json"
    return json.loads(path.read_text(encoding="utf-8"))


def _network() -> tuple[str, Params]:
    """Return the default weights where they are at hand and known, or seeded ones."""
    row = next(row for row in list_weights() if row["name"] == DEFAULT_SOURCE)
    cached = cache_folder() / f"{DEFAULT_SOURCE}.safetensors"
    damaged = cached.exists() and row["found"] != str(cached)
    if row["found"] and not damaged:  # else a run would write it anew
        params, about = load_described(DEFAULT_SOURCE)
        if about["tensors_sha256"] == known()["losses"][DEFAULT_SOURCE]["sha256"]:
            return DEFAULT_SOURCE, params
    return RANDOM, seeded_params()


def distance(losses: list[float], wanted: list[float]) -> float:
    """Return the largest relative difference of two lists of losses."""
    pairs = zip(losses, wanted, strict=True)
    return max(abs(one - other) / abs(other) for one, other in pairs)


def judged(name: str, losses: list[float], document: Mapping[str, Any]) -> Found:
    """Hold losses to the known ones.

    Args:
      name: What network they are of.
      losses: Of `smoke_losses`.
      document: Of `known`.
    """
    row, backend = document["losses"][name], jax.default_backend()
    kind = "cpu" if backend == "cpu" else "accelerator"
    tolerance, away = row["tolerance"][kind], distance(losses, row["loss"])
    facts = {
        "weights": name,
        "losses": losses,
        "known": row["loss"],
        "difference": away,
        "tolerance": tolerance,
    }
    told = ", ".join(f"{loss:.6g}" for loss in losses)
    wanted = ", ".join(f"{loss:.6g}" for loss in row["loss"])
    words = f"{STEPS} steps on {name} weights: losses {told}, known {wanted} (JAX "
    words += (
        f"{document['versions']['jax']}), {away:.1e} apart, allowed {tolerance:.1e}"
    )
    if away <= tolerance:  # NaN is not
        return Found(facts, [Finding("smoke run", OK, words)])
    advice = "no picture made here can be trusted: delete the compiled programs, unset "
    advice += "XLA_FLAGS, reinstall jax and jaxlib, then report this"
    return Found(facts, [Finding("smoke run", BROKEN, words, advice)])


def smoke() -> Found:
    """Run three steps and hold their losses to the known ones."""
    try:
        name, params = _network()
        lines = []
    except (OSError, ValueError) as error:  # told by the check of weights
        words = f"weights could not be read, seeded ones are taken: {in_a_line(error)}"
        lines = [Finding("smoke run", LOOK, words, "see weights above")]
        name, params = RANDOM, seeded_params()
    found = judged(name, smoke_losses(params), known())
    return Found(found.facts, [*lines, *found.findings])
