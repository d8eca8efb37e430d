"""Names of pictures and methods, safe as parts of the names of files.

A safe name has letters, digits, ".", "-" and single "_", so that "__" can stand between
names: NAME__NAME means one pair of names only.
"""

import re
import unicodedata
from collections.abc import Sequence

MOST_BYTES = 50
"""Of a name: four of them, and what is between, stay below the 255 of file systems."""


def safe(text: str, *, otherwise: str) -> str:
    """Return a name that no file system, terminal or shell takes amiss.

    Args:
      text: Any text, such as the stem of a file.
      otherwise: What to return if nothing of it is left.
    """
    plain = unicodedata.normalize("NFC", text)
    plain = re.sub(r"_+", "_", re.sub(r"[^\w.-]", "_", plain)).lstrip("._-")
    plain = plain.encode("utf-8", "ignore")[:MOST_BYTES].decode("utf-8", "ignore")
    return plain.rstrip("._-") or otherwise


def distinct(names: Sequence[str]) -> list[str]:
    """Number names that are there before, also in another case: cat, cat-2, cat-3."""
    found: list[str] = []
    for name in names:
        number, each = 1, name
        while each.casefold() in {known.casefold() for known in found}:
            number += 1
            each = f"{name}-{number}"
        found.append(each)
    return found
