"""Probes on the features of two pictures: image size, rounding, curvature.

Features are of the network at the loss's layers, at one layer where that will do.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from jnst.base import Features, vdot
from jnst.examining.finding import (
    FACT,
    LOOK,
    OK,
    WRONG,
    Finding,
    Lab,
    number,
    worst,
)
from jnst.examining.raw import cosine, scale_of
from jnst.examining.scene import even_weights
from jnst.examining.subject import (
    Known,
    as_type,
    is_joint,
    key_of,
    layers_seen,
    losses_and_pull,
    quick,
    reference,
    targets,
)
from jnst.objective.kinds import Losses, Part

SIZES_PX = (64, 128, 256)
PORTABLE = 2.0
"""Factor by which a gradient may drift over `SIZES_PX` beside the reference's."""
FLOAT32, BFLOAT16 = (1e-4, 1e-4), (3e-2, 2e-2)
"""Largest relative error of a value, and of 1 less the cosine of gradients, at which
nothing needs a look."""
WAYS = 16
FLAT, ROUNDING = 1e-6, 1e-12
"""Of the largest curvature at a point, and at both: what counts as 0."""


def _start(part: Part) -> str:
    """Name a picture at which a loss pulls, as no content loss does at its own."""
    away = part.kind == "content" or getattr(part.row, "constants", None) is not None
    return "style" if away else "content"


def _by_size(lab: Lab, part: Part) -> dict[str, list[float]]:
    """Values and gradient norms at each size, layers weighed alike at the smallest."""
    scene, where = lab.scene, _start(part)
    weights = even_weights(scene, part, where, SIZES_PX[0])
    values, norms = [], []
    for side in SIZES_PX:
        lab.tell(f"{part.loss} at {side} px")
        found = scene.values(part, where, side)
        values.append(float(np.dot(weights, found)))
        pulled = scene.gradient(part, where, side, weights)
        norms.append(float(jnp.linalg.norm(pulled)))
    return {"values": values, "gradient_norms": norms}


def sizes(lab: Lab) -> Finding:
    """Ask whether a weight is good for any size: by gradients, beside Gram's."""
    part, other = lab.part, reference(lab.part)
    ours, theirs = _by_size(lab, part), _by_size(lab, other)
    drift = {k: v[-1] / v[0] if v[0] else float("nan") for k, v in ours.items()}
    known = {k: v[-1] / v[0] for k, v in theirs.items()}
    beside = drift["gradient_norms"] / known["gradient_norms"]
    numbers = {"sizes_px": SIZES_PX, **ours, "reference": other.loss}
    numbers |= {"reference_values": theirs["values"]}
    numbers |= {"reference_gradient_norms": theirs["gradient_norms"]}
    numbers |= {"gradient_drift": drift["gradient_norms"], "beside_reference": beside}
    words = (
        f"from {SIZES_PX[0]} to {SIZES_PX[-1]} px its value changes by "
        f"{number(drift['values'])}, its gradient by "
        f"{number(drift['gradient_norms'])} ({other.loss}'s by "
        f"{number(known['gradient_norms'])}): "
    )
    if not np.isfinite(beside) or not beside > 0:
        return Finding(WRONG, words + "no gradient to go by", numbers)
    if 1 / PORTABLE <= beside <= PORTABLE:
        return Finding(OK, words + "a weight is good for any size", numbers)
    words += f"beside {other.loss} its pull drifts by {number(beside)}: "
    return Finding(LOOK, words + "weigh it anew for each size", numbers)


def _one_layer(lab: Lab) -> tuple[Part, Features, Features]:
    """Choose a layer, or of a joint loss two, with the content's and style's maps."""
    scene, part = lab.scene, lab.part
    if is_joint(part):
        few = part.layers[1:3] if len(part.layers) > 2 else part.layers
        part = part._replace(layers=few)
    elif len(part.layers) > 1:
        part = part._replace(layers=(part.layers[len(part.layers) // 2],))
    layers, side = layers_seen(part), scene.size_px
    maps = [scene.maps(name, side) for name in ("content", "style")]
    ours, theirs = ({k: each[k] for k in layers} for each in maps)
    if _start(part) == "style":
        ours, theirs = theirs, ours
    return part, ours, theirs


def curved(
    maps: Features, known: Known, way: Features, key: Array, part: Part
) -> tuple[Losses, Features, Features]:
    """Compute a loss, its gradient, and its Hessian times a direction."""
    target = targets(known, part)

    def both(x: Features) -> tuple[Features, Losses]:
        found, pulled = losses_and_pull(x, target, key, part)
        return pulled, found

    pulled, product, found = jax.jvp(both, (maps,), (way,), has_aux=True)
    return found, pulled, product


def rounded(
    maps: Features, known: Known, key: Array, part: Part
) -> tuple[Losses, Features]:
    """Compute a loss and its gradient with its targets, in one program."""
    return losses_and_pull(maps, targets(known, part), key, part)


def rounding(lab: Lab) -> Finding:
    """Ask how much float32 and bfloat16 features change value and gradient."""
    part, ours, theirs = _one_layer(lab)
    key = key_of(lab.seed)

    def run(dtype: Any) -> tuple[float, list[Array]]:
        x, y = as_type(ours, dtype), as_type(theirs, dtype)
        found, pulled = quick(rounded)(x, Known(y, y), key, part)
        return float(np.sum(np.asarray(found, np.float64))), jax.tree.leaves(pulled)

    with jax.enable_x64(True):
        exact = run(np.float64)
    rows, verdicts, words = {}, [], []
    for dtype, (most, turn) in {"float32": FLOAT32, "bfloat16": BFLOAT16}.items():
        value, pulled = run(dtype)
        error = abs(value - exact[0]) / max(abs(exact[0]), 1e-300)
        alike = cosine(pulled, exact[1])
        rows[dtype] = {"value_error": error, "gradient_cosine": alike}
        broken = not (np.isfinite(value) and np.isfinite(alike))
        good = error <= most and 1 - alike <= turn
        verdicts.append(WRONG if broken else OK if good else LOOK)
        words.append(f"{dtype}: value off by {number(error)}, cosine {alike:.5f}")
    text = f"against float64 at {', '.join(layers_seen(part))}: {'; '.join(words)}"
    return Finding(worst(*verdicts), text, {**rows, "layers": layers_seen(part)})


def _curvatures(part: Part, maps: PyTree, known: Known, seed: int) -> np.ndarray:
    """Curvatures v^T H v along random directions of length 1."""
    rng, key, found = np.random.default_rng(seed), key_of(seed), []
    for _ in range(WAYS):
        way = jax.tree.map(lambda x: jnp.asarray(rng.normal(size=x.shape)), maps)
        length = scale_of(way)
        way = jax.tree.map(lambda v, n=length: v / (n * v.size**0.5), way)
        product = quick(curved)(maps, known, way, key, part)[2]
        pairs = zip(jax.tree.leaves(way), jax.tree.leaves(product), strict=True)
        found.append(sum(float(vdot(v, p)) for v, p in pairs))
    return np.asarray(found)


def curvature(lab: Lab) -> Finding:
    """Ask for the Hessian's sign on random directions; equality must be a minimum."""
    part, ours, theirs = _one_layer(lab)
    with jax.enable_x64(True):
        x, y = as_type(ours, np.float64), as_type(theirs, np.float64)
        away = _curvatures(part, x, Known(y, y), lab.seed)
        equal = _curvatures(part, y, Known(y, y), lab.seed)
    sizes_ = [float(np.abs(each).max()) for each in (away, equal)]
    flat = [max(FLAT * size, ROUNDING * max(sizes_)) for size in sizes_]
    rows = {
        "ways": {"away": away, "equal": equal},
        "positive": float(np.mean(away > flat[0])),
        "positive_at_equality": float(np.mean(equal > flat[1])),
        "negative_at_equality": float(np.mean(equal < -flat[1])),
    }
    words = (
        f"curves upwards on {rows['positive']:.0%} of {WAYS} random directions, at "
        f"equality on {rows['positive_at_equality']:.0%}"
    )
    if not np.isfinite(away).all() or not np.isfinite(equal).all():
        return Finding(WRONG, "second derivatives are not finite", rows)
    compares = part.kind != "image" or part.row.constants is not None
    if compares and rows["negative_at_equality"]:
        words += f", downwards on {rows['negative_at_equality']:.0%}: no minimum there"
        return Finding(LOOK, words, rows)
    return Finding(FACT, words, rows)
