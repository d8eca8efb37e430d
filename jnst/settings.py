"""A recipe's fields as text and as JSON, for the command line and for records."""

import ast
import dataclasses
import difflib
from typing import Any, get_args, get_origin, get_type_hints

from jnst.recipe import Number, Options, Recipe

WORDS = {
    Number: "a number",
    Number | str: "a number or balance",
    int: "a whole number",
    int | None: "a whole number or none",
    bool: "true or false",
    Options: "name=value pairs",
    tuple[int, ...]: "whole numbers with commas between",
    tuple[float, ...]: "numbers with commas between",
}


def field_types() -> dict[str, Any]:
    """Return the type of every field of `Recipe`, in order."""
    return get_type_hints(Recipe)


def check_field(name: str) -> None:
    """Raise `ValueError` naming the closest field if `name` is none."""
    names = list(field_types())
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"unknown recipe field {name!r}.{hint} See `jnst recipes jnst` for all."
        )


def parse_setting(text: str) -> tuple[str, Any]:
    """Read `FIELD=VALUE` as the command line gives it.

    Tuples are comma-separated, options `name=value` pairs separated by commas.

    Raises:
      ValueError: For an unknown field, or a value that is not of the field's type.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"setting {text!r} is not of the form FIELD=VALUE")
    check_field(name)
    kind = field_types()[name]
    try:
        return name, _parse(kind, value)
    except (ValueError, SyntaxError):
        wanted = WORDS.get(kind) or getattr(kind, "__name__", str(kind))
        raise ValueError(f"{name} must be {wanted}, got {value!r}") from None


def _parse(kind: Any, text: str) -> Any:
    if kind == Options:
        pairs = (part.partition("=") for part in text.split(",") if part)
        return tuple((key, _literal(value)) for key, _, value in pairs)
    if get_origin(kind) is tuple:
        return tuple(get_args(kind)[0](part) for part in text.split(",") if part)
    if kind is bool:
        return bool(("false", "true").index(text.lower()))
    if kind == int | None:
        return None if text.lower() == "none" else int(text)
    if kind == Number | str:
        return text if text == "balance" else float(text)
    if kind == Number:
        return float(text)
    return int(text) if kind is int else text


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def record(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe as a JSON document: every field, tuples as lists."""
    document = dataclasses.asdict(dataclasses.replace(recipe, optimizer="adam"))
    document["optimizer"] = (
        recipe.optimizer
        if isinstance(recipe.optimizer, str)
        else repr(recipe.optimizer)
    )
    return document
