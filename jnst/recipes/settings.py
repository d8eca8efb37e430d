"""A recipe's fields as text and as JSON, for the command line and for records."""

import ast
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jnst.base import Options, shown
from jnst.bounds import Choice
from jnst.fitting import in_words, item_of, members
from jnst.image import read_metadata
from jnst.objective.fields import check_count
from jnst.objective.term import TERM_FIELDS, Term, split_name
from jnst.recipes.recipe import HOMES, Recipe, check_field, flat_types


def field_types(recipe: Recipe) -> dict[str, Any]:
    """Return type and bounds of every field of a recipe by its flat name, in order."""
    types: dict[str, Any] = {}
    for name, kind in flat_types().items():
        if name != "terms":
            types[name] = kind
            continue
        for term in recipe.objective.terms:
            types |= {f"{term.name}_{k}": v for k, v in TERM_FIELDS.items()}
    return types


def type_of(name: str) -> Any:
    """Return type and bounds of a field by its flat name.

    Raises:
      ValueError: If it could be no field.
    """
    check_field(name)
    if name in HOMES:
        return flat_types()[name]
    found = split_name(name)
    return TERM_FIELDS[found[1]] if found else None


def parse_setting(text: str) -> tuple[str, Any]:
    """Read `FIELD=VALUE` as the command line gives it.

    Tuples are comma-separated, options `name=value` pairs separated by commas.

    Raises:
      ValueError: For an unknown field, or a value that is not of the field's type.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"setting {shown(text)} is not of the form FIELD=VALUE")
    kind = type_of(name)
    if name == "terms" or kind is None:
        raise ValueError(f"{name} cannot be set as text; use --term to add a term")
    return name, _read(name, kind, value)


def _read(name: str, kind: Any, value: str) -> Any:
    try:
        return _parse(kind, value)
    except (ValueError, SyntaxError):
        pairs = kind == Options
        wanted = "name=value pairs" if pairs else in_words(kind)
        several = pairs or item_of(kind) is not None
        between = " with commas between" if several else ""
        raise ValueError(
            f"{name} must be {wanted}{between}, got {shown(value)}"
        ) from None


def parse_term(text: str) -> Term:
    """Read a term as the command line gives it.

    Args:
      text: `NAME: LOSS, FIELD=VALUE, ...`; values with several parts have semicolons
        between, as in `histogram: histogram, layers=relu1_1;relu4_1, weight=2`. A name
        alone is the loss as well.

    Raises:
      ValueError: For an unknown loss or field, or a value of another type.
    """
    name, _, rest = (part.strip() for part in text.partition(":"))
    loss, *pairs = [part.strip() for part in rest.split(",")]
    fields: dict[str, Any] = {}
    for pair in pairs:
        field, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or field not in TERM_FIELDS or field == "loss":
            known = ", ".join(k for k in TERM_FIELDS if k != "loss")
            raise ValueError(
                f"term {shown(name)}: {shown(pair)} is not FIELD=VALUE with a field of "
                f"{known}"
            )
        text_ = value.replace(";", ",")
        fields[field] = _read(f"{name}_{field}", TERM_FIELDS[field], text_)
    return Term(name, loss or name, **fields)


def _parse(kind: Any, text: str) -> Any:
    """Read text as a type; raise `ValueError` if it is none of that."""
    if kind == Options:
        pairs = (part.partition("=") for part in text.split(",") if part)
        return tuple((key, _literal(value)) for key, _, value in pairs)
    item, kinds = item_of(kind), dict(members(kind))
    if item is not None:
        return tuple(_parse(item, part) for part in text.split(",") if part)
    if type(None) in kinds and text.lower() == "none":
        return None
    words = kinds.get(str)
    if str in kinds and isinstance(words, Choice) and text in words.options:
        return text
    if bool in kinds:
        return bool(("false", "true").index(text.lower()))
    if float in kinds:
        return float(text)
    return int(text) if int in kinds else text


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text


def _plain(value: Any) -> Any:
    """Return a value as JSON holds it; what has no name there by its `repr`."""
    return value if isinstance(value, str | int | float | bool | None) else repr(value)


def record(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe as a JSON document: every field, tuples as lists."""
    document: dict[str, Any] = {name: getattr(recipe, name) for name in flat_types()}
    document["optimizer"] = _plain(recipe.optimizer)
    document["terms"] = [
        dataclasses.asdict(dataclasses.replace(term)) | {"loss": _plain(term.loss)}
        for term in recipe.objective.terms
    ]
    return document


def read_tuples(value: Any) -> Any:
    """Make tuples of JSON's lists, at every depth."""
    return (
        tuple(read_tuples(each) for each in value) if isinstance(value, list) else value
    )


def read_record(document: Mapping[str, Any]) -> Recipe:
    """Make a recipe of what `record` made of it.

    Raises:
      ValueError: For an unknown field, or a value that no run could use.
    """
    fields = {name: read_tuples(value) for name, value in document.items()}
    terms = fields.pop("terms", None)
    try:
        if terms is not None:
            fields["terms"] = read_terms(terms)
        return Recipe(**fields)
    except TypeError as error:
        raise ValueError(f"the record holds no recipe: {error}") from None


def read_terms(documents: Sequence[Any]) -> tuple[Term, ...]:
    """Make the terms of a recipe of what `record` made of them.

    Raises:
      ValueError: For a value that no run could use.
    """
    check_count(documents)
    try:
        return tuple(_read_term(each) for each in documents)
    except TypeError as error:
        raise ValueError(f"the record holds no terms: {error}") from None


def _read_term(document: Any) -> Term:
    if not isinstance(document, Mapping):
        raise TypeError(f"a term is {shown(document)}")
    return Term(**{k: read_tuples(v) for k, v in document.items()})


def read_png(path: str | Path) -> Recipe:
    """Read the recipe inside a PNG; see `Recipe.from_png`."""
    document = read_metadata(path)
    recipe = (document or {}).get("recipe")
    if not isinstance(recipe, Mapping):
        raise ValueError(f"{str(path)!r} carries no recipe of jnst's")
    return read_record(recipe)
