"""The form of a benchmark's document, as a JSON Schema, and what checks against it.

`schema.json` beside this module is the schema, of draft 2020-12. It gives the type of
every field that is known and allows others, so that a later jnst may tell more.
"""

import functools
import json
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
from jsonschema.exceptions import best_match

SCHEMA = "jnst-bench-1"
AGAIN = "measure again with `jnst bench --output FILE.json`"
LONGEST = 90
"""Characters of a complaint: it quotes the value, which may be a whole file."""


@functools.cache
def _validator() -> jsonschema.Draft202012Validator:
    text = resources.files("jnst.bench").joinpath("schema.json").read_text("utf-8")
    return jsonschema.Draft202012Validator(json.loads(text))


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON's")


def parse_json(text: str | bytes, *, where: str) -> Any:
    """Parse JSON, in which NaN and infinity are errors.

    Args:
      text: As text, or bytes in UTF-8.
      where: Name of the file, for the error.

    Returns:
      What it says.

    Raises:
      ValueError: If it is no JSON, or not even text.
    """
    try:
        return json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where!r} is not JSON: {error}") from error


def read_json(path: str | Path) -> Any:
    """Read a file of JSON, see `parse_json`.

    Raises:
      FileNotFoundError: If there is no such file.
      ValueError: If it is no JSON.
    """
    return parse_json(Path(path).read_bytes(), where=str(path))


def field_name(path: list[str | int]) -> str:
    """Write the way to a field as in `rows[0].step_ms`; "the document" for none."""
    words = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in path]
    return "".join(words).removeprefix(".") or "the document"


def check_document(document: Any, *, where: str) -> None:
    """Raise unless a document has the form that `schema.json` tells.

    Args:
      document: What a file of JSON says.
      where: Name of the file, for the error.

    Raises:
      ValueError: If it is of another schema, or a field is wrong; names the field.
    """
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != SCHEMA:
        raise ValueError(
            f"{where!r} has schema {schema!r}, this jnst reads {SCHEMA!r}; {AGAIN}"
        )
    error = best_match(_validator().iter_errors(document))
    if error is None:
        return
    what = error.message
    what = what if len(what) <= LONGEST else f"... {what[-LONGEST:]}"
    field = field_name(list(error.absolute_path))
    raise ValueError(f"{where!r} is no benchmark of jnst's: {field}: {what}; {AGAIN}")
