"""A term of an objective: a loss with its layers, weight and options, under a name.

The field of a term has a name of its own, TERM_FIELD: the weight of the term `style` is
`style_weight`, the layers of a term `histogram` are `histogram_layers`.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

from jnst.base import Features, Number, Options, Scalar, check_one_of
from jnst.losses import (
    CONTENT_LOSSES,
    IMAGE_LOSSES,
    STYLE_LOSSES,
    check_options,
    functions_of,
)
from jnst.losses.rows import RUN_TIME_OPTIONS

TABLES: dict[str, Mapping[str, Any]] = {
    "style": STYLE_LOSSES,
    "content": CONTENT_LOSSES,
    "image": IMAGE_LOSSES,
}
"""Which table has the losses of a kind of term."""
OWN = "own"
"""The kind of a term whose loss is a function and no row of a table."""
BLENDS = ("losses", "statistics")


@dataclasses.dataclass(frozen=True)
class Term:
    """One term of an objective.

    Attributes:
      name: What it is called in the history, on the command line and in TERM_FIELD.
      loss: Key of `STYLE_LOSSES`, `CONTENT_LOSSES` or `IMAGE_LOSSES`, which decides the
        kind of the term; or a function from {layer: features [1, h, w, C]} to a scalar.
      layers: Layers it looks at, by any usual name; none for a loss on the image alone.
      weight: Multiplies the loss, >= 0; 0 leaves the term out. "balance" asks for the
        weight that gives it the gradient that the recipe's own term of this name, or of
        this kind, has at the first image.
      layer_weights: One factor a layer; empty for 1 / number of layers each.
      options: Options of the loss, (name, value) pairs.
      pyramid: Levels of an image pyramid, each half the size of the one before, over
        which the loss is averaged; 1 for the image alone.
      blend: How several styles join: weighted "losses", or one loss against weighted
        "statistics".
    """

    name: str
    loss: str | Callable[[Features], Scalar]
    layers: tuple[str, ...] = ()
    weight: Number | str = 1.0
    layer_weights: tuple[float, ...] = ()
    options: Options = ()
    pyramid: int = 1
    blend: str = "losses"

    def __post_init__(self) -> None:
        """Bring values to their types, and raise `ValueError` for what cannot run."""
        tidy_fields(self)
        _check_name(self.name)
        kind = kind_of(self.loss)
        _check_layers(self, kind)
        _check_numbers(self)
        _check_loss(self, kind)


TERM_FIELDS: dict[str, Any] = {
    name: kind for name, kind in get_type_hints(Term).items() if name != "name"
}
"""Types of a term's fields, by name."""


def tidy(value: Any, kind: Any) -> Any:
    """Bring a field's value to its type: lists and mappings to tuples, 1 to 1.0."""
    if isinstance(value, Mapping):
        value = tuple(value.items())
    if isinstance(value, list):
        value = tuple(value)
    floats = kind in (Number, Number | str, float)
    return float(value) if floats and type(value) is int else value


def tidy_fields(instance: Any) -> None:
    """Apply `tidy` to every field of a frozen dataclass while it is made."""
    for name, kind in get_type_hints(type(instance)).items():
        object.__setattr__(instance, name, tidy(getattr(instance, name), kind))


def kind_of(loss: Any) -> str:
    """Return the kind of a loss: "style", "content", "image", or `OWN`.

    Raises:
      ValueError: If it is neither in a table nor a function.
    """
    if callable(loss):
        return OWN
    for kind, table in TABLES.items():
        if loss in table:
            return kind
    check_one_of("loss", str(loss), [name for t in TABLES.values() for name in t])
    raise ValueError(f"a loss is a name or a function, got {loss!r}")


def kind_after(term: Term, loss: Any) -> str:
    """Return the kind that a term has with another loss.

    Raises:
      ValueError: If there is no such loss, naming the closest of the term's kind.
    """
    before = kind_of(term.loss)
    known = any(loss in table for table in TABLES.values()) or callable(loss)
    if not known and before != OWN:
        check_one_of(f"{before} loss", str(loss), TABLES[before])
    return kind_of(loss)


def split_name(name: str) -> tuple[str, str] | None:
    """Split TERM_FIELD into term and field; None if it ends in no field of a term."""
    for field in sorted(TERM_FIELDS, key=len, reverse=True):
        if name.endswith(f"_{field}") and len(name) > len(field) + 1:
            return name[: -len(field) - 1], field
    return None


def _check_name(name: str) -> None:
    if not name.isidentifier() or name.startswith("_") or name == "loss":
        raise ValueError(
            f"a term's name must be a word such as 'style', not 'loss', got {name!r}"
        )


def _check_layers(term: Term, kind: str) -> None:
    if kind in ("style", "content") and not term.layers:
        raise ValueError(f"{term.name}_layers must not be empty")
    if kind == "image" and term.layers:
        raise ValueError(
            f"{term.name}_layers must be empty: {term.loss!r} looks at the image alone"
        )
    if term.layer_weights and len(term.layer_weights) != len(term.layers):
        raise ValueError(
            f"{term.name}_layer_weights has {len(term.layer_weights)} values "
            f"for {len(term.layers)} layers"
        )


def _check_numbers(term: Term) -> None:
    if isinstance(term.weight, str):
        check_one_of(f"{term.name}_weight", term.weight, ("balance",))
    elif not 0 <= term.weight < float("inf"):
        raise ValueError(f"{term.name}_weight must be at least 0, got {term.weight}")
    if not term.pyramid >= 1:
        raise ValueError(f"{term.name}_pyramid must be at least 1, got {term.pyramid}")


def _check_loss(term: Term, kind: str) -> None:
    check_one_of(f"{term.name}_blend", term.blend, BLENDS)
    if kind == OWN:
        if term.options:
            raise ValueError(f"{term.name}_options: a function takes no options")
        return
    options, loss = dict(term.options), str(term.loss)
    check_options(loss, options, *functions_of(loss))
    for option in RUN_TIME_OPTIONS:
        if option in options:
            raise ValueError(f"{option} is set by the loop, not by {term.name}_options")
    mixes = kind == "style" and STYLE_LOSSES[loss].blend
    if term.blend == "statistics" and not mixes:
        raise ValueError(
            f"statistics of {loss!r} do not blend; set {term.name}_blend=losses"
        )
