"""Files by their SHA-256: pictures that a run was given, and weights of its network."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jnst.files import StrPath, cache_folder, sha256_of
from jnst.keep.told import Wanted
from jnst.weights import READERS, SOURCES, list_weights, load_described, read_provenance
from jnst.weights.places import ENVIRONMENT

PICTURES = (".png", ".jpg", ".jpeg", ".jfif", ".webp", ".tif", ".tiff", ".bmp", ".gif")
"""Endings of files that may be pictures, beside those of the names recorded."""
MOST_FILES = 100_000
"""Files of a folder that are looked at, subfolders included."""
MOST_DEPTH = 12
"""How many folders deep."""


def files_below(folder: Path, *, deep: bool) -> Iterator[Path]:
    """List files of a folder by name, at most `MOST_FILES`.

    Links to folders are not followed.

    Args:
      folder: Where to look; nothing comes of one that cannot be read.
      deep: Whether in subfolders too.
    """
    count = 0
    for parent, folders, names in os.walk(folder):
        depth = len(Path(parent).relative_to(folder).parts)
        folders[:] = sorted(folders) if deep and depth < MOST_DEPTH else []
        for name in sorted(names):
            count += 1
            if count > MOST_FILES:
                return
            yield Path(parent, name)


def candidates(
    wanted: Sequence[Wanted], beside: Path, inputs: Path | None
) -> Iterator[Path]:
    """List where pictures may be: by name first, then whatever may be a picture.

    Args:
      wanted: The pictures.
      beside: Folder of the result.
      inputs: A folder to search with its subfolders.
    """
    names = {each.name for each in wanted if each.name}
    folders = [beside, Path.cwd(), *([inputs] if inputs else [])]
    yield from (folder / name for folder in folders for name in sorted(names))
    endings = {*PICTURES, *(Path(name).suffix.lower() for name in names)}
    given = [(beside, False), *([(inputs, True)] if inputs else [])]
    for first in (True, False):  # those of the right name, wherever they are
        for folder, deep in given:
            for path in files_below(folder, deep=deep):
                if (path.name in names) is first and path.suffix.lower() in endings:
                    yield path


def hashed(path: Path) -> str:
    """Return a file's SHA-256; "" for what is none, or may not be read."""
    try:
        return sha256_of(path) if path.is_file() else ""
    except (OSError, ValueError):
        return ""


def find_by_hash(
    digests: Iterable[str], paths: Iterable[Path], on_file: Callable[[], Any]
) -> dict[str, Path]:
    """Return the first file of each SHA-256.

    Args:
      digests: What is looked for.
      paths: Where, in order; each is read once.
      on_file: Called for each file.
    """
    missing, found, seen = set(digests), {}, set()
    for path in paths:
        if not missing:
            break
        if path in seen:
            continue
        seen.add(path)
        on_file()
        digest = hashed(path)
        if digest in missing:
            missing.discard(digest)
            found[digest] = path
    return found


def find_pictures(
    wanted: Sequence[Wanted],
    beside: Path,
    inputs: StrPath | None,
    on_file: Callable[[], Any],
) -> dict[str, Path]:
    """Find pictures by their SHA-256.

    Args:
      wanted: The pictures.
      beside: Folder of the result, which is looked through.
      inputs: Another, looked through with its subfolders; None for none.
      on_file: Called for each file that is read.

    Raises:
      ValueError: Naming all that are missing, or were never files.
    """
    if inputs is not None and not Path(inputs).is_dir():
        raise ValueError(f"--inputs {str(inputs)!r} is no folder")
    arrays = [each.role for each in wanted if each.name is None]
    if arrays:
        raise ValueError(
            f"{', '.join(arrays)} came as an array or a Pillow image, which no file "
            "holds; from Python: jnst.stylize(..., recipe=jnst.Recipe.from_png(FILE))"
        )
    folder = Path(inputs) if inputs is not None else None
    digests = [each.sha256 for each in wanted]
    found = find_by_hash(digests, candidates(wanted, beside, folder), on_file)
    missing = [str(each) for each in wanted if each.sha256 not in found]
    if missing:
        looked = [repr(str(beside)), *([repr(str(inputs))] if inputs else [])]
        hint = "" if inputs else "; name a folder to search with --inputs DIR"
        raise ValueError(
            f"missing {', '.join(dict.fromkeys(missing))}: no such file in "
            f"{' or '.join(looked)}{hint}"
        )
    return found


def _is_of(path: Path, known: Mapping[str, str]) -> bool:
    """Whether a weights file holds recorded numbers, by its header or its bytes."""
    try:
        digest = read_provenance(path).get("tensors_sha256")
        return digest == known.get("tensors_sha256")
    except (OSError, ValueError):  # not of our own format
        return bool(known.get("source_sha256")) and (
            hashed(path) == known["source_sha256"]
        )


def find_network(
    known: Mapping[str, str], folders: Sequence[tuple[Path, bool]]
) -> str | Path:
    """Find weights by their SHA-256: by name, in the cache, then in folders.

    Args:
      known: Provenance of the weights, as a picture records it.
      folders: Where to look, and whether in subfolders too.

    Returns:
      A name or a path for `load_weights`, whose numbers have the recorded digest.

    Raises:
      ValueError: If there are none.
    """
    digest, name = known.get("tensors_sha256"), known.get("name")
    if not digest:
        raise ValueError(
            "the network's weights came as parameters, or were features of one's own; "
            "name a file with --weights"
        )
    for option in _options(name, folders):
        if isinstance(option, Path) and not _is_of(option, known):
            continue
        try:
            if load_described(option)[1].get("tensors_sha256") == digest:
                return option
        except (OSError, ValueError):
            continue
    title = known.get("title") or "weights"
    raise ValueError(
        f"no weights {title!r} with tensors of SHA-256 {digest} are at hand; name "
        "their file with --weights, or a folder that holds it with --inputs"
    )


def _options(
    name: str | None, folders: Sequence[tuple[Path, bool]]
) -> Iterator[str | Path]:
    """List what may be the weights, the likeliest first."""
    at_hand = {row["name"] for row in list_weights() if row["found"]}
    if name in SOURCES and name in at_hand:
        yield name
    given = os.environ.get(ENVIRONMENT)
    if given and Path(given).is_file():
        yield Path(given)
    for folder, deep in [(cache_folder(), True), *folders]:
        for path in files_below(folder, deep=deep):
            if path.suffix.lower() in READERS:
                yield path
