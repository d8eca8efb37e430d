"""Runs on the real VGG19: what `jnst recipes` promises, and that pictures come out."""

import importlib.resources
import json

import numpy as np
import pytest

import jnst
from jnst.losses.gram import gram_matrix

DATA = importlib.resources.files("jnst.data")
EXPECTED = json.loads((DATA / "expectations.json").read_text())["recipes"]
PAIR = str(DATA / "demo_content.jpg"), str(DATA / "demo_style.jpg")
pytestmark = [pytest.mark.weights, pytest.mark.usefixtures("quick_compile")]


def test_every_recipe_has_an_expectation():
    assert EXPECTED.keys() == jnst.RECIPES.keys()
    assert all(np.isfinite(row["last_loss"]) for row in EXPECTED.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in EXPECTED if name != "keras"])
def test_a_recipe_begins_at_the_loss_it_promises(name):
    """The record's own machine and versions may differ: 1e-3 relative."""
    row = EXPECTED[name]
    first = jnst.coarse_to_fine(*PAIR, name, size_px=row["size_px"], steps=1)[0]
    objective = first.make()
    loss = objective(jnst.shown(objective, jnst.init(objective)))
    np.testing.assert_allclose(loss, row["first_loss"], rtol=1e-3)


@pytest.mark.slow
def test_the_default_recipe_brings_the_style_nearer():
    """Gram matrices, which it does not optimise, come nearer the style's as well."""
    result = jnst.stylize(*PAIR, size_px=64, steps=30)

    def distance(image):
        ours = jnst.features(image, ["relu2_1"])["relu2_1"]
        theirs = jnst.features(PAIR[1], ["relu2_1"])["relu2_1"]
        return float(np.mean((gram_matrix(ours) - gram_matrix(theirs)) ** 2))

    assert distance(result.image) < 0.5 * distance(PAIR[0])
    assert result.history["loss"][-1] < 0.5 * result.history["loss"][0]


@pytest.mark.slow
def test_half_precision_activations_stay_close_to_single():
    """bfloat16 keeps 8 bits of the significand; statistics are float32: 2 %."""
    changes = {"size_px": 64, "init": "noise"}
    kinds = [
        jnst.make_objective(*PAIR, "tf-tutorial", dtype=each, **changes)
        for each in ("float32", "bfloat16")
    ]
    noise = jnst.shown(kinds[0], jnst.init(kinds[0]))
    single, half = (each(noise) for each in kinds)
    assert single != half
    np.testing.assert_allclose(half, single, rtol=0.02)
