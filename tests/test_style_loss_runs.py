"""Every style loss in the default recipe, balanced, as somebody tries them out."""

import numpy as np
import pytest
from tiny import picture

import jnst
from jnst.losses import STYLE_LOSSES

pytestmark = pytest.mark.usefixtures("quicker_compile")
SHALLOW = {"style_layers": ("relu1_1", "relu2_1"), "content_layers": ("relu2_2",)}
"""Other tests have all layers, and compiling is what takes the time here."""


@pytest.mark.slow
@pytest.mark.parametrize("name", STYLE_LOSSES)
def test_every_style_loss_runs_in_the_default_recipe(vgg19, name):
    pair = picture(36, 40, seed=1), picture(38, 34, seed=2)
    changes = {"style_loss": name, "steps": 2, **SHALLOW}
    result = jnst.stylize(*pair, weights=vgg19, **changes)
    assert np.isfinite(result.history["style"]).all()
    assert result.recipe.style_weight != "balance"
