"""A term of an objective: a loss with its layers, weight and options, under a name.

The field of a term has a name of its own, TERM_FIELD: the weight of the term `style` is
`style_weight`, the layers of a term `histogram` are `histogram_layers`.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from jnst.base import Features, Number, Options, Scalar, check_one_of, shown
from jnst.bounds import WEIGHT, Choice, Range
from jnst.fitting import check_hashable, declared, fit_fields, fitted
from jnst.losses import (
    CONTENT_LOSSES,
    IMAGE_LOSSES,
    STYLE_LOSSES,
    check_options,
    functions_of,
)
from jnst.losses.rows import RUN_TIME_OPTIONS, check_row, check_values

TABLES: dict[str, Mapping[str, Any]] = {
    "style": STYLE_LOSSES,
    "content": CONTENT_LOSSES,
    "image": IMAGE_LOSSES,
}
"""Which table has the losses of a kind of term."""
OWN = "own"
"""The kind of a term whose loss is a function and no row of a table."""
MOST_LAYERS = 1000
"""Of a term; each is compiled, and no network here has a tenth of them."""
BLENDS = ("losses", "statistics")
LEVELS = Range(1, 16)
"""Of a pyramid: halved as often, the largest image is a pixel."""


@fitted
@dataclasses.dataclass(frozen=True)
class Term:
    """One term of an objective.

    Attributes:
      name: What it is called in the history, on the command line and in TERM_FIELD.
      loss: Key of `STYLE_LOSSES`, `CONTENT_LOSSES` or `IMAGE_LOSSES`, which decides the
        kind of the term; or a function from {layer: features [1, h, w, C]} to a scalar.
      layers: Layers it looks at, by any usual name; none for a loss on the image alone.
        A name alone is one layer.
      weight: Multiplies the loss, >= 0; 0 leaves the term out. "balance" asks for the
        weight that gives it the gradient that the recipe's own term of this name, or of
        this kind, has at the first image.
      layer_weights: One factor a layer; empty for 1 / number of layers each. A loss
        that takes all layers at once weighs them itself: none, or ones.
      options: Options of the loss, (name, value) pairs.
      pyramid: Levels of an image pyramid, each half the size of the one before, over
        which the loss is averaged; 1 for the image alone.
      blend: How several styles join: weighted "losses", or one loss against weighted
        "statistics".
    """

    name: str
    loss: str | Callable[[Features], Scalar]
    layers: tuple[str, ...] = ()
    weight: Annotated[Number, WEIGHT] | Annotated[str, Choice(("balance",))] = 1.0
    layer_weights: tuple[Annotated[float, WEIGHT], ...] = ()
    options: Options = ()
    pyramid: Annotated[int, LEVELS] = 1
    blend: Annotated[str, Choice(BLENDS)] = "losses"

    def __post_init__(self) -> None:
        """Bring values to their types, and raise `ValueError` for what cannot run."""
        _check_name(self.name)
        kind = kind_of(self.loss, name=f"{self.name}_loss")
        _check_count(self)
        fit_fields(self, prefix=f"{self.name}_")
        _check_layers(self, kind)
        _check_layer_weights(self)
        _check_loss(self, kind)


TERM_FIELDS: dict[str, Any] = {
    name: kind for name, kind in declared(Term).items() if name != "name"
}
"""Types and bounds of a term's fields, by name."""


def kind_of(loss: Any, *, name: str = "loss") -> str:
    """Return the kind of a loss: "style", "content", "image", or `OWN`.

    Args:
      loss: Name of a loss, or a function.
      name: What to call it in messages.

    Raises:
      ValueError: If it is neither in a table nor a function, or its row is none.
    """
    if callable(loss):
        check_hashable(name, loss)
        return OWN
    for kind, table in TABLES.items():
        if isinstance(loss, str) and loss in table:
            check_row(loss, kind, table[loss])
            return kind
    if not isinstance(loss, str):
        raise ValueError(
            f"{name} must be the name of a loss or a function, got {shown(loss)}"
        )
    check_one_of("loss", loss, [name for t in TABLES.values() for name in t])
    return OWN  # not come to


def is_joint(loss: Any) -> bool:
    """Tell whether a loss takes all its layers at once, and so weighs them itself."""
    kind = kind_of(loss)
    return kind == OWN or (kind == "style" and STYLE_LOSSES[loss].joint)


def kind_after(term: Term, loss: Any) -> str:
    """Return the kind that a term has with another loss.

    Raises:
      ValueError: If there is no such loss, naming the closest of the term's kind.
    """
    before = kind_of(term.loss)
    text = isinstance(loss, str)
    if text and before != OWN and not any(loss in table for table in TABLES.values()):
        check_one_of(f"{before} loss", loss, TABLES[before])
    return kind_of(loss, name=f"{term.name}_loss")


def split_name(name: str) -> tuple[str, str] | None:
    """Split TERM_FIELD into term and field; None if it ends in no field of a term."""
    for field in sorted(TERM_FIELDS, key=len, reverse=True):
        if name.endswith(f"_{field}") and len(name) > len(field) + 1:
            return name[: -len(field) - 1], field
    return None


def _check_name(name: Any) -> None:
    word = isinstance(name, str) and name.isidentifier()
    if not word or name.startswith("_") or name == "loss":
        raise ValueError(
            "a term's name must be a word such as 'style', not 'loss', got "
            f"{shown(name)}"
        )


def _check_count(term: Term) -> None:
    given = term.layers
    if isinstance(given, list | tuple) and len(given) > MOST_LAYERS:
        raise ValueError(
            f"{term.name}_layers must be at most {MOST_LAYERS}, got {len(given)}"
        )


def _check_layers(term: Term, kind: str) -> None:
    if kind in ("style", "content") and not term.layers:
        raise ValueError(f"{term.name}_layers must not be empty")
    if kind == "image" and term.layers:
        raise ValueError(
            f"{term.name}_layers must be empty: {term.loss!r} looks at the image alone"
        )
    if kind == "image" and term.pyramid > 1:
        raise ValueError(
            f"{term.name}_pyramid must be 1, got {term.pyramid}: {term.loss!r} looks "
            "at the image alone"
        )


def _check_layer_weights(term: Term) -> None:
    given, name = term.layer_weights, f"{term.name}_layer_weights"
    if is_joint(term.loss) and set(given) - {1.0}:
        who = shown(term.loss) if isinstance(term.loss, str) else "a function"
        raise ValueError(
            f"{name} must be empty, got {shown(given)}: {who} takes all layers at once "
            "and weighs them itself"
        )
    if given and len(given) != len(term.layers):
        raise ValueError(
            f"{name} has {len(given)} values for {len(term.layers)} layers"
        )
    if given and not any(given):
        raise ValueError(
            f"{name} must not be all 0, got {shown(given)}; {term.name}_weight=0 "
            "leaves the term out"
        )


def _check_loss(term: Term, kind: str) -> None:
    if kind == OWN:
        if term.options:
            raise ValueError(f"{term.name}_options: a function takes no options")
        return
    options, loss = dict(term.options), str(term.loss)
    check_options(loss, options, *functions_of(loss))
    for option in RUN_TIME_OPTIONS:
        if option in options:
            raise ValueError(f"{option} is set by the loop, not by {term.name}_options")
    check_values(f"{term.name}_options", loss, options, *functions_of(loss))
    mixes = kind == "style" and STYLE_LOSSES[loss].blend
    if term.blend == "statistics" and not mixes:
        raise ValueError(
            f"statistics of {loss!r} do not blend; set {term.name}_blend=losses"
        )
