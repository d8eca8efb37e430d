"""A point of a grid as a run of its own, and which of them one program can run.

Members whose recipes are equal but for numbers, seed and first image are a group: they
share pictures, targets, network and program, see `pattern`.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from jnst.drivers.networks import load_preferred
from jnst.drivers.plan import Plan, Request, all_changes, make_plan, renumbered
from jnst.loop.optimizers import NUMBERS, OptimizerFields
from jnst.objective.term import Term
from jnst.recipes.changing import changed
from jnst.recipes.recipe import Recipe
from jnst.recipes.schedule import Stage
from jnst.sweeping.grid import OWN, labels

Load = Callable[[Any, tuple[str, ...]], tuple[Any, dict[str, str]]]


class Member(NamedTuple):
    """One run of a sweep.

    Attributes:
      number: Its place in the grid, from 0.
      point: Its values by field.
      request: What is asked for beside fields.
      changes: Fields of the recipe.
    """

    number: int
    point: dict[str, Any]
    request: Request
    changes: dict[str, Any]


class Group(NamedTuple):
    """Members that one program can run.

    Attributes:
      members: In order.
      recipes: The recipe in effect of each; weights may still be "balance".
      stages: Sizes and steps, coarse to fine.
      inputs: Where pictures are from.
      weights: Where weights are from.
    """

    members: list[Member]
    recipes: list[Recipe]
    stages: list[Stage]
    inputs: dict[str, Any]
    weights: dict[str, str]


def make_members(
    points: Sequence[Mapping[str, Any]], request: Request, changes: Mapping[str, Any]
) -> list[Member]:
    """Make a member of each point.

    Args:
      points: From `jnst.sweeping.grid.points`.
      request: What all members ask for.
      changes: Fields that all members change.
    """
    found = []
    for number, point in enumerate(points):
        own = {name: point[name] for name in OWN if name in point}
        fields = {k: v for k, v in point.items() if k not in own}
        asked = request._replace(**own)
        if "size_px" in fields:
            asked = asked._replace(size_px=fields.pop("size_px"))
        found.append(Member(number, dict(point), asked, {**changes, **fields}))
    return found


def _neutral(term: Term) -> Term:
    """Take from a term its numbers, but not whether it has any weight at all."""
    weight = term.weight if term.weight in ("balance", 0) else 1.0
    return dataclasses.replace(term, weight=weight, layer_weights=())


def pattern(recipe: Recipe) -> Recipe:
    """Return a recipe without the numbers that a program takes as arrays.

    Those are weights, weights of layers, `NUMBERS` of the optimiser and the seed; and
    the first image is an array too.
    """
    usual = OptimizerFields()
    numbers = {name: getattr(usual, name) for name in NUMBERS}
    objective = recipe.objective
    terms = tuple(_neutral(term) for term in objective.terms)
    return dataclasses.replace(
        recipe,
        objective=dataclasses.replace(objective, terms=terms),
        optimization=dataclasses.replace(recipe.optimization, **numbers),
        run=dataclasses.replace(recipe.run, seed=0, init="noise"),
    )


def _key(member: Member, recipe: Recipe) -> Any:
    """Return what is equal for members of one group."""
    balances = any(term.weight == "balance" for term in recipe.objective.terms)
    measured = member.request.recipe if balances else None
    weights = member.point.get("weights")
    return pattern(recipe), measured, weights, member.request.size_px


def loader() -> Load:
    """Return what loads weights once each, and tells where they are from."""
    kept: dict[Any, Any] = {}

    def load(weights: Any, preferred: tuple[str, ...]) -> tuple[Any, dict[str, str]]:
        key = (str(weights), preferred) if not isinstance(weights, Mapping) else None
        if key not in kept:
            kept[key] = load_preferred(weights, preferred)
        return kept[key]

    return load


def plan_of(member: Member, load: Load) -> Plan:
    """Make the plan of a member, as `stylize` does, on weights that are loaded once.

    Raises:
      ValueError: For anything no run could use.
      FileNotFoundError: For a missing image, or no weights anywhere.
    """
    request, changes = member.request, member.changes
    if request.extract is not None:
        return make_plan(request, changes)
    recipe = changed(request.recipe, all_changes(request, changes))
    params, known = load(request.weights, recipe.run.weights)
    plan = make_plan(request._replace(weights=params), changes)
    return dataclasses.replace(plan, weights=known)


def make_groups(members: Sequence[Member], load: Load) -> list[Group]:
    """Check all members, and put together those that one program can run.

    Args:
      members: From `make_members`.
      load: From `loader`.

    Returns:
      The groups, in the order of their first members.

    Raises:
      ValueError: For anything no run could use, naming the member.
      FileNotFoundError: For a missing image, or no weights anywhere.
    """
    together: dict[Any, list[Member]] = {}
    for member in members:
        checked = functools.partial(_named, member, len(members) > 1)
        recipe = checked(
            changed, member.request.recipe, all_changes(member.request, member.changes)
        )
        together.setdefault(_key(member, recipe), []).append(member)
    groups = []
    for few in together.values():
        plan = _named(few[0], len(members) > 1, plan_of, few[0], load)
        recipes = [
            _named(each, True, renumbered, plan, each.request, each.changes).recipe
            for each in few
        ]
        groups.append(Group(few, recipes, plan.stages, plan.inputs, plan.weights))
    return groups


def _named(member: Member, several: bool, function: Any, *arguments: Any) -> Any:
    """Call a function, and name the member in what it raises."""
    try:
        return function(*arguments)
    except ValueError as error:
        where = f"member {labels(member.point)}: " if several else ""
        raise ValueError(f"{where}{error}") from None
