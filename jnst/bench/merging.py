"""Documents of several devices or versions in one table, told apart by what differs.

Nothing is compared: figures of two machines are shown side by side, and what may be
held against each other is said by `jnst.bench.comparable`.
"""

import datetime
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jnst.bench.against import key_of
from jnst.bench.measure import Row
from jnst.bench.schema import check_document, field_name, read_json

SCHEMA = "jnst-bench-merged-1"
Document = Mapping[str, Any]
Tell = Callable[[Document], str | None]


def _jnst(document: Document) -> str | None:
    version = document["versions"].get("jnst")
    return version and f"jnst {version}"


def _jax(document: Document) -> str:
    jax, jaxlib = (document["versions"].get(name) for name in ("jax", "jaxlib"))
    return f"JAX {jax}" + (f" (jaxlib {jaxlib})" if jaxlib not in (None, jax) else "")


def _commit(document: Document) -> str | None:
    commit = document.get("commit")
    return commit and f"commit {commit}"


TOLD: dict[str, Tell] = {
    # What may tell documents apart: how it is written, None where it is not known.
    "device": lambda document: document["device"],
    "cpu": lambda document: document.get("cpu"),
    "jnst": _jnst,
    "jax": _jax,
    "commit": _commit,
    "weights": lambda document: document["weights"].get("title"),
}
"""In the order of a source's words; date and name of the file come after them."""
LAST: dict[str, Tell] = {
    "date": lambda document: document.get("date"),
    "file": lambda document: document["file"],
}
"""What is told only where all of `TOLD` is not enough."""


def _read(path: str) -> list[dict[str, Any]]:
    """Read a document, or those of a merged one."""
    found = read_json(path)
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        check_document(found, where=path)
        return [{**found, "file": Path(path).name}]
    documents = found.get("documents")
    if not isinstance(documents, list) or not documents:
        field = field_name(["documents"])
        raise ValueError(f"{path!r} is no merged file of jnst's: {field} is no list")
    for number, one in enumerate(documents):
        check_document(one, where=f"{path}, {field_name(['documents', number])}")
    return [{"file": Path(path).name, **one} for one in documents]


def read_documents(paths: Sequence[str]) -> list[dict[str, Any]]:
    """Read files of `--output`, merged ones among them.

    Args:
      paths: Names of files, at least 1.

    Returns:
      The documents, each with the name of its "file".

    Raises:
      FileNotFoundError: If there is no such file.
      ValueError: If one is no such document, or is named twice.
    """
    for number, path in enumerate(paths):
        if Path(path).resolve() in [Path(one).resolve() for one in paths[:number]]:
            raise ValueError(f"{path!r} is named twice; name each file once")
    return [document for path in paths for document in _read(path)]


def sources_of(documents: Sequence[Document]) -> list[str]:
    """Name documents by whatever differs: device, CPU, versions, commit, weights.

    Args:
      documents: From `read_documents`.

    Returns:
      A name each, all different; with the date, then the file, then a number, where
      nothing else differs.
    """
    told = [tell for tell in TOLD.values() if len(set(map(tell, documents))) > 1]
    names = _names(documents, told)
    for tell in LAST.values():
        if len(set(names)) < len(names) or not all(names):
            told.append(tell)
            names = _names(documents, told)
    if len(set(names)) < len(names):
        return [f"{name} ({number})" for number, name in enumerate(names, 1)]
    return names


def _names(documents: Sequence[Document], told: Sequence[Tell]) -> list[str]:
    words = [[tell(document) for tell in told] for document in documents]
    return [", ".join(word for word in each if word) for each in words]


def merged_rows(documents: Sequence[Document]) -> list[Row]:
    """Return the rows of all documents, those of one case after each other.

    Args:
      documents: From `read_documents`.

    Returns:
      Rows with a "source" from `sources_of`; cases in the order they are met.
    """
    groups: dict[str, list[Row]] = {}
    for document, source in zip(documents, sources_of(documents), strict=True):
        for row in document["rows"]:
            case = str(list(key_of(row).values()))
            groups.setdefault(case, []).append(
                {"source": source} | row | {"source": source}
            )
    return [row for rows in groups.values() for row in rows]


def make_merged(documents: Sequence[Document]) -> dict[str, Any]:
    """Gather documents in one that `jnst bench --merge` reads again.

    Args:
      documents: From `read_documents`.

    Returns:
      {"schema", "date", "sources": names, "documents": each as it was}.
    """
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {
        "schema": SCHEMA,
        "date": now,
        "sources": sources_of(documents),
        "documents": list(documents),
    }
