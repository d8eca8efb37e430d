"""The probe of the gradient: finite differences in float64; the loss without jit."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jnst.examining.finding import LOOK, OK, WRONG, Finding, Lab, number, worst
from jnst.examining.raw import bound, cosine, scale_of, small_maps
from jnst.examining.subject import (
    Known,
    as_type,
    key_of,
    losses,
    losses_and_pull,
    raw_part,
    targets,
)
from jnst.objective.kinds import Part

DIRECTIONS = 8
STEPS = {"float64": (1e-6,), "float32": (1e-2, 1e-3, 1e-4, 1e-5)}
"""Of a central difference, over the maps' root mean square, by the type that a loss
computes in; of several the best counts. In float64 errors are about 1e-9 of the slope,
and hardly any two values that are sorted change places."""
RIGHT = {"float64": 1e-5, "float32": 2e-2}
"""Error of slopes, over slopes, below which the gradient is right."""
PLACES = 2
"""Where slopes are taken, of which the better counts: by bad luck a place may lie on
the kink of an absolute value or a match, which has no slope."""
COMPILED = 1e-4
"""Change of the value, or turn of the gradient, that jit is granted."""
NO_DESCENT = 0.5
"""Error of slopes above which no descent is to be expected."""
UNTIED = 0.02
"""Deviation of what is added to maps before slopes are taken, over their own."""


def _computes_in(part: Part, maps: Any, other: Any, seed: int) -> str:
    """Name the type of a loss of float64 maps: some bring maps to float32 first."""
    x, y = (as_type(each, np.float64) for each in (maps, other))
    target = jax.eval_shape(lambda k: targets(k, part), Known(y, y))
    found = jax.eval_shape(lambda t: losses(x, t, key_of(seed), part), target)
    return "float64" if found.dtype == np.float64 else "float32"


def _slopes(
    part: Part, maps: Any, other: Any, seed: int, step: float
) -> tuple[Any, Any, float]:
    """Slopes along random directions: by differences, by the gradient; and the loss."""
    run, rng = bound(part, np.float64, seed), np.random.default_rng(seed)
    step = step * scale_of(maps)
    value, gradient = run(maps, other)
    by_difference, by_gradient = [], []
    for _ in range(DIRECTIONS):
        way = jax.tree.map(lambda x: rng.normal(size=x.shape), maps)
        ends = [
            run(jax.tree.map(lambda x, v, s=s: x + s * step * v, maps, way), other)[0]
            for s in (1, -1)
        ]
        by_difference.append((ends[0] - ends[1]) / (2 * step))
        pairs = zip(jax.tree.leaves(gradient), jax.tree.leaves(way), strict=True)
        by_gradient.append(sum(float(np.vdot(g, v)) for g, v in pairs))
    return np.asarray(by_difference), np.asarray(by_gradient), value


def _error(differences: np.ndarray, slopes: np.ndarray) -> float:
    """Return how far slopes are off, over their size; infinity for NaN."""
    size = float(np.linalg.norm(differences)) or 1.0
    error = float(np.linalg.norm(differences - slopes)) / size
    return error if np.isfinite(error) else float("inf")


def gradient(lab: Lab) -> Finding:
    """Ask whether the gradient is the value's slope, and a compiled loss the same."""
    part = raw_part(lab.part)
    numbers: dict[str, Any] = {}
    for place in range(PLACES):
        lab.tell(f"at place {place + 1}")
        found = _at_place(part, lab.seed, place)
        numbers = min(numbers or found, found, key=_badness)
        if _badness(numbers) <= 1:
            break
    error, turned = numbers["slope_error"], numbers["jit_gradient_turn"]
    wrong = not error <= NO_DESCENT
    right = error <= RIGHT[numbers["computes_in"]]
    words = f"slopes differ from finite differences by {number(error)} of them"
    words += " (it computes in float32)" if numbers["computes_in"] == "float32" else ""
    if not right and not wrong:
        words += ": it is approximate, or part of the value is held constant in it"
    if wrong:
        words += ": the gradient is not that of the value"
    same = numbers["jit_error"] <= COMPILED and turned <= COMPILED
    words += f"; jit changes the value by {number(numbers['jit_error'])}"
    words += "" if same else f" and turns the gradient by {number(turned)}"
    first = OK if right else WRONG if wrong else LOOK
    return Finding(worst(first, OK if same else WRONG), words, numbers)


def _badness(numbers: Mapping[str, Any]) -> float:
    """Return how far the worst of a place's errors is beyond what is granted."""
    errors = [numbers["slope_error"] / RIGHT[numbers["computes_in"]]]
    errors += [numbers[k] / COMPILED for k in ("jit_error", "jit_gradient_turn")]
    return max(e if np.isfinite(e) else float("inf") for e in errors)


def _at_place(part: Part, seed: int, place: int) -> dict[str, Any]:
    """Compare slopes in float64, and the loss as written with the compiled one."""
    maps, other = (
        small_maps(part, seed=seed + 2 * place + n)["ordinary"] for n in (0, 1)
    )
    maps = _untied(maps, seed=seed)
    with jax.enable_x64(True):
        dtype = _computes_in(part, maps, other, seed)
        tries = [_slopes(part, maps, other, seed, step) for step in STEPS[dtype]]
    differences, slopes, value = min(tries, key=lambda each: _error(*each[:2]))
    eager = _eager(part, maps, other, seed)
    compiled = bound(part, np.float32, seed)(maps, other)
    leaves = [jax.tree.leaves(each[1]) for each in (eager, compiled)]
    return {
        "slope_error": _error(differences, slopes),
        "jit_error": abs(eager[0] - compiled[0]) / max(abs(compiled[0]), 1e-30),
        "jit_gradient_turn": 1 - cosine(*leaves),
        "computes_in": dtype,
        "value": value,
        "slopes": slopes,
        "differences": differences,
    }


def _untied(maps: Any, *, seed: int) -> Any:
    """Shake maps a little: where values are equal, what sorts them has no slope."""
    rng, size = np.random.default_rng(seed), UNTIED * scale_of(maps)
    return jax.tree.map(lambda x: x + rng.normal(0, size, x.shape), maps)


def _eager(part: Part, maps: Any, other: Any, seed: int) -> tuple[float, Any]:
    """Compute loss and gradient as written, operation by operation."""
    other = as_type(other, np.float32)
    target = targets(Known(other, other), part)
    found, pulled = losses_and_pull(
        as_type(maps, np.float32), target, key_of(seed), part
    )
    return float(np.sum(found)), pulled
