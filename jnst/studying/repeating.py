"""The study that a study.json holds, to be run again: its arguments, and a check."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jnst.files import StrPath
from jnst.recipes.settings import read_record, record
from jnst.recipes.table import RECIPES
from jnst.studying.methods import Method
from jnst.studying.pictures import Picture

ARGUMENTS = ("size_px", "steps", "seconds", "seed")


def read_asked(path: StrPath) -> dict[str, Any]:
    """Return what a study.json was asked for.

    Raises:
      FileNotFoundError: If there is no such file.
      ValueError: If it is none of a study's.
    """
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"no file {str(path)!r}") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"{str(path)!r} is no study.json: {error}") from None
    asked = found.get("asked") if isinstance(found, Mapping) else None
    if not isinstance(asked, Mapping) or not {*ARGUMENTS, "methods"} <= set(asked):
        raise ValueError(f"{str(path)!r} is no study.json")
    return dict(asked)


def arguments_of(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of `jnst.study` that make the same methods run as long.

    Raises:
      ValueError: For a recipe that no run could use, such as one with a function.
    """
    methods = [
        Method(each["name"], _recipe(each), each["changes"])
        for each in asked["methods"]
    ]
    return {"methods": methods, **{name: asked[name] for name in ARGUMENTS}}


def _recipe(told: Mapping[str, Any]) -> Any:
    """Return a method's recipe: by its name, if that still means the same."""
    name = told["recipe_name"]
    same = name in RECIPES and json.loads(json.dumps(record(RECIPES[name])))
    return name if same == told["base"] else read_record(told["base"])


def check_pictures(
    asked: Mapping[str, Any], what: str, pictures: Sequence[Picture]
) -> None:
    """Raise unless pictures are those that a study had.

    Args:
      asked: From `read_asked`.
      what: "contents" or "styles".
      pictures: Those to be studied now.

    Raises:
      ValueError: Naming the first that is missing, or was not there.
    """
    then = {each["sha256"]: each["file"] or each["name"] for each in asked[what]}
    now = {p.about["sha256"]: p.about["name"] or p.name for p in pictures}
    for digest, name in then.items():
        if digest not in now:
            raise ValueError(
                f"{what} lack a picture of that study: {name!r}, SHA-256 {digest[:12]}"
            )
    for digest, name in now.items():
        if digest not in then:
            raise ValueError(f"{what} have a picture that study had not: {name!r}")
