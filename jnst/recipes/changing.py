"""A recipe with some of its fields changed, and what follows from a change."""

import dataclasses
import logging
from collections.abc import Mapping
from typing import Any

from jnst.base import check_one_of
from jnst.loop.optimizers import NUMBERS, names_used
from jnst.objective.fields import terms_of
from jnst.objective.term import Term, is_joint, kind_after
from jnst.recipes.recipe import Recipe
from jnst.recipes.table import RECIPES

OF_ANY_OPTIMIZER = ("ema", "cooldown")


def named(recipe: Any) -> Recipe:
    """Return the recipe that a name means; a recipe is itself.

    Raises:
      ValueError: If there is none of that name.
    """
    if isinstance(recipe, Recipe):
        return recipe
    check_one_of("recipe", recipe, RECIPES)
    return RECIPES[recipe]


def resolve(recipe: Any, changes: Mapping[str, Any]) -> Recipe:
    """Return a recipe with some of its fields changed, and warn of what does nothing.

    Args:
      recipe: Key of `RECIPES`, or a recipe.
      changes: By flat names: fields, and TERM_FIELDs of the terms there are.

    Raises:
      ValueError: For an unknown recipe or field, or a value no run could use.
    """
    found = changed(recipe, changes)
    for line in unheeded(found, changes):
        logging.getLogger("jnst").warning(line)
    return found


def changed(recipe: Any, changes: Mapping[str, Any]) -> Recipe:
    """Return a recipe with some of its fields changed; arguments as `resolve`."""
    recipe = named(recipe)
    terms = terms_of(changes.get("terms", recipe.objective.terms))
    followers = [_following(term, changes) for term in terms]
    followers.append(_following_optimizer(changes))
    follow = {k: v for each in followers for k, v in each.items() if k not in changes}
    return dataclasses.replace(recipe, **follow, **changes)


def _following(term: Term, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a term that follow from others that change.

    Options belong to a loss and weights of layers to layers; a style loss other than
    the recipe's own has no weight yet, so that it is balanced. A loss that takes all
    layers at once weighs them itself.
    """
    name, follow = term.name, {}
    loss = changes.get(f"{name}_loss", term.loss)
    kind = kind_after(term, loss)
    if loss != term.loss:
        follow[f"{name}_options"] = ()
        if kind == "style":
            follow |= {f"{name}_weight": "balance", f"{name}_blend": "losses"}
        if kind == "image":
            follow |= {f"{name}_layers": (), f"{name}_pyramid": 1}
    if f"{name}_layers" in {**changes, **follow} or is_joint(loss):
        follow[f"{name}_layer_weights"] = ()
    return follow


def _following_optimizer(changes: Mapping[str, Any]) -> dict[str, Any]:
    """L-BFGS compares the gradients of steps, so all must see the same function."""
    remembers = "memory" in names_used(changes.get("optimizer", "adam"))
    return {"shift_px": 0} if remembers else {}


def unheeded(recipe: Recipe, changes: Mapping[str, Any]) -> list[str]:
    """Tell in a line each which numbers were given that the optimiser does not take."""
    optimizer = recipe.optimization.optimizer
    used = {*names_used(optimizer), *OF_ANY_OPTIMIZER}
    asked = [name for name in (*NUMBERS, "memory") if name in changes]
    own = "your own transformation has numbers of its own"
    why = f"optimizer={optimizer} does not take it"
    return [
        f"{name}={changes[name]} does nothing: "
        f"{why if isinstance(optimizer, str) else own}"
        for name in asked
        if name not in used
    ]
