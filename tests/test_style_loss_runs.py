"""Every style loss in the default recipe, balanced, as somebody tries them out."""

import numpy as np
import pytest
from tiny import picture, tiny_params

import jnst
from jnst.losses import STYLE_LOSSES

pytestmark = pytest.mark.usefixtures("quick_compile")
LAYERS = ("relu2_1", "relu4_1")
"""Two of its five: other tests have all, and compiling is what takes the time here."""


@pytest.mark.slow
@pytest.mark.parametrize("name", STYLE_LOSSES)
def test_every_style_loss_runs_in_the_default_recipe(name):
    pair = picture(36, 40, seed=1), picture(38, 34, seed=2)
    changes = {"style_loss": name, "style_layers": LAYERS, "steps": 2}
    result = jnst.stylize(*pair, weights=tiny_params(), **changes)
    assert np.isfinite(result.history["style"]).all()
    assert result.recipe.style_weight != "balance"
