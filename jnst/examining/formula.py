"""Probes of the formula itself, on small raw maps: equality, gradient, degenerate maps.

Maps are at VGG's scale, up to some thousands; images are in [0, 1].
"""

from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, PyTree

from jnst.examining import degenerate
from jnst.examining.finding import LOOK, OK, WRONG, Finding, Lab, number, worst
from jnst.examining.subject import (
    Known,
    as_type,
    key_of,
    losses,
    losses_and_pull,
    quick,
    raw_maps,
    raw_part,
    raw_side,
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
NO_DESCENT = 0.5
"""Error of slopes above which no descent is to be expected."""
UNTIED = 0.02
"""Deviation of what is added to maps before slopes are taken, over their own."""
ZERO = 1e-6
"""Of the loss of unlike maps: what counts as 0. Sinkhorn's iterations end before."""
NEAR = 1e-2
"""Float32 may differ from float64 by so much of the loss, on degenerate maps."""


def _made(
    height: int, width: int, channels: int, seed: int
) -> Mapping[str, np.ndarray]:
    return degenerate.maps(height, width, channels, seed=seed)


def _pictures(
    height: int, width: int, channels: int, seed: int
) -> Mapping[str, np.ndarray]:
    del channels
    found = degenerate.pictures(height, width, seed=seed)
    return {name: each[None].astype(np.float64) for name, each in found.items()}


def small_maps(
    part: Part, *, seed: int, even: bool = False
) -> dict[str, dict[str, np.ndarray]]:
    """Make the ordinary and the degenerate maps of a loss: pictures, of one on pixels.

    Args:
      part: From `raw_part`.
      seed: Seed of what is random.
      even: Whether they are square, so that they may be turned.
    """
    on_pixels = "image" in part.layers or part.kind == "image"
    make = _pictures if on_pixels else _made
    side = raw_side(part)

    def seeded(height: int, width: int, channels: int, n: int) -> Any:
        return make(height, width, channels, n + seed)

    return raw_maps(part, seeded, shape=(side, side if even else side - 2))


def scale_of(maps: PyTree) -> float:
    """Return the root mean square of all entries."""
    leaves = [np.asarray(leaf, np.float64).ravel() for leaf in jax.tree.leaves(maps)]
    return float(np.sqrt(np.mean(np.concatenate(leaves) ** 2)))


def _bound(part: Part, dtype: Any, seed: int) -> Any:
    """Return (maps, what they are held against) -> (loss, gradient), in one program."""
    target_of, pull = quick(targets), quick(losses_and_pull)
    key = key_of(seed)

    def run(maps: Any, against: Any) -> tuple[float, Any]:
        against = as_type(against, dtype)
        target = target_of(Known(against, against), part)
        found, gradient = pull(as_type(maps, dtype), target, key, part)
        return float(np.sum(found)), gradient

    return run


def equality(lab: Lab) -> Finding:
    """Ask whether it is 0 at equality, and above 0 elsewhere."""
    part = raw_part(lab.part)
    maps = small_maps(part, seed=lab.seed)
    other = small_maps(part, seed=lab.seed + 1)["ordinary"]
    with jax.enable_x64(True):
        run = _bound(part, np.float64, lab.seed)
        unlike = run(maps["ordinary"], other)[0]
        equal = run(maps["ordinary"], maps["ordinary"])[0]
        found = [run(maps[k], maps["ordinary"])[0] for k in maps]
    lowest = min(unlike, equal, *found)
    numbers = {"unlike": unlike, "equal": equal, "lowest": lowest}
    signs = [OK if lowest >= -ZERO * abs(unlike) else WRONG]
    words = [] if signs == [OK] else [f"falls below 0, to {number(lowest)}"]
    if not (np.isfinite(unlike) and unlike > 0):
        signs.append(WRONG)
        words.append(f"is {number(unlike)} for unlike maps")
    if part.kind == "image" and part.row.constants is None:
        words.append(f"{number(unlike)} on noise; compares nothing, so no equality")
    elif abs(equal) <= ZERO * abs(unlike):
        words.append(f"0 at equality (to {number(abs(equal / (unlike or 1)))})")
    else:
        signs.append(WRONG)
        words.append(
            f"is {number(equal)} at equality, {number(unlike)} for unlike maps"
        )
    return Finding(worst(*signs), "; ".join(words), numbers)


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
    run, rng = _bound(part, np.float64, seed), np.random.default_rng(seed)
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
    maps = _untied(small_maps(part, seed=lab.seed)["ordinary"], seed=lab.seed)
    other = small_maps(part, seed=lab.seed + 1)["ordinary"]
    with jax.enable_x64(True):
        dtype = _computes_in(part, maps, other, lab.seed)
        tries = [_slopes(part, maps, other, lab.seed, step) for step in STEPS[dtype]]
    differences, slopes, value = min(tries, key=lambda each: _error(*each[:2]))
    error = _error(differences, slopes)
    lab.tell("without jit")
    eager = _eager(part, maps, other, lab.seed)
    compiled = _bound(part, np.float32, lab.seed)(maps, other)
    apart = abs(eager[0] - compiled[0]) / max(abs(compiled[0]), 1e-30)
    leaves = [jax.tree.leaves(each[1]) for each in (eager, compiled)]
    turned = 1 - cosine(*leaves)
    numbers = {"slope_error": error, "jit_error": apart, "jit_gradient_turn": turned}
    numbers |= {
        "computes_in": dtype,
        "value": value,
        "slopes": slopes,
        "differences": differences,
    }
    wrong = not error <= NO_DESCENT
    first = OK if error <= RIGHT[dtype] else WRONG if wrong else LOOK
    words = f"slopes differ from finite differences by {number(error)} of them"
    words += " (it computes in float32)" if dtype == "float32" else ""
    if first == LOOK:
        words += ": it is approximate, or part of the value is held constant in it"
    if wrong:
        words += ": the gradient is not that of the value"
    same = apart <= 1e-4 and turned <= 1e-4
    words += f"; jit changes the value by {number(apart)}"
    words += "" if same else f" and turns the gradient by {number(turned)}"
    return Finding(worst(first, OK if same else WRONG), words, numbers)


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


def cosine(first: list[Array], second: list[Array]) -> float:
    """Return the cosine between two lists of arrays, in float64; NaN if one is 0."""
    ours, theirs = (
        np.concatenate([np.asarray(leaf, np.float64).ravel() for leaf in leaves])
        for leaves in (first, second)
    )
    norms = np.linalg.norm(ours) * np.linalg.norm(theirs)
    return float(ours @ theirs / norms) if norms > 0 else float("nan")


def _pairs(names: list[str]) -> Iterator[tuple[str, str]]:
    """Pair each map with itself and, in both orders, with an ordinary one and zeros.

    Of a loss on images zeros are a black one.
    """
    nothing = "zeros" if "zeros" in names else "black"
    for name in names:
        yield (name, name)
        for other in ("ordinary", nothing):
            yield from ((name, other), (other, name))


def degenerates(lab: Lab) -> Finding:
    """Ask whether all is finite on degenerate maps, and float32 enough for them."""
    part = raw_part(lab.part)
    maps = small_maps(part, seed=lab.seed)
    pairs = list(dict.fromkeys(_pairs(list(maps))))
    run = _bound(part, np.float32, lab.seed)
    found = {pair: run(*(maps[k] for k in pair)) for pair in pairs}
    with jax.enable_x64(True):
        precise = _bound(part, np.float64, lab.seed)
        right = {pair: precise(*(maps[k] for k in pair))[0] for pair in pairs}
    nothing = "zeros" if "zeros" in maps else "black"
    broken, rough = [], []
    for pair, (value, pulled) in found.items():
        if not np.isfinite(value):
            broken.append(f"value at {pair[0]} against {pair[1]}")
        elif not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(pulled)):
            broken.append(f"gradient at {pair[0]} against {pair[1]}")
        else:
            largest = max(abs(right[k, nothing]) for k in pair)
            allowed = NEAR * abs(right[pair]) + 1e-5 * largest + 1e-7
            if abs(value - right[pair]) > allowed:
                rough.append(f"{pair[0]} against {pair[1]}")
    numbers = {"pairs": len(pairs), "not_finite": broken, "inexact": rough}
    if broken:
        words = f"not finite in {len(broken)} of {len(pairs)} pairs: {broken[0]}"
        return Finding(WRONG, words, numbers)
    words = f"finite on {len(maps) - 1} degenerate maps, {len(pairs)} pairs"
    if rough:
        words += f"; float32 is off in {len(rough)}, such as {rough[0]}"
    return Finding(LOOK if rough else OK, words, numbers)
