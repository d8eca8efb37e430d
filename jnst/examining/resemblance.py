"""The probe of kinship: which losses pull a picture the same way.

Compared are gradients with respect to the pixels, through the network, of all losses of
a kind. Layers are weighed so that each pulls as hard at the first picture: how losses
weigh layers says nothing of the losses. The pictures are the same for all, those of a
run of the default recipe, so that a cosine is the same whichever loss is asked.
"""

import jax.numpy as jnp
import numpy as np

from jnst.base import vdot
from jnst.examining.finding import FACT, LOOK, Finding, Lab
from jnst.examining.scene import Scene, even_weights
from jnst.examining.subject import make_subject
from jnst.objective.kinds import Part
from jnst.objective.term import TABLES

PLACES = {
    # Kind: pictures, of which the first is where layers are weighed.
    "style": ("content", "middle", "end"),
    "content": ("style", "middle", "end"),
    "image": ("content", "middle", "end"),
}
SAME = 0.999
"""Mean cosine above which two losses are one up to a factor."""


def directions(scene: Scene, part: Part) -> list[np.ndarray | None]:
    """Compute the unit gradient of a loss at each of `PLACES`; None where it is 0."""
    places = PLACES[part.kind]
    weights = even_weights(scene, part, places[0], scene.size_px)
    found: list[np.ndarray | None] = []
    for name in places:
        pulled = scene.gradient(part, name, scene.size_px, weights)
        norm = float(jnp.sqrt(vdot(pulled, pulled)))
        usable = np.isfinite(norm) and norm > 0
        found.append(np.asarray(pulled / norm) if usable else None)
    return found


def _cosines(
    ours: list[np.ndarray | None], theirs: list[np.ndarray | None]
) -> list[float | None]:
    pairs = zip(ours, theirs, strict=True)
    return [None if a is None or b is None else float(np.vdot(a, b)) for a, b in pairs]


def _mean(cosines: list[float | None]) -> float:
    """Average what is known; -2 where nothing is, which sorts last."""
    known = [each for each in cosines if each is not None]
    return float(np.mean(known)) if known else -2.0


def resemblance(lab: Lab) -> Finding:
    """Ask which losses pull the same way: at the start, in the middle, at the end."""
    part, scene = lab.part, lab.scene
    lab.tell("a run of the default recipe")
    scene.points()
    ours, rows, failed = directions(scene, part), {}, {}
    others = [name for name in TABLES[part.kind] if name != part.loss]
    for n, name in enumerate(others, start=1):
        lab.tell(f"beside {name}, {n} of {len(others)}")
        layers = part.layers if part.kind != "image" else ()
        try:
            theirs = directions(scene, make_subject(name, layers=layers))
            rows[name] = _cosines(ours, theirs)
        except Exception as error:  # ott-jax missing, a map too small, a user's loss
            failed[name] = " ".join(str(error).split())[:100]
    ordered = dict(sorted(rows.items(), key=lambda row: -_mean(row[1])))
    numbers = {"places": PLACES[part.kind], "cosines": ordered, "failed": failed}
    if not any(_mean(row) > -2 for row in ordered.values()):
        return Finding(LOOK, "it has no gradient to compare", numbers)
    nearest = [f"{name} {_mean(row):.2f}" for name, row in list(ordered.items())[:3]]
    words = f"pulls most like {', '.join(nearest)} (mean cosine of gradients)"
    top = next(iter(ordered))
    if _mean(ordered[top]) > SAME:
        return Finding(LOOK, f"{words}: {top} again, up to a factor", numbers)
    return Finding(FACT, words, numbers)
