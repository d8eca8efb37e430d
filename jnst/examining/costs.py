"""The probe of what a loss costs: seconds and MiB, in turn with Gram's, by size.

Measured is value and gradient with respect to feature maps, without the network, with
targets computed before. Maps are made up; their sizes are VGG19's.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jnst.base import Features
from jnst.bench.measure import program_mib, time_in_turn
from jnst.examining.finding import LOOK, OK, Finding, Lab, number
from jnst.examining.subject import (
    Known,
    gram_beside,
    key_of,
    layers_seen,
    losses_and_pull,
    program,
    targets,
)
from jnst.memory import peak_bytes, release_freed, resident_bytes
from jnst.network.layers import IMAGE_LAYER
from jnst.objective.kinds import Part

SIZES_PX = (128, 256, 512)
REPEATS = 5
DEAR = 10.0
"""Times Gram's seconds above which a loss needs a look."""
WIDTHS = (64, 128, 256, 512, 512)
CLEAR = Path("/proc/self/clear_refs")


def made_maps(part: Part, side: int, *, seed: int) -> Features:
    """Make maps of the sizes that VGG19's layers have at a picture's side.

    Args:
      part: The loss, whose layers say what is made.
      side: Side of the picture in pixels.
      seed: Seed of the values, which are 0 in half the places, as after a ReLU.
    """
    rng, found = np.random.default_rng(seed), {}
    for layer in layers_seen(part):
        if layer == IMAGE_LAYER:
            shape, scale = (1, side, side, 3), 0.3
        else:
            block = int(layer[4])  # relu3_1
            sides = side >> (block - 1)
            shape, scale = (1, sides, sides, WIDTHS[block - 1]), 500.0
        values = np.maximum(scale * rng.normal(size=shape), 0)
        found[layer] = jnp.asarray(values, np.float32)
    return found


def peak_mib(call: Callable[[], Any]) -> float | None:
    """Return by how much a call raises this process's resident memory at its highest.

    None where the system does not say: Linux does, once its mark is set back.
    """
    release_freed()  # else the call finds what another left
    try:
        CLEAR.write_text("5")
    except OSError:
        return None
    before = resident_bytes()
    call()
    after = peak_bytes()
    if before is None or after is None:
        return None
    return max(after - before, 0) / 2**20


def _call(part: Part, side: int, seed: int) -> tuple[Callable[[], Any], float]:
    """Compile value and gradient at a size; return a call, and its program's MiB."""
    ours, theirs = (made_maps(part, side, seed=seed + n) for n in (0, 1))
    target = program(targets)(Known(theirs, theirs), part)
    arguments = ours, target, key_of(seed)
    compiled = program(losses_and_pull).lower(*arguments, part).compile()

    def call() -> None:
        jax.block_until_ready(compiled(*arguments))

    call()
    return call, program_mib(compiled)


def _row(lab: Lab, other: Part, side: int) -> dict[str, Any]:
    lab.tell(f"compiling at {side} px")
    call, needed = _call(lab.part, side, lab.seed)
    beside, theirs = _call(other, side, lab.seed)
    lab.tell(f"timing at {side} px")
    seconds = time_in_turn({"ours": call, "theirs": beside}, REPEATS)
    pairs = zip(seconds["ours"], seconds["theirs"], strict=True)
    return {
        "size_px": side,
        "ms": 1e3 * float(np.median(seconds["ours"])),
        "reference_ms": 1e3 * float(np.median(seconds["theirs"])),
        "ratio": float(np.median([a / b for a, b in pairs])),
        "program_mib": needed,
        "reference_program_mib": theirs,
        "peak_mib": peak_mib(call),
        "reference_peak_mib": peak_mib(beside),
    }


def costs(lab: Lab) -> Finding:
    """Ask what it costs, in seconds and MiB, beside Gram's in the same run."""
    other, rows, stopped = gram_beside(lab.part), [], ""
    for side in SIZES_PX:
        try:
            rows.append(_row(lab, other, side))
        except (jax.errors.JaxRuntimeError, MemoryError) as error:
            stopped = f"; stopped at {side} px: {' '.join(str(error).split())[:80]}"
            break
    numbers = {"reference": other.loss, "repeats": REPEATS, "rows": rows}
    numbers |= {"stopped": stopped} if stopped else {}
    if not rows:
        return Finding(LOOK, f"cannot be timed{stopped}", numbers)
    words = ", ".join(
        f"{number(row['ms'])} ms and {number(row['program_mib'])} MiB at "
        f"{row['size_px']} px"
        for row in rows
    )
    ratios = [row["ratio"] for row in rows]
    words += f": {' / '.join(number(r) for r in ratios)} times {other.loss}'s time"
    growth = 1.0
    if len(rows) > 1:
        doublings = math.log2(rows[-1]["size_px"] / rows[-2]["size_px"])
        growth = math.log2(rows[-1]["ms"] / rows[-2]["ms"]) / doublings / 2
        words += f"; time grows as pixels to the power {growth:.1f}"
        numbers["exponent"] = growth
    dear = max(ratios) > DEAR or bool(stopped)
    return Finding(LOOK if dear else OK, words + stopped, numbers)
