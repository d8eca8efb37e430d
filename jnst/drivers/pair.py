"""Two losses as the terms `a` and `b` of one objective, for `jnst.disagree`.

Each has the layers, weights of layers and options that a recipe's own term of its kind
has; fields `a_layers`, `b_options`, ... change them. A metric of pictures that no loss
shares its name with is one too: 1 minus it where higher is better.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jnst.base import check_one_of, shown
from jnst.metrics import METRICS, as_loss
from jnst.network.layers import IMAGE_LAYER
from jnst.objective.fields import TERMS, ObjectiveFields
from jnst.objective.term import OWN, TABLES, Term, is_joint, kind_of, split_name
from jnst.recipes.changing import named, resolve
from jnst.recipes.recipe import HOMES, Recipe, check_field

NAMES = ("a", "b")
"""What the two terms are called."""
TERM_CHANGES = ("layers", "layer_weights", "options", "pyramid")
"""Fields of the terms that may be changed."""
NOT_CHANGED = ("terms", "normalize_gradients", "diagnostics")
"""Fields of the objective that may not: a gradient must be that of its loss."""
Loss = str | Callable[..., Any]


class Pair(NamedTuple):
    """Two losses, ready for an objective.

    Attributes:
      recipe: Recipe whose only terms they are.
      labels: What each is called, with its layers where they were chosen for it alone.
      keyed: Whether each samples.
    """

    recipe: Recipe
    labels: tuple[str, str]
    keyed: tuple[bool, bool]


def judges() -> list[str]:
    """List the metrics that can be taken as losses on pictures."""
    known = {name for table in TABLES.values() for name in table}
    rows = METRICS.items()
    return [k for k, row in rows if k not in known and row.takes == "images"]


def make_pair(
    losses: Sequence[Loss],
    picture: np.ndarray,
    recipe: str | Recipe,
    layers: str | Sequence[str] | None,
    own: Mapping[str, Any],
) -> Pair:
    """Make a recipe of two losses.

    Args:
      losses: Both, each a name or a function from {layer: features} to a scalar.
      picture: What metrics compare with, [H, W, 3].
      recipe: Whose layers and network are meant.
      layers: Layers of both where they look at features; None for the recipe's.
      own: Fields of the objective, and of the terms `a` and `b`.

    Raises:
      ValueError: For an unknown loss, a field that is none of these, or twice the same.
    """
    _check_fields(own)
    base = named(recipe)
    for loss in losses:
        _check_loss(loss)
    usual = tuple(
        _term(name, loss, base, picture)
        for name, loss in zip(NAMES, losses, strict=True)
    )
    fixed = {"terms": usual, "normalize_gradients": False}
    resolved = resolve(base, {**fixed, **_for_both(usual, losses, layers), **own})
    found = resolved.objective.terms
    if _nameless(found[0], losses[0]) == _nameless(found[1], losses[1]):
        raise ValueError(
            f"loss A and loss B are the same, {shown(losses[0])}, at the same layers "
            "with the same options: name two that may differ, or set a_layers"
        )
    labels = [
        _label(loss, term.layers if f"{name}_layers" in own else ())
        for name, loss, term in zip(NAMES, losses, found, strict=True)
    ]
    if labels[0] == labels[1]:
        labels = [f"{label} ({name})" for label, name in zip(labels, "AB", strict=True)]
    rows = [TABLES.get(kind_of(t.loss), {}).get(str(t.loss)) for t in found]
    keyed = [bool(getattr(row, "keyed", False)) for row in rows]
    return Pair(resolved, (labels[0], labels[1]), (keyed[0], keyed[1]))


def _for_both(
    terms: Sequence[Term], losses: Sequence[Loss], layers: str | Sequence[str] | None
) -> dict[str, Any]:
    """Give layers to the terms that look at features, as fields."""
    if layers is None:
        return {}
    names = (layers,) if isinstance(layers, str) else tuple(layers)
    return {
        f"{term.name}_layers": names
        for term, loss in zip(terms, losses, strict=True)
        if term.layers and not (isinstance(loss, str) and loss in judges())
    }


def _check_fields(changes: Mapping[str, Any]) -> None:
    objective = [
        f.name for f in dataclasses.fields(ObjectiveFields) if f.name not in NOT_CHANGED
    ]
    allowed = [*objective, *(f"{n}_{k}" for n in NAMES for k in TERM_CHANGES)]
    for name in changes:
        if name not in HOMES and split_name(name) is None:
            check_field(name)
        check_one_of("field, of what two losses compare: field", name, allowed)


def _check_loss(loss: Any) -> None:
    if isinstance(loss, str):
        known = [name for table in TABLES.values() for name in table]
        check_one_of("loss", loss, [*known, *judges()])
    else:
        kind_of(loss)


def _term(name: str, loss: Loss, recipe: Recipe, picture: np.ndarray) -> Term:
    """Return a term with the loss, else like the recipe's own of this kind."""
    if isinstance(loss, str) and loss in judges():
        return Term(name, as_loss(loss, picture), (IMAGE_LAYER,))
    kind = kind_of(loss)
    if kind == "image":
        return Term(name, loss)
    like = "style" if kind == OWN else kind
    terms = [*recipe.objective.terms, *TERMS]
    base = next(term for term in terms if kind_of(term.loss) == like)
    return dataclasses.replace(
        base,
        name=name,
        loss=loss,
        weight=1.0,
        options=base.options if base.loss == loss else (),
        layer_weights=() if is_joint(loss) else base.layer_weights,
        blend="losses",
    )


def _nameless(term: Term, loss: Loss) -> tuple[Any, ...]:
    """Return what of a term decides its values."""
    return loss, term.layers, term.layer_weights, term.options, term.pyramid


def _label(loss: Loss, layers: Sequence[str]) -> str:
    text = loss if isinstance(loss, str) else getattr(loss, "__name__", "function")
    if isinstance(loss, str) and text in judges() and METRICS[text].better == "higher":
        text = f"1 - {text}"
    return f"{text} at {', '.join(layers)}" if layers else text
