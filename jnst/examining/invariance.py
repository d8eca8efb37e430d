"""Probes of what a loss does not see: shift, turn, mirror, another size, a tiling.

Each is the loss of a changed picture against the picture as it was, above that of the
picture against itself, over that of an unlike one: 0 where the loss is blind to the
change, 1 where the changed picture is as far as any other.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jnst.base import Features
from jnst.examining.finding import FACT, LOOK, OK, WRONG, Finding, Lab, number
from jnst.examining.raw import small_maps
from jnst.examining.subject import (
    Known,
    as_type,
    key_of,
    losses,
    quick,
    raw_part,
    targets,
)
from jnst.network.layers import IMAGE_LAYER
from jnst.network.pooling import pool
from jnst.objective.kinds import Part

BLIND = 1e-4
"""Of the loss of an unlike picture: what counts as not seen, on raw maps."""
LAYER = "relu3_1"
"""Layer at which changes of pictures are looked at."""


def _rolled(maps: Array) -> Array:
    """Move by a quarter of each side, around the border."""
    steps = (maps.shape[1] // 4, maps.shape[2] // 4)
    return jnp.roll(maps, steps, axis=(1, 2))


def _tiled(maps: Array) -> Array:
    return jnp.tile(maps, (1, 2, 2, 1))


def _halved(maps: Array) -> Array:
    """Average 2x2 positions."""
    return pool(maps, "average", rescale=False, ceil=False)


CHANGES: dict[str, tuple[str, Callable[[Array], Array]]] = {
    # Name: (in words, function of [1, H, W, C]); the last two change the size.
    "shift": ("shifted", _rolled),
    "rotation": ("turned by 90 degrees", lambda x: jnp.rot90(x, axes=(1, 2))),
    "mirror": ("mirrored", lambda x: x[:, :, ::-1]),
    "half": ("at half the size", _halved),
    "tiling": ("tiled 2 x 2", _tiled),
}
SIZES = ("half", "tiling")
"""Changes that a loss of maps of one shape cannot be asked about."""


def possible(part: Part) -> list[str]:
    """List the changes that a loss may be asked about."""
    takes_any = part.kind == "style" or (
        part.kind == "image" and part.row.constants is None
    )
    return [name for name in CHANGES if takes_any or name not in SIZES]


def _evaluator(part: Part, seed: int) -> Callable[[Features, Features], np.ndarray]:
    """Return (maps, against) -> loss by layer; of a loss of pixels alone, of maps."""
    key = key_of(seed)

    def run(maps: Features, against: Features) -> np.ndarray:
        target = quick(targets)(Known(against, against), part)
        return np.asarray(quick(losses)(maps, target, key, part), np.float64)

    return run


def measured(
    part: Part,
    run: Callable[[Features, Features], np.ndarray],
    changed: Callable[[str], Features],
    plain: Features,
    unlike: Features,
) -> dict[str, float | str]:
    """Measure each change.

    Args:
      part: The loss.
      run: From maps and what they are held against to the loss by layer.
      changed: From the name of a change to changed maps.
      plain: Maps unchanged.
      unlike: Maps of an unlike picture, of the same shapes.

    Returns:
      {change: loss over that of the unlike picture, mean over layers}; of a loss that
      compares nothing, the relative change of its value. A text where it failed.
    """
    alone = part.kind == "image" and part.row.constants is None
    base = run(plain, plain)  # not 0 for all: see `contextual`
    scale = np.abs(base if alone else run(unlike, plain))
    scale = np.where(scale > 0, scale, 1)
    found: dict[str, float | str] = {}
    for name in possible(part):
        try:
            found[name] = float(
                np.mean(np.abs(run(changed(name), plain) - base) / scale)
            )
        except Exception as error:  # a user's loss may raise anything
            found[name] = f"{type(error).__name__}: {' '.join(str(error).split())[:80]}"
    return found


def _raw(lab: Lab) -> dict[str, float | str]:
    part = raw_part(lab.part)
    with jax.enable_x64(True):
        made = [small_maps(part, seed=lab.seed + n, even=True) for n in (0, 1)]
        plain, unlike = (as_type(maps["ordinary"], np.float64) for maps in made)

        def changed(name: str) -> Features:
            return {k: CHANGES[name][1](each) for k, each in plain.items()}

        run = _evaluator(part, lab.seed)
        return measured(part, run, changed, plain, unlike)


def _of_pictures(lab: Lab) -> dict[str, float | str]:
    """Change the style's picture (of a content loss, the content's) before VGG."""
    scene, part, side = lab.scene, lab.part, lab.scene.size_px
    whose = "style" if part.kind == "style" else "content"
    other = "content" if whose == "style" else "style"
    if part.layers and IMAGE_LAYER not in part.layers:
        near = LAYER if LAYER in scene.layers else scene.layers[0]
        part = raw_part(part)
        part = part._replace(
            layers=part.layers[:2] if len(part.layers) > 1 else (near,)
        )
    layers = part.layers or (IMAGE_LAYER,)

    def seen(image: Array) -> Features:
        maps = scene.look(image)
        return {k: maps[k] for k in layers}

    plain, unlike = (seen(scene.picture(name, side)) for name in (whose, other))
    run = _evaluator(part, lab.seed)

    def changed(name: str) -> Features:
        return seen(CHANGES[name][1](scene.picture(whose, side)))

    return measured(part, run, changed, plain, unlike)


def _size_free(part: Part, tiling: Any) -> tuple[str, str]:
    """Hold the flag `size_free` against the distance of a tiling."""
    claim = part.row.size_free
    if isinstance(tiling, str):
        return (WRONG if claim else OK), (
            f"size_free says {claim}, a tiling cannot be compared ({tiling}): "
            f"{'DISAGREES' if claim else 'agrees'}"
        )
    if not np.isfinite(tiling):
        return WRONG, f"size_free says {claim}, a tiling gives {tiling}: DISAGREES"
    free = abs(tiling) <= BLIND
    what = "0" if free else number(tiling)
    words = f"size_free says {claim}, measured {what} for its own tiling: "
    if claim == free:
        return OK, words + "agrees"
    verdict = WRONG if claim else LOOK
    return verdict, words + ("DISAGREES" if claim else "the flag could be True")


def invariance(lab: Lab) -> Finding:
    """Ask what it does not see, and whether its flag `size_free` is true."""
    raw, pictures = _raw(lab), _of_pictures(lab)
    blind = [
        CHANGES[k][0]
        for k, v in raw.items()
        if not isinstance(v, str) and abs(v) <= BLIND
    ]
    words = (
        f"maps {', '.join(blind)} are the same to it" if blind else "sees all changes"
    )
    numbers: dict[str, Any] = {"maps": raw, "pictures": pictures}
    values = [v for v in pictures.values() if not isinstance(v, str)]
    if not np.isfinite(values).all():
        return Finding(WRONG, "not finite on features of pictures", numbers)
    if lab.part.kind != "style":
        return Finding(FACT, words, numbers)
    numbers["size_free"] = lab.part.row.size_free
    verdict, flag = _size_free(lab.part, raw["tiling"])
    return Finding(verdict, f"{flag}; {words}", numbers)
