"""Objectives made by hand, for tests of what is below the drivers."""

import jax
import jax.numpy as jnp
import numpy as np
from tiny import batch, picture

from jnst.loop.optimizers import numbers_of, rule_of
from jnst.loop.state import Begin, Start
from jnst.loop.state import begin as begin_at
from jnst.objective.features import make_network
from jnst.objective.making import Pictures, build


def objective_of(params, recipe, content=None, styles=(), shares=None):
    """The objective of a recipe with pictures [1, H, W, 3] at their own sizes."""
    content = batch(picture(6, 7)) if content is None else content
    shares = jnp.ones(len(styles) or 1) if shares is None else jnp.asarray(shares)
    pictures = Pictures(content, list(styles), shares)
    start = Start(
        content=content,
        style=styles[0] if styles else content,
        first=None,
        zero=jnp.zeros(3),
        seed=np.uint32(recipe.seed),
        numbers=numbers_of(recipe.optimization),
        steps=np.int32(recipe.steps or 1),
        begin=Begin(recipe.init, rule_of(recipe.optimization)),
    )
    extract = make_network(params, recipe.objective)
    return build(recipe.objective, extract, pictures, start)[0]


def begin(recipe, image, key=None):
    """The state of a run from an image [1, H, W, 3] in the optimiser's scale."""
    rule, numbers = rule_of(recipe.optimization), numbers_of(recipe.optimization)
    key = jax.random.key(0) if key is None else key
    return jax.tree.map(jnp.copy, begin_at(image, rule, numbers, key))
