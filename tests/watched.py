"""Plans and images for the tests of watchers, which look at little of them."""

import numpy as np

from jnst.drivers.plan import Plan
from jnst.recipes.table import RECIPES


def flat(height, width, value):
    return np.full((height, width, 3), value, np.float32)


def plan_of(name, stages, *, content=None, styles=(), weights=None):
    """The plan of a run by a recipe's name."""
    recipe = RECIPES[name]
    return Plan(
        stages=stages,
        recipe=recipe,
        reference=recipe.objective,
        weights=weights or {},
        name=name,
        content=content,
        styles=list(styles),
        shares=[1.0],
        blend=None,
        first=None,
        init=None,
        extract=None,
        zero=np.zeros(3, np.float32),
    )
