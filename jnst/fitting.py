"""Values brought to the type and the bounds of a field, or refused in one line.

Fields of recipes and terms, options of losses and arguments of drivers all go through
`fit`. To add a type, add a row to `READERS`; bounds are in `jnst.bounds`.
"""

import dataclasses
import functools
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import jax
import numpy as np

from jnst.base import Options, check_one_of, shown
from jnst.bounds import FINITE, WHOLE, Choice

FLOAT32 = np.finfo(np.float32)
NOT = object()
"""What a reader answers to a value of another type."""
Kind = TypeVar("Kind", bound=type)


def _float(value: Any) -> Any:
    if type(value) not in (int, float):
        return NOT
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else -float("inf")


def _whole(value: Any) -> Any:
    if type(value) is float and value.is_integer():
        return int(value)
    return value if type(value) is int else NOT


def _exactly(kind: type) -> Callable[[Any], Any]:
    return lambda value: value if isinstance(value, kind) else NOT


READERS: dict[Any, tuple[str, str, Callable[[Any], Any]]] = {
    # Type: (one in words, several in words, reader).
    float: ("a number", "numbers", _float),
    int: ("a whole number", "whole numbers", _whole),
    bool: ("true or false", "true or false each", _exactly(bool)),
    str: ("text", "names", _exactly(str)),
    types.NoneType: ("none", "none", _exactly(types.NoneType)),
}


def members(kind: Any, *, rule: Any = None) -> list[tuple[Any, Any]]:
    """List the types that a type is a union of, each with what is declared for it."""
    if get_origin(kind) is Annotated:
        inner, declared = get_args(kind)[:2]
        return members(inner, rule=declared)
    if get_origin(kind) in (Union, types.UnionType):
        return [m for each in get_args(kind) for m in members(each, rule=rule)]
    return [(kind, rule)]


def item_of(kind: Any) -> Any:
    """Return the type of a tuple's entries; None for what is no tuple of one type."""
    arguments = get_args(kind)
    if get_origin(kind) is tuple and len(arguments) == 2 and arguments[1] is ...:
        return arguments[0]
    return arguments[0] if get_origin(kind) is Sequence else None


def in_words(kind: Any, *, several: bool = False) -> str:
    """Say what a type is: "a number or balance", "whole numbers"."""
    found = []
    for base, rule in members(kind):
        item = item_of(base)
        if isinstance(rule, Choice):
            found.append(" or ".join(rule.options))
        elif item is not None:
            found.append(in_words(item, several=True))
        elif base in READERS:
            found.append(READERS[base][several])
        else:
            name = getattr(base, "__name__", str(base))
            found.append(f"of jnst.{name}" if several else name)
    if "a number" in found or "numbers" in found:  # as 1 is meant as 1.0
        found = [each for each in found if "whole" not in each]
    return " or ".join(dict.fromkeys(found))


def plain(value: Any) -> Any:
    """Return NumPy's and JAX's numbers, and arrays, as Python's numbers and tuples."""
    if isinstance(value, np.generic | np.ndarray | jax.Array):
        try:
            found = np.asarray(value).tolist()
        except (TypeError, jax.errors.JAXTypeError):  # a PRNG key, a tracer
            return value
        return found if isinstance(found, np.generic) else plain(found)
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return tuple(plain(each) for each in value)
    return value


def fit(name: str, value: Any, kind: Any) -> Any:
    """Bring a value to a type: lists and arrays to tuples, 1 to 1.0.

    Args:
      name: What to call it in messages.
      value: Anything.
      kind: A type: of `READERS`, a class, a tuple of one of them, a union; with
        `Range` or `Choice` in an `Annotated`. Other types hold anything.

    Raises:
      ValueError: If it is of another type or out of bounds.
    """
    given = plain(value)
    for base, rule in members(kind):
        item = item_of(base)
        if item is not None:
            one = isinstance(given, str) and members(item)[0][0] is str
            if one or isinstance(given, tuple):
                each = (given,) if one else given
                return tuple(fit(name, entry, item) for entry in each)
        elif base in READERS:
            found = READERS[base][2](given)
            if found is not NOT:
                _check_rule(name, found, rule, value)
                return found
        elif base is Any or not isinstance(base, type) or isinstance(given, base):
            return given
    only = members(kind)[0][1] if len(members(kind)) == 1 else None
    if isinstance(only, Choice):
        check_one_of(name, value, only.options)
    raise ValueError(f"{name} must be {in_words(kind)}, got {shown(value)}")


def _check_rule(name: str, value: Any, rule: Any, given: Any) -> None:
    if isinstance(value, str) and isinstance(rule, Choice):
        check_one_of(name, value, rule.options)
    if type(value) not in (int, float):
        return
    stored = _in_float32(value) if type(value) is float else value
    rule = rule or (FINITE if type(value) is float else WHOLE)
    if not rule.holds(value):
        raise ValueError(f"{name} must be {rule.wanted(value)}, got {shown(given)}")
    if not rule.holds(stored):
        raise ValueError(
            f"{name} must be {rule.wanted(stored)}, got {shown(given)}, which is "
            f"{stored:g} in float32"
        )


def _in_float32(value: float) -> float:
    """Round as a program does, which takes what is smaller than normal for 0."""
    with np.errstate(over="ignore", under="ignore"):
        stored = float(np.float32(value))
    return 0.0 if abs(stored) < FLOAT32.tiny else stored


def fit_options(name: str, value: Any) -> tuple[tuple[str, Any], ...]:
    """Bring the options of a loss to (name, value) pairs, hashable.

    Raises:
      ValueError: If they are neither pairs nor a mapping of names.
    """
    pairs = plain(tuple(value.items()) if isinstance(value, Mapping) else value)
    fits = isinstance(pairs, tuple) and all(
        isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str)
        for pair in pairs
    )
    if not fits:
        raise ValueError(f"{name} must be name=value pairs, got {shown(value)}")
    for option, each in pairs:
        check_hashable(f"{name}: {option}", each)
    return tuple(dict(pairs).items())


def check_hashable(name: str, value: Any) -> None:
    """Raise `ValueError` for what a program cannot be compiled for."""
    try:
        hash(value)
    except TypeError:
        raise ValueError(
            f"{name} must be a number, text, a function or a tuple of them, got "
            f"{shown(value)}, which cannot be hashed"
        ) from None


def fitted(kind: Kind) -> Kind:
    """Mark a dataclass as one whose values `fit_fields` checks, and changes.

    Type checkers that look while a program runs leave it alone.
    """
    kind.__no_type_check__ = True  # type: ignore[attr-defined]
    return kind


@functools.cache
def declared(kind: Any) -> dict[str, Any]:
    """Return a dataclass' fields with their types and bounds, by name."""
    return {field.name: field.type for field in dataclasses.fields(kind)}


def fit_fields(instance: Any, *, prefix: str = "") -> None:
    """Apply `fit` to every field of a frozen dataclass while it is made.

    Args:
      instance: The dataclass.
      prefix: Of the fields' names in messages.

    Raises:
      ValueError: For the first field that does not fit.
    """
    for name, kind in declared(type(instance)).items():
        value, called = getattr(instance, name), prefix + name
        pairs = kind == Options
        fitted = fit_options(called, value) if pairs else fit(called, value, kind)
        object.__setattr__(instance, name, fitted)
