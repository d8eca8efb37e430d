"""The grid of a sweep: which fields take which values, and the points that makes.

A field is any of a recipe's, by its flat name, or one of `OWN`, arguments of `stylize`.
A value is what `stylize` takes for it; as text it is what `--set` reads.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple

from jnst.base import Options, shown
from jnst.bounds import SEED, Range
from jnst.fitting import fit, item_of, members, plain
from jnst.guesses import ARGUMENTS
from jnst.recipes.recipe import PARTS, Recipe
from jnst.recipes.settings import parse_setting, type_of

OWN = ("recipe", "init", "weights")
"""Arguments of `stylize` whose values in a grid are names or paths."""
MOST_MEMBERS = 1000
"""More pictures nobody looks at on one sheet; seeds of 1e6 are a slip."""


class Axis(NamedTuple):
    """One field and the values it takes, in order."""

    field: str
    values: tuple[Any, ...]


def label(value: Any) -> str:
    """Say a value in few characters: for labels, and columns of tables."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, int | float):
        text = f"{value:.6g}"
        return text if float(text) == value else repr(value)
    if isinstance(value, tuple):
        pairs = bool(value) and all(_is_pair(each) for each in value)
        each = [f"{k}={label(v)}" for k, v in value] if pairs else map(label, value)
        return ",".join(each) or "none"
    if isinstance(value, str):
        return value
    return getattr(value, "__name__", type(value).__name__)


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str)


def labels(point: Mapping[str, Any]) -> str:
    """Say where in a grid a point is."""
    return ", ".join(f"{field}={label(value)}" for field, value in point.items())


def _check_name(field: Any) -> None:
    """Raise `ValueError` for what no grid can have as a field."""
    if not isinstance(field, str):
        raise ValueError(f"a grid is {{field: values}}, got the field {shown(field)}")
    if field in (*ARGUMENTS, *PARTS, "terms") and field not in OWN:
        raise ValueError(
            f"{field} cannot be in a grid: fields of a recipe can that `jnst recipes "
            f"jnst` lists, and {', '.join(OWN)}"
        )
    if field not in OWN:
        type_of(field)


def _takes_several(field: str) -> bool:
    """Tell whether one value of a field has commas of its own."""
    kind = None if field in OWN else type_of(field)
    return kind == Options or any(item_of(k) is not None for k, _ in members(kind))


def parse_axis(text: str) -> tuple[str, list[Any]]:
    """Read `FIELD=VALUE,VALUE` as the command line gives it.

    Semicolons go between the values where a value has commas of its own.

    Raises:
      ValueError: For an unknown field, no values, or one that is none of the field's.
    """
    field, equals, rest = (part.strip() for part in text.partition("="))
    if not equals or not field:
        raise ValueError(
            "--grid is FIELD=VALUE,VALUE,... such as style_weight=1e2,1e3,1e4; got "
            f"{text!r}"
        )
    _check_name(field)
    several = _takes_several(field)
    parts = rest.split(";" if several or ";" in rest else ",")
    parts = [part.strip() for part in parts]
    if not all(parts):
        raise ValueError(f"--grid {field} has an empty value: {text!r}")
    if several and len(parts) == 1 and "," in rest:
        raise ValueError(
            f"--grid {field}: a value has commas of its own, so put semicolons between "
            f"the values, as in '{field}={';'.join(rest.split(',')[:2])}'; got {rest!r}"
        )
    if field in OWN:
        return field, parts
    return field, [parse_setting(f"{field}={part}")[1] for part in parts]


def parse_grid(texts: Sequence[str]) -> dict[str, list[Any]]:
    """Read all of --grid.

    Raises:
      ValueError: If there is none, a field is there twice, or one is no grid.
    """
    grid: dict[str, list[Any]] = {}
    for text in texts:
        field, values = parse_axis(text)
        if field in grid:
            raise ValueError(f"--grid {field} is given twice; put all values in one")
        grid[field] = values
    if not grid:
        raise ValueError("a sweep needs a --grid, such as style_weight=1e2,1e3,1e4")
    return grid


def _values(field: str, values: Any) -> tuple[Any, ...]:
    """Bring an axis' values to the field's type.

    Raises:
      ValueError: If there are none, or one that the field cannot take.
    """
    several = plain(values)
    several = tuple(several) if isinstance(several, range) else several
    if not isinstance(several, tuple):
        raise ValueError(
            f"the grid of {field} must be a list of values, got {shown(values)}"
        )
    if not several:
        raise ValueError(f"the grid of {field} has no values")
    return tuple(_value(field, value) for value in several)


def _value(field: str, value: Any) -> Any:
    if field == "recipe" and isinstance(value, Recipe):
        raise ValueError(
            "the grid of recipe takes names: add the recipe to jnst.RECIPES first"
        )
    if field in OWN:
        return fit(f"the grid of {field}: a value", value, str)
    kind = type_of(field)
    if kind is None or kind == Options:
        return tuple(plain(value).items()) if isinstance(value, Mapping) else value
    try:
        return fit(field, value, kind)
    except ValueError as error:
        raise ValueError(f"the grid of {field}: {error}") from None


def make_axes(
    grid: Mapping[str, Any], *, seeds: int, seed: int, given: Sequence[str]
) -> list[Axis]:
    """Check a grid, and make the axes of a sweep.

    Args:
      grid: {field: values}.
      seeds: How many seeds each point is run with.
      seed: The first of them.
      given: Fields that are set for all members.

    Returns:
      The axes in order; seeds, if several, are the last.

    Raises:
      ValueError: For what no grid can be, naming the field.
    """
    if not isinstance(grid, Mapping) or not grid:
        raise ValueError(f"grid must be {{field: values}}, got {shown(grid)}")
    seeds = fit("seeds", seeds, Annotated[int, Range(1, MOST_MEMBERS)])
    axes = []
    for field, values in grid.items():
        _check_name(field)
        if field in given:
            raise ValueError(f"{field} is in the grid and given for all members too")
        axes.append(Axis(field, _values(field, values)))
    if seeds > 1:
        if "seed" in grid:
            raise ValueError(f"seeds={seeds} and a grid of seed: give one of the two")
        if not SEED.holds(seed + seeds - 1):
            raise ValueError(f"seed={seed} and seeds={seeds} go beyond the last seed")
        axes.append(Axis("seed", tuple(range(seed, seed + seeds))))
    for axis in axes:
        _check_distinct(axis)
    count = math.prod(len(axis.values) for axis in axes)
    if count > MOST_MEMBERS:
        raise ValueError(
            f"the grid has {count} members, more than {MOST_MEMBERS}; make several "
            "sweeps of it"
        )
    return axes


def _check_distinct(axis: Axis) -> None:
    for n, value in enumerate(axis.values):
        if value in axis.values[:n]:
            raise ValueError(f"the grid of {axis.field} has {label(value)} twice")


def points(axes: Sequence[Axis]) -> list[dict[str, Any]]:
    """List the points of a grid, the last axis changing fastest."""
    fields = [axis.field for axis in axes]
    found = itertools.product(*(axis.values for axis in axes))
    return [dict(zip(fields, values, strict=True)) for values in found]
