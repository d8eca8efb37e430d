"""What a picture, or its history, tells of how it was made; read with suspicion.

The document is what `jnst.drivers.record.document` gathers. Whoever sends a picture may
have written anything into it: names are never paths, all is checked before it is used.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jnst.base import shown
from jnst.files import StrPath
from jnst.image import read_metadata
from jnst.recipes.recipe import Recipe
from jnst.recipes.settings import read_record

MOST_BYTES = 2**28
"""Of a history: a million steps of ten terms take less."""
MOST_STYLES = 1000


class Wanted(NamedTuple):
    """A picture that a run was given.

    Attributes:
      role: "content", "style", "style 2", ..., or "init".
      name: Name of the file, without its folder; None for an array.
      sha256: Of the file's bytes, or of the array's.
    """

    role: str
    name: str | None
    sha256: str

    def __str__(self) -> str:
        """Name it in a message."""
        return f"{self.role} {self.name!r} (SHA-256 {self.sha256})"


class Told(NamedTuple):
    """How a picture was made.

    Attributes:
      recipe: The recipe in effect.
      content: The content; None for a texture.
      styles: The styles.
      init: First image: a file, the name of a row of `INITS`, or None.
      blend: Weight of each style as it was given.
      weights: Provenance of the network's weights.
      devices: Devices along pictures, rows and columns; None for one.
      document: All of it, for what is only shown.
    """

    recipe: Recipe
    content: Wanted | None
    styles: list[Wanted]
    init: Wanted | str | None
    blend: Any
    weights: dict[str, str]
    devices: tuple[int, ...] | None
    document: dict[str, Any]

    @property
    def files(self) -> list[Wanted]:
        """All pictures that are needed."""
        content = [self.content] if self.content else []
        init = [self.init] if isinstance(self.init, Wanted) else []
        return [*content, *self.styles, *init]


def read_document(path: StrPath) -> dict[str, Any]:
    """Read what a PNG, or a file of `--history`, tells.

    Raises:
      FileNotFoundError: If there is no such file.
      ValueError: If it carries nothing of jnst's.
    """
    if Path(path).suffix.lower() != ".json":
        return read_metadata(path)
    what = f"history {str(path)!r}"
    try:
        if not Path(path).is_file():
            raise FileNotFoundError(f"no file {str(path)!r}")
        if Path(path).stat().st_size > MOST_BYTES:
            raise ValueError(f"{what} has more than {MOST_BYTES} bytes")
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (RecursionError, UnicodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{what} is not JSON") from error
    if not isinstance(found, dict):
        raise ValueError(f"{what} is no document of jnst's")
    return found


def read_told(document: Mapping[str, Any], *, where: StrPath) -> Told:
    """Make sense of a document.

    Args:
      document: From `read_document`.
      where: The file, for messages.

    Raises:
      ValueError: If it tells too little, or what no run could use.
    """
    what = repr(str(where))
    recorded = document.get("recipe")
    if not isinstance(recorded, Mapping):
        raise ValueError(f"{what} carries no recipe of jnst's")
    content, styles = document.get("content"), document.get("styles")
    if not isinstance(styles, list) or not 0 < len(styles) <= MOST_STYLES:
        raise ValueError(f"{what} does not tell its styles")
    init = document.get("init")
    if not (init is None or isinstance(init, str | Mapping)):
        raise ValueError(f"{what} tells of a first image {shown(init)}")
    return Told(
        recipe=read_record(recorded),
        content=None if content is None else _wanted(what, "content", content),
        styles=[_wanted(what, _style(n), each) for n, each in enumerate(styles, 1)],
        init=_wanted(what, "init", init) if isinstance(init, Mapping) else init,
        blend=document.get("blend"),
        weights=texts_of(document.get("weights")),
        devices=_devices(document.get("devices")),
        document=dict(document),
    )


def _style(number: int) -> str:
    return "style" if number == 1 else f"style {number}"


def _wanted(what: str, role: str, about: Any) -> Wanted:
    """Read what is told of a picture."""
    if isinstance(about, list):
        raise ValueError(f"{what} is of a batch: reproduce the pictures one by one")
    digest = about.get("sha256") if isinstance(about, Mapping) else None
    if not isinstance(digest, str) or not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise ValueError(f"{what} does not tell the SHA-256 of its {role}")
    name = about.get("name")
    return Wanted(role, Path(name).name if isinstance(name, str) else None, digest)


def texts_of(document: Any) -> dict[str, str]:
    """Return the texts of an object by name; empty for anything else."""
    if not isinstance(document, Mapping):
        return {}
    return {str(k): v for k, v in document.items() if isinstance(v, str)}


def _devices(found: Any) -> tuple[int, ...] | None:
    """Return the sides of a mesh; None for one device, or what is none."""
    if isinstance(found, list) and len(found) == 3:
        if all(type(each) is int and 0 < each <= 2**20 for each in found):
            return tuple(found)
    return None
