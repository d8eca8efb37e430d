"""A method of a study: a recipe, with changes, under a name."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jnst.base import check_one_of, shown
from jnst.drivers.sources import described
from jnst.files import as_json
from jnst.losses import CONTENT_LOSSES, IMAGE_LOSSES, STYLE_LOSSES
from jnst.recipes.changing import changed, named
from jnst.recipes.recipe import Recipe
from jnst.recipes.settings import record
from jnst.recipes.table import RECIPES
from jnst.studying.names import distinct, safe

OWN_CODE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Method(NamedTuple):
    """What is compared in a study.

    Attributes:
      name: Of its row in tables, and of its column in the gallery.
      recipe: Key of `jnst.RECIPES`, or a `Recipe`.
      changes: Fields of it that are changed, by their flat names.
    """

    name: str
    recipe: str | Recipe
    changes: Mapping[str, Any] = {}


def of_losses(names: Sequence[str], *, recipe: str | Recipe = "jnst") -> list[Method]:
    """Make a method of each style loss, all on one recipe.

    Each is weighed by `style_weight="balance"`, the recipe's own loss too, so that all
    pull as hard at the start.

    Args:
      names: Keys of `STYLE_LOSSES`.
      recipe: Key of `jnst.RECIPES`, or a `Recipe`.

    Raises:
      ValueError: For an unknown loss.
    """
    for name in names:
        check_one_of("style loss", name, STYLE_LOSSES)
    balance = {"style_weight": "balance"}
    return [Method(name, recipe, {**balance, "style_loss": name}) for name in names]


def make_methods(given: Any) -> list[Method]:
    """Check the methods that a user gives, and make their names safe.

    Args:
      given: Names of recipes, and `Method`s.

    Raises:
      ValueError: If there are none, one is neither, or two have one name.
    """
    several = [given] if isinstance(given, str | Method | Recipe) else given
    if not isinstance(several, Sequence) or not several:
        raise ValueError(
            f"methods must be names of recipes or jnst.Method, got {shown(given)}"
        )
    methods = [_method(each) for each in several]
    names = [method.name for method in methods]
    for n, name in enumerate(names):
        if name in names[:n]:
            raise ValueError(f"two methods have the name {name!r}")
    safes = distinct([safe(name, otherwise="method") for name in names])
    return [m._replace(name=name) for m, name in zip(methods, safes, strict=True)]


def _method(given: Any) -> Method:
    if isinstance(given, Recipe):
        raise ValueError("a recipe of your own needs a name: jnst.Method(name, recipe)")
    if isinstance(given, str):
        check_one_of("recipe", given, RECIPES)
        return Method(given, given)
    if not isinstance(given, Method):
        raise ValueError(
            f"a method is the name of a recipe or a jnst.Method, got {shown(given)}"
        )
    if not isinstance(given.name, str) or not isinstance(given.changes, Mapping):
        raise ValueError(
            "jnst.Method is (name, recipe, {field: value}), got "
            f"{shown(tuple(given))}"
        )
    named(given.recipe)
    return given


def _code_of(recipe: Recipe) -> list[dict[str, str]]:
    """List the files outside jnst that a recipe's losses are written in."""
    files = set()
    for term in recipe.objective.terms:
        functions: list[Any] = [term.loss]
        for table in (STYLE_LOSSES, CONTENT_LOSSES, IMAGE_LOSSES):
            if isinstance(term.loss, str) and term.loss in table:
                functions = list(table[term.loss])
        for function in functions:
            file = getattr(getattr(function, "__code__", None), "co_filename", "")
            if os.path.isfile(file) and not file.startswith(OWN_CODE):
                files.add(file)
    return [described(file) for file in sorted(files)]


def told(method: Method, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Tell a method as a record has it.

    Args:
      method: The method.
      changes: Fields that all methods change.

    Returns:
      Name; the recipe it starts from, by its name if it has one and in full; the
      changes; the recipe in effect; files of a user's own losses with SHA-256.
    """
    merged = {**changes, **method.changes}
    effect = changed(method.recipe, merged)
    return {
        "name": method.name,
        "recipe_name": method.recipe if isinstance(method.recipe, str) else None,
        "base": record(named(method.recipe)),
        "changes": {name: _as_json(value) for name, value in merged.items()},
        "recipe": record(effect),
        "code": _code_of(effect),
    }


def _as_json(value: Any) -> Any:
    """Return a value as JSON holds it; what JSON does not know by its `repr`."""
    try:
        return as_json(value)
    except TypeError:
        return repr(value)
