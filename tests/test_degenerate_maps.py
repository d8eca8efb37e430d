"""Every loss on degenerate maps at VGG's scale, beside itself in float64.

Formulas have their twins elsewhere; here it is float32's digits that are at stake.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_loss_contracts import ENLARGED, joint, loss_of

from jnst.examining import degenerate
from jnst.losses import CONTENT_LOSSES, STYLE_LOSSES
from jnst.recipes import RECIPES

CHOSEN = {(name, ()) for name in (*STYLE_LOSSES, *CONTENT_LOSSES)}
CHOSEN |= {(each.style_loss, each.style_options) for each in RECIPES.values()}
CHOSEN |= {(each.content_loss, each.content_options) for each in RECIPES.values()}
SIGNED = {"sinkhorn"}  # its iterations end before equality is reached
FEW = (4, 5, 40)
"""Fewer positions than channels, where some losses take another way."""


def cases():
    for name, options in sorted(CHOSEN, key=str):
        height, width = (side * ENLARGED.get(name, 1) for side in (6, 8))
        yield name, options, (height, width, 5)
        if name == "wasserstein2":
            yield name, options, FEW


def inputs(name, shape):
    """Maps by name, as the loss takes them."""
    if not joint(name):
        return degenerate.maps(*shape)
    height, width, _ = shape
    first = degenerate.maps(height, width, 3)
    second = degenerate.maps(height // 2, width // 2, 4, seed=1)
    return {k: {"relu1_1": first[k], "relu2_1": second[k]} for k in first}


def as_type(maps, dtype):
    return jax.tree.map(lambda each: jnp.asarray(each, dtype), maps)


@pytest.mark.parametrize(("name", "options", "shape"), [*cases()])
def test_a_loss_on_degenerate_maps(name, options, shape):
    """Finite, with a finite gradient, >= 0, and near its value in float64.

    Near: 1 %, or 1e-5 of the loss of either map against zeros, its largest term, or
    1e-7.
    """
    maps = inputs(name, shape)
    alone = [pair for k in maps for pair in ((k, "zeros"), ("zeros", k))]
    mixed = [pair for k in maps for pair in ((k, "ordinary"), ("ordinary", k), (k, k))]
    pairs = dict.fromkeys(alone + mixed)

    def value(ours, theirs):
        return loss_of(name, theirs, **dict(options))(ours)

    program = jax.jit(jax.value_and_grad(value))
    found = {pair: program(*as_type([maps[k] for k in pair], "f4")) for pair in pairs}
    with jax.enable_x64(True):
        program = jax.jit(value)
        right = {p: float(program(*as_type([maps[k] for k in p], "f8"))) for p in pairs}
    for pair, (loss, gradient) in found.items():
        ours, theirs = pair
        scale = max(abs(right[ours, "zeros"]), abs(right["zeros", theirs]))
        assert np.isfinite(loss), pair
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient)), pair
        assert loss >= (-1e-6 * scale if name in SIGNED else -1e-7), pair
        allowed = 1e-2 * abs(right[pair]) + 1e-5 * scale + 1e-7
        assert abs(loss - right[pair]) <= allowed, pair
