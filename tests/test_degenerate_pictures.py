"""Every recipe on degenerate pictures: as content, as style, and as both."""

import numpy as np
import pytest

import jnst
from jnst.examining import degenerate
from jnst.recipes import RECIPES

PICTURES = degenerate.pictures(32, 32)
PAIRS = [
    pair
    for name in PICTURES
    if name != "ordinary"
    for pair in ((name, "ordinary"), ("ordinary", name), (name, name))
]


# Of the same objectives as others, with another optimiser or a term more.
ALIKE = ("keras-lbfgs", "jnst-lbfgs", "notebook-texture-tv")


def _slow(names):
    return [
        pytest.param(name, marks=pytest.mark.slow if name in ALIKE else ())
        for name in names
    ]


@pytest.mark.parametrize("recipe", _slow(RECIPES))
def test_a_recipe_runs_on_degenerate_pictures(recipe, vgg19, quicker_compile):
    """Losses are finite and >= 0, and so is the image: 36 pairs, one program."""
    for content, style in PAIRS:
        pictures = PICTURES[content], PICTURES[style]
        result = jnst.stylize(*pictures, recipe, weights=vgg19, size_px=32, steps=2)
        for term, values in result.history.items():
            assert (np.isfinite(values) & (values >= 0)).all(), (content, style, term)
        assert np.isfinite(result.image).all(), (content, style)
