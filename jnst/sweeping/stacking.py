"""What members of one program differ in, as leaves of an objective.

Parameters, targets and pictures are shared; weights, numbers of the optimiser, seeds
and first images are each member's own, stacked if several run at once.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jnst.drivers.plan import Plan
from jnst.drivers.stages import pictures_at, start_at, weighed
from jnst.loop.optimizers import numbers_of
from jnst.loop.state import first_image
from jnst.objective.making import weight_arrays
from jnst.objective.value import Objective


def all_weighed(plans: Sequence[Plan]) -> list[Plan | ValueError]:
    """Give each plan of a group its balanced weights, or say why there are none.

    They follow from the first image alone, so that members with one image share them.

    Args:
      plans: Plans of one group.

    Returns:
      Plans whose weights are numbers, or the error that a run alone would end with.
    """
    known: dict[bytes, Any] = {}
    found: list[Plan | ValueError] = []
    for plan in plans:
        terms = plan.recipe.objective.terms
        unsure = [term.name for term in terms if term.weight == "balance"]
        image = first_of(plan).tobytes() if unsure else b""
        if unsure and image not in known:
            try:
                known[image] = weighed(plan).recipe.objective.terms
            except ValueError as error:
                known[image] = error
        balanced = known.get(image, ())
        if isinstance(balanced, ValueError):
            found.append(balanced)
            continue
        by_name = {term.name: term for term in balanced}
        new = tuple(by_name[t.name] if t.name in unsure else t for t in terms)
        recipe = dataclasses.replace(plan.recipe, terms=new)
        found.append(dataclasses.replace(plan, recipe=recipe))
    return found


def first_of(plan: Plan) -> np.ndarray:
    """Draw the image that a plan begins with at its first size, [1, H, W, 3]."""
    stage = plan.stages[0]
    start = start_at(plan, stage, pictures_at(plan, stage), stage.steps)
    return np.asarray(first_image(start, jax.random.key(start.seed)))


def begin_alike(plans: Sequence[Plan]) -> bool:
    """Tell whether members begin in one way, so that seeds say all."""
    return len({(plan.recipe.run.init, id(plan.first)) for plan in plans}) == 1


def with_members(
    objective: Objective, plans: Sequence[Plan], *, alike: bool, batch: bool
) -> Objective:
    """Give an objective the numbers of some members.

    Args:
      objective: Of any member of the group.
      plans: Of the members; one if there is no batch.
      alike: Whether all of the group begin in one way; else the first images are drawn
        here.
      batch: Whether there is an axis of members.

    Returns:
      The objective; of a batch, with a leading axis where members differ.
    """

    def joined(trees: Sequence[Any]) -> Any:
        if not batch:
            return trees[0]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)

    pairs = [weight_arrays(plan.recipe.objective.terms) for plan in plans]
    seeds = [jax.device_put(np.uint32(plan.recipe.run.seed)) for plan in plans]
    own = {
        "seed": joined(seeds),
        "numbers": joined([numbers_of(plan.recipe.optimization) for plan in plans]),
    }
    if not alike:
        own["first"] = joined([jax.device_put(first_of(plan)) for plan in plans])
    return dataclasses.replace(
        objective,
        weights=joined([weights for weights, _ in pairs]),
        layer_weights=joined([layers for _, layers in pairs]),
        start=dataclasses.replace(objective.start, **own),
        structure=objective.structure._replace(batch=len(plans) if batch else None),
    )


def taken_out(tree: Any, at: int) -> Any:
    """Take one member out of a tree of which every leaf has the axis."""
    return jax.tree.map(lambda leaf: leaf[at], tree)
