"""What options mean in Python: names, numbers, recipes and their changes."""

import re
from collections.abc import Sequence
from typing import Any


def parse_shape(text: str | None) -> tuple[int, int] | None:
    """Read --shape."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)[xX](\d+)", text)
    if not match or not int(match[1]) or not int(match[2]):
        raise ValueError(f"--shape must be HxW such as 256x384, got {text!r}")
    return int(match[1]), int(match[2])


def parse_blend(text: str | None) -> list[float] | None:
    """Read --blend."""
    try:
        return None if text is None else [float(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(
            f"--blend must be numbers like 0.7,0.3, got {text!r}"
        ) from None


def listed(text: str | None) -> list[str] | None:
    """Split names at commas; None for no text."""
    if text is None:
        return None
    return [name.strip() for name in text.split(",") if name.strip()]


def chosen_recipe(recipe: str | None, like: str | None) -> Any:
    """Return what to start from: the name of a recipe, or the recipe of a picture."""
    if like is None:
        return "jnst" if recipe is None else recipe
    if recipe is not None:
        raise ValueError("--like has a recipe of its own: leave --recipe out")
    from jnst.recipes.recipe import Recipe

    return Recipe.from_png(like)


def all_changes(
    recipe: Any, settings: Sequence[str], terms: Sequence[str]
) -> dict[str, Any]:
    """Read --set and --term: fields by name, and all terms with those added."""
    from jnst.recipes.changing import named
    from jnst.recipes.settings import parse_setting, parse_term

    changes = dict(parse_setting(text) for text in settings)
    if terms:
        added = [parse_term(text) for text in terms]
        changes["terms"] = (*named(recipe).objective.terms, *added)
    return changes


def arguments_of(changes: dict[str, Any], **asked: Any) -> dict[str, Any]:
    """Take from the changes what is an argument of `stylize` too.

    Args:
      changes: Of --set; those that are arguments are taken out.
      **asked: Arguments as options of their own gave them, which come first.

    Returns:
      What the arguments are.
    """
    set_ = {name: changes.pop(name, None) for name in asked}
    if isinstance(set_.get("weights"), tuple):
        set_["weights"] = next(iter(set_["weights"]), None)
    return {k: set_[k] if v is None else v for k, v in asked.items()}
