"""The one configuration of a run, in four parts.

What is compared (`jnst.objective.fields`), how the image moves
(`jnst.loop.optimizers`), how many steps at which sizes (`jnst.recipes.schedule`), and
what a run begins with (here). A recipe is frozen, hashable and checked when made.
Whatever makes two published methods differ is a field.

Every field has one flat name: its own, or TERM_FIELD for a field of a term. A recipe is
made from flat names, and read by them.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Unpack

from jnst.base import check_one_of, shown
from jnst.bounds import SEED, Choice
from jnst.fitting import declared, fit_fields, fitted
from jnst.guesses import field_meant
from jnst.loop.initial import INITS
from jnst.loop.optimizers import OptimizerFields
from jnst.objective.fields import TERMS, ObjectiveFields, terms_of
from jnst.objective.term import TERM_FIELDS, Term, kind_after, split_name
from jnst.recipes.changes import RecipeChanges
from jnst.recipes.schedule import ScheduleFields


@fitted
@dataclasses.dataclass(frozen=True, kw_only=True)
class RunFields:
    """What a run begins with.

    Attributes:
      init: First image: one of `INITS`; `stylize` also takes a file or an array.
      weights: Weights to take where none are asked for: the first that is at hand.
      seed: Seed of all random numbers of a run.
      source: Paper or code, and where we depart from it.
    """

    init: Annotated[str, Choice(INITS)] = "content"
    weights: tuple[str, ...] = ("vgg19",)
    seed: Annotated[int, SEED] = 0
    source: str = ""

    def __post_init__(self) -> None:
        """Raise `ValueError` for the first field that no run could use."""
        fit_fields(self)


PARTS: dict[str, Any] = {
    "objective": ObjectiveFields,
    "optimization": OptimizerFields,
    "schedule": ScheduleFields,
    "run": RunFields,
}
"""The parts of a recipe, by the attribute that holds each."""
HOMES: dict[str, str] = {
    field.name: part
    for part, kind in PARTS.items()
    for field in dataclasses.fields(kind)
}
"""In which part a field is, by its name."""


@dataclasses.dataclass(frozen=True, init=False)
class Recipe:
    """All that decides a run's result, given the images and the weights file.

    Fields are read by their flat names too: `recipe.learning_rate`,
    `recipe.style_weight`.

    Attributes:
      objective: What is compared: the terms, and the network.
      optimization: How the image moves.
      schedule: How many steps at which sizes.
      run: What a run begins with.
    """

    objective: ObjectiveFields
    optimization: OptimizerFields
    schedule: ScheduleFields
    run: RunFields

    def __init__(self, **fields: Unpack[RecipeChanges]) -> None:
        """Make a recipe from flat names, or from whole parts, the rest as usual.

        Args:
          **fields: `learning_rate=0.1`, `style_weight=2.0`, `terms=(Term(...), ...)`.
            A field of a term changes one of `terms`.

        Raises:
          ValueError: For an unknown field, or a value that no run could use.
        """
        given: Mapping[str, Any] = fields
        flat = {k: v for k, v in given.items() if k not in PARTS}
        changes: dict[str, dict[str, Any]] = {part: {} for part in PARTS}
        for name, value in flat.items():
            if name in HOMES:
                changes[HOMES[name]][name] = value
        for part, kind in PARTS.items():
            whole = given[part] if part in given else kind()
            if not isinstance(whole, kind):
                raise ValueError(
                    f"{part} must be of {kind.__name__}, got {shown(whole)}"
                )
            if part == "objective":
                terms = terms_of(changes[part].get("terms", whole.terms))
                changes[part]["terms"] = _changed_terms(terms, flat)
            if changes[part]:
                whole = dataclasses.replace(whole, **changes[part])
            object.__setattr__(self, part, whole)

    def __getattr__(self, name: str) -> Any:
        """Read a field by its flat name."""
        if name in HOMES:
            return getattr(self.__dict__[HOMES[name]], name)
        found = None if name.startswith("_") else split_name(name)
        for term in self.objective.terms if found else ():
            if found and term.name == found[0]:
                return getattr(term, found[1])
        raise AttributeError(f"a recipe has no field {name!r}")

    @classmethod
    def from_png(cls, path: str | Path) -> "Recipe":
        """Read the recipe that made a picture, from a PNG of jnst's.

        Raises:
          FileNotFoundError: If there is no such file.
          ValueError: If it carries no recipe, or one that no run could use.
        """
        from jnst.recipes.settings import read_png

        return read_png(path)


def flat_types() -> dict[str, Any]:
    """Return types and bounds of all fields that are not a term's, in order."""
    return {k: v for kind in PARTS.values() for k, v in declared(kind).items()}


def check_field(name: str) -> None:
    """Raise `ValueError` naming the closest field if `name` could be none."""
    if name in HOMES or name in PARTS or split_name(name):
        return
    fields = [*HOMES, *usual_fields()]
    raise ValueError(
        f"unknown recipe field {shown(name)}.{field_meant(name, fields)} See `jnst "
        "recipes jnst` for all."
    )


def usual_fields() -> list[str]:
    """List the names of the fields that the terms of most recipes have."""
    return [f"{term.name}_{field}" for term in TERMS for field in TERM_FIELDS]


def _changed_terms(
    terms: tuple[Term, ...], flat: Mapping[str, Any]
) -> tuple[Term, ...]:
    """Change fields of terms by their flat names.

    Raises:
      ValueError: For a field that is none, or of a term that is not there.
    """
    names = [term.name for term in terms]
    changes: dict[str, dict[str, Any]] = {}
    for name, value in flat.items():
        check_field(name)
        found = None if name in HOMES else split_name(name)
        if found:
            check_one_of(f"term, in {name!r}: term", found[0], names)
            changes.setdefault(found[0], {})[found[1]] = value
    return tuple(
        _changed(term, changes[name]) if name in changes else term
        for term, name in zip(terms, names, strict=True)
    )


def _changed(term: Term, changes: Mapping[str, Any]) -> Term:
    if "loss" in changes:
        kind_after(term, changes["loss"])
    return dataclasses.replace(term, **changes)
