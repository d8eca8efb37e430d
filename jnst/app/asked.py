"""What the fields of the page mean: pictures within limits, a recipe, a plan."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jnst.drivers.plan import Plan, Request, make_plan
from jnst.image.peeking import pixels_of
from jnst.recipes.changing import unheeded
from jnst.recipes.settings import parse_setting

MOST_MB = 50
"""Size of a file that may be uploaded."""
MOST_PIXELS = 36 * 10**6
"""Pixels of a picture that may be uploaded: they are decoded to floats."""
MOST_STYLES = 8
LOSSES = {"style": "Style", "content": "Content", "tv": "Smoothness"}
"""Terms whose loss the page lets choose, and what it calls them."""
NUMBERS = ("size_px", "steps", "seed")
"""Fields that have a place of their own on the page."""


class Asked(NamedTuple):
    """What a user has filled in.

    Attributes:
      content: Path of the uploaded photograph; None for none yet.
      styles: Paths of the uploaded style pictures.
      blend: Weights of several styles, with commas between; empty for equal ones.
      recipe: Key of `RECIPES`.
      settings: A `FIELD=VALUE` a line.
      numbers: {field of NUMBERS: its text}; empty for the recipe's own.
      losses: {term: key of its table}; empty for the recipe's own.
    """

    content: str | None
    styles: Sequence[str]
    blend: str
    recipe: str
    settings: str
    numbers: dict[str, str]
    losses: dict[str, str]


def plan_of(asked: Asked, *, weights: str | None) -> tuple[Plan, list[str]]:
    """Decide all that a run needs.

    Args:
      asked: What is filled in.
      weights: Name or path of a weights file; None to find VGG19.

    Returns:
      The plan, and lines that tell which of the settings do nothing in it.

    Raises:
      ValueError: For anything no run could use.
      FileNotFoundError: For no weights anywhere.
    """
    check_pictures(asked.content, asked.styles)
    numbers = asked.numbers.items()
    given = dict(parse_setting(f"{k}={v.strip()}") for k, v in numbers if v.strip())
    chosen = {f"{term}_loss": loss for term, loss in asked.losses.items() if loss}
    request = Request(
        asked.content,
        list(asked.styles),
        asked.recipe,
        size_px=given.pop("size_px", None),
        weights=weights,
        blend=blend_of(asked.blend) if len(asked.styles) > 1 else None,
    )
    changes = {**changes_of(asked.settings), **chosen, **given}
    plan = make_plan(request, changes)
    return plan, unheeded(plan.recipe, changes)


def check_pictures(content: str | None, styles: Sequence[str]) -> None:
    """Raise `ValueError` unless there are pictures, and none is too large."""
    if content is None:
        raise ValueError("there is no photograph yet: choose one")
    if not styles:
        raise ValueError("there is no style yet: choose one picture or several")
    if len(styles) > MOST_STYLES:
        raise ValueError(f"{len(styles)} styles are too many: at most {MOST_STYLES}")
    for path in (content, *styles):
        check_picture(path)


def check_picture(path: str) -> None:
    """Raise `ValueError` for an upload that is no picture, or has too many pixels."""
    if os.path.getsize(path) > MOST_MB * 10**6:  # the server refuses it before
        raise ValueError(f"{Path(path).name!r} has more than {MOST_MB} MB")
    height, width = pixels_of(path)
    if height * width > MOST_PIXELS:
        raise ValueError(
            f"{Path(path).name!r} has {width}x{height} pixels, more than "
            f"{MOST_PIXELS // 10**6} million; make it smaller"
        )


def blend_of(text: str) -> list[float] | None:
    """Read the weights of the styles; None for equal ones.

    Raises:
      ValueError: If they are no numbers.
    """
    try:
        return [float(part) for part in text.split(",")] if text.strip() else None
    except ValueError:
        message = f"the blend must be numbers such as 0.7, 0.3, got {text!r}"
        raise ValueError(message) from None


def changes_of(settings: str) -> dict[str, Any]:
    """Read the advanced settings, as --set does.

    Raises:
      ValueError: For a line that is none, or a field that has a place of its own.
    """
    changes: dict[str, Any] = {}
    for line in map(str.strip, settings.splitlines()):
        if not line or line.startswith("#"):
            continue
        name, value = parse_setting(line)
        if name in NUMBERS:
            raise ValueError(f"{name} is no advanced setting: use the field above")
        if name == "weights":
            raise ValueError("weights are chosen by `jnst app --weights NAME`")
        if name in changes:
            raise ValueError(f"{name} stands twice in the advanced settings")
        changes[name] = value
    return changes


def plain(error: Exception, folder: str | os.PathLike[str]) -> str:
    """Return what an error says, for the page: one line, uploads by their names alone.

    Args:
      error: What was raised.
      folder: Where uploads lie.
    """
    text = " ".join(str(error).split()) or "there is not enough memory"
    text, _, _ = text.partition("; force=True")  # which the page does not offer
    inside = re.escape(f"{os.fspath(folder)}{os.sep}")
    return re.sub(rf"{inside}(?:[^'\"/]+/)*", "", text)
