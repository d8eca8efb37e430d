"""Every recipe's objective, as a value, is what a run of the recipe records."""

import jax
import numpy as np
import pytest
from tiny import picture

import jnst
from jnst.recipes import RECIPES

pytestmark = pytest.mark.usefixtures("quicker_compile")
CONTENT, STYLE, IMAGE = picture(40, 47, 1), picture(36, 50, 2), picture(40, 47, 3)


@pytest.mark.parametrize("name", RECIPES)
def test_the_value_is_the_loss_that_a_run_records(name, vgg19):
    """By its terms alone: that a value is their sum is `test_objective.py`'s."""
    shape = CONTENT.shape[:2]
    style = STYLE if not RECIPES[name].style_fit else picture(*shape, 2)
    objective = jnst.make_objective(CONTENT, style, name, weights=vgg19)
    run = jnst.stylize(
        CONTENT, style, name, steps=1, init=IMAGE, scale_ratio=1.0, weights=vgg19
    )
    terms = jax.jit(lambda o, x: o.terms(x))(objective, IMAGE)
    assert set(terms) == set(run.history) - {"loss"}
    for term, value in terms.items():
        np.testing.assert_allclose(value, run.history[term][0], rtol=3e-5)
    np.testing.assert_allclose(sum(terms.values()), run.history["loss"][0], rtol=1e-5)
