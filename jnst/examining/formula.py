"""Probes of the formula itself on small raw maps: equality, and degenerate maps.

Maps are at VGG's scale, up to some thousands; images are in [0, 1].
"""

from collections.abc import Iterator

import jax
import numpy as np

from jnst.examining.finding import LOOK, OK, WRONG, Finding, Lab, number, worst
from jnst.examining.raw import bound, small_maps
from jnst.examining.subject import raw_part

ZERO = 1e-6
"""Of the loss of unlike maps: what counts as 0. Sinkhorn's iterations end before."""
NEAR = 1e-2
"""Float32 may differ from float64 by so much of the loss, on degenerate maps."""


def equality(lab: Lab) -> Finding:
    """Ask whether it is 0 at equality, and above 0 elsewhere."""
    part = raw_part(lab.part)
    maps = small_maps(part, seed=lab.seed)
    other = small_maps(part, seed=lab.seed + 1)["ordinary"]
    with jax.enable_x64(True):
        run = bound(part, np.float64, lab.seed)
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
    run = bound(part, np.float32, lab.seed)
    found = {pair: run(*(maps[k] for k in pair)) for pair in pairs}
    with jax.enable_x64(True):
        precise = bound(part, np.float64, lab.seed)
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
