"""Every style loss in the default recipe, balanced, as somebody tries them out."""

import numpy as np
import pytest
from tiny import picture, tiny_params

import jnst
from jnst.losses import STYLE_LOSSES

pytestmark = pytest.mark.usefixtures("quick_compile")


@pytest.mark.slow
@pytest.mark.parametrize("name", STYLE_LOSSES)
def test_every_style_loss_runs_in_the_default_recipe(name):
    pair = picture(56, 64, seed=1), picture(60, 52, seed=2)
    result = jnst.stylize(*pair, style_loss=name, weights=tiny_params(), steps=2)
    assert np.isfinite(result.history["style"]).all()
    assert result.recipe.style_weight != "balance"
