"""The places weights are looked for in: environment, cache, package, download.

Whatever is found in another form is converted once, into the cache folder; where that
cannot be written, weights are converted in memory each time. To add a place to
look in, add a row to `PLACES`.
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from jnst.files import StrPath, atomic_write, cache_folder, sha256_of
from jnst.weights import readers, recognition, storage
from jnst.weights.network import FORMAT, Network
from jnst.weights.recovery import recover_original
from jnst.weights.sources import (
    SOURCES,
    Source,
    check_checksum,
    packaged_path,
)

ENVIRONMENT = "JNST_WEIGHTS"
TIMEOUT_S = 30
CHUNK_BYTES = 2**18
MAX_REASON = 240

Found = Path | Network
"""A file of our own format or, where the cache cannot be written, arrays in memory."""


Place = Callable[[str, Source], Found]
"""Takes a key of `SOURCES` and its row; raises `NotThere` to be passed over."""


class NotThere(Exception):
    """A place holds no such weights; says where was looked, and why not."""


def _keep(found: Network, path: Path) -> Found:
    """Write a converted network into the cache, or hand it on if that is impossible."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return storage.write_network(found, path)
    except OSError:
        return found


def _named(found: Network, name: str, source: str) -> Network:
    """Complete the provenance of a network known to be a row of `SOURCES`."""
    row = SOURCES[name]
    known = {"name": name, "title": row.title, "licence": row.licence}
    return Network(found.arrays, {**found.provenance, **known, "source": source})


def is_path(name_or_path: StrPath) -> bool:
    """Whether something is to be read as a path rather than a key of `SOURCES`."""
    text = os.fspath(name_or_path)
    suffix = Path(text).suffix.lower() in readers.READERS
    looks = suffix or os.sep in text or os.path.isfile(text)
    return looks and text not in SOURCES


def from_path(path: Path) -> Found:
    """Return a file of our own format as it is, the conversion of any other."""
    if not path.is_file():
        raise FileNotFoundError(f"weights file {str(path)!r} not found")
    if path.suffix.lower() == ".safetensors" and path.stat().st_size:
        if readers.safetensors_metadata(path).get("format") == FORMAT:
            return path
    name = f"{FORMAT}-{sha256_of(path)}.safetensors"
    kept = cache_folder() / "converted" / name
    return kept if is_ours(kept) else _keep(readers.read_network(path), kept)


def is_ours(path: Path, name: str | None = None) -> bool:
    """Whether a file is whole, of our format, and of that name if one is given."""
    try:
        recorded = storage.read_provenance(path)
    except (OSError, ValueError):
        return False
    return name is None or recorded.get("name") == name


def _look_in_environment(name: str, source: Source) -> Found:
    value = os.environ.get(ENVIRONMENT, "")
    if not is_path(value):
        detail = f"is {value!r}, no file" if value else "not set"
        raise NotThere(f"{ENVIRONMENT} ({detail})")
    found = from_path(Path(value))
    known = (
        storage.read_provenance(found) if isinstance(found, Path) else found.provenance
    )
    if known.get("name") != name:
        raise NotThere(f"{ENVIRONMENT} ({value} is {known.get('title')!r})")
    return found


def _look_in_cache(name: str, source: Source) -> Found:
    kept = cache_folder() / f"{name}.safetensors"
    if is_ours(kept, name):
        return kept
    given = cache_folder() / source.file_name  # put there by hand, on closed machines
    if not given.is_file():
        raise NotThere(str(kept) + (" (damaged or another's)" if kept.exists() else ""))
    check_checksum(given, source.checksum, str(given))
    return _keep(_named(readers.read_network(given), name, source.url), kept)


def _look_in_package(name: str, source: Source) -> Found:
    packaged = source.package
    if packaged is None:
        raise NotThere("no package has it")
    path = packaged_path(packaged)
    if path is None:
        raise NotThere(f"package {packaged.distribution} (not installed)")
    found = recognition.assemble(str(path), readers.read_packaged(path, packaged))
    origin = f"{packaged.distribution}, {packaged.module}/{packaged.path}"
    found.provenance.update(source=origin, source_sha256=packaged.sha256)
    found = recover_original(found) if packaged.recover else found
    return _keep(_named(found, name, origin), cache_folder() / f"{name}.safetensors")


def download(source: Source, folder: Path) -> Path:
    """Download a published file, atomically; proxy variables are respected.

    Args:
      source: What to download; a progress bar goes to standard error.
      folder: Where to; it must exist.

    Returns:
      Path of the file.

    Raises:
      OSError: If the server cannot be reached or breaks off.
      ValueError: If what came is not what was published; nothing is kept.
    """
    import pooch

    path = folder / source.file_name
    fetch = pooch.HTTPDownloader(
        progressbar=True, chunk_size=CHUNK_BYTES, timeout=TIMEOUT_S
    )
    with atomic_write(path) as temporary:
        fetch(source.url, str(temporary), None)
        check_checksum(temporary, source.checksum, source.file_name)
    return path


def _look_on_the_net(name: str, source: Source) -> Found:
    with tempfile.TemporaryDirectory(prefix="jnst-") as folder:
        try:
            path = download(source, Path(folder))
        except (OSError, ValueError) as error:
            raise NotThere(f"{source.url} ({shorten(error)})") from error
        found = _named(readers.read_network(path), name, source.url)
        return _keep(found, cache_folder() / f"{name}.safetensors")


def shorten(error: Exception) -> str:
    """Bring an error's message to one line of bearable length."""
    text = " ".join(str(error).split()) or type(error).__name__
    if "Caused by " in text:  # the end of an HTTP library's long story
        text = text.rpartition("Caused by ")[2].rpartition(": ")[2]
        text = text.partition(" ([Errno")[0].rstrip(")'\"")
    return text if len(text) <= MAX_REASON else f"{text[:MAX_REASON]}..."


PLACES: tuple[Place, ...] = (
    _look_in_environment,
    _look_in_cache,
    _look_in_package,
    _look_on_the_net,
)
"""Where a name is looked up, in this order."""
