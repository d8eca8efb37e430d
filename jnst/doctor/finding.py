"""What a check finds: facts for a bug report, and lines with what to do.

Nothing of JAX is imported here, so that a JAX that cannot be imported is a finding too.
"""

import getpass
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

OK, LOOK, BROKEN = "ok", "look", "broken"
"""States of a finding: all is well; worth a look; no run can be trusted."""


class Finding(NamedTuple):
    """One line of a report.

    Attributes:
      topic: What it is about, a word.
      state: `OK`, `LOOK` or `BROKEN`.
      text: What was found.
      advice: What to do; "" where there is nothing to do.
    """

    topic: str
    state: str
    text: str
    advice: str = ""


class Found(NamedTuple):
    """What a check gives.

    Attributes:
      facts: What a bug report tells, as JSON knows it.
      findings: Lines for people.
    """

    facts: dict[str, Any]
    findings: list[Finding]


def in_a_line(error: BaseException) -> str:
    """Return what an error says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def names_of_user() -> tuple[str, str]:
    """Return the user's home folder and name; "" for what nobody tells."""
    try:
        home = os.path.expanduser("~")
        return ("" if home in ("~", "/") else home), getpass.getuser()
    except (OSError, KeyError, ImportError):  # a number that no account has
        return "", ""


def without_names(document: Any, *, home: str, user: str) -> Any:
    """Return a document whose texts name neither the user nor the user's folder.

    Args:
      document: Nested dicts, lists and tuples of what JSON knows.
      home: The folder, which becomes "~".
      user: The name, which becomes "USER" wherever it is a whole part of a path.
    """
    again = {"home": home, "user": user}
    if isinstance(document, Finding):
        return Finding(*(without_names(each, **again) for each in document))
    if isinstance(document, dict):
        return {
            without_names(k, **again): without_names(v, **again)
            for k, v in document.items()
        }
    if isinstance(document, list | tuple):
        return [without_names(each, **again) for each in document]
    if isinstance(document, Path):
        document = str(document)
    if not isinstance(document, str):
        return document
    text = document
    if home:
        text = re.sub(rf"{re.escape(home)}(?![^/\s'\",:;)])", "~", text)
    if user:
        text = re.sub(rf"(?<=/){re.escape(user)}(?![^/\s'\",:;)])", "USER", text)
    return text
