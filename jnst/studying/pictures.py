"""The pictures of a study, each under a name of its own."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jnst.base import shown
from jnst.drivers.sources import ImageLike, as_source, described
from jnst.image import IMAGE_SUFFIXES, is_pillow
from jnst.studying.names import distinct, safe


class Picture(NamedTuple):
    """A content or a style.

    Attributes:
      name: Safe in names of files, and no other of its kind has it.
      image: Path, `PIL.Image` or array: large ones are read when they are needed.
      shape: Height and width in pixels, as given.
      about: Name of the file and SHA-256.
    """

    name: str
    image: ImageLike
    shape: tuple[int, int]
    about: dict[str, Any]


def pixels_of(picture: Picture) -> np.ndarray:
    """Return a picture as float32 [H, W, 3] in [0, 1]."""
    return as_source(picture.name, picture.image, sized=True).pixels


def _files(what: str, folder: Path) -> list[Path]:
    """List the pictures in a folder by name; files that are hidden are left alone.

    Raises:
      ValueError: If there are none.
    """
    found = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES
        and not path.name.startswith(".")
        and path.is_file()
    )
    if not found:
        raise ValueError(
            f"no pictures for {what} in {str(folder)!r}: files that end in one of "
            f"{', '.join(IMAGE_SUFFIXES)}"
        )
    return found


def _listed(what: str, given: Any) -> list[tuple[str, ImageLike]]:
    """List (name, image) of what a user gives; names need not be safe yet."""
    if isinstance(given, str | os.PathLike):
        path = Path(given)
        files = _files(what, path) if path.is_dir() else [path]
        return [(each.stem, each) for each in files]
    if isinstance(given, Mapping):
        return [(str(name), image) for name, image in given.items()]
    alone = is_pillow(given) or getattr(given, "ndim", 0) == 3
    several = [given] if alone else given
    if not isinstance(several, Sequence | np.ndarray) or isinstance(several, bytes):
        raise ValueError(
            f"{what} must be a folder, a list of pictures or {{name: picture}}, got "
            f"{shown(given)}"
        )
    return [
        (Path(each).stem if isinstance(each, str | os.PathLike) else "", each)
        for each in several
    ]


def gather(what: str, given: Any) -> list[Picture]:
    """Name the pictures of a study and read each once.

    Args:
      what: "contents" or "styles", for messages.
      given: A folder, a path, an image, a list of them, or {name: image}.

    Returns:
      The pictures; those of a folder in order of their names.

    Raises:
      FileNotFoundError: If a file is missing.
      ValueError: If there are none, one is no picture, or one is there twice.
    """
    listed = _listed(what, given)
    if not listed:
        raise ValueError(f"{what} must be at least one picture, got none")
    kind = what.rstrip("s")
    names = distinct([safe(name, otherwise=kind) for name, _ in listed])
    pictures = [
        _picture(name, image) for name, (_, image) in zip(names, listed, strict=True)
    ]
    seen: dict[str, str] = {}
    for picture in pictures:
        digest = picture.about["sha256"]
        if digest in seen:
            raise ValueError(
                f"{what} has the same picture twice: {seen[digest]!r} and "
                f"{picture.about['name'] or picture.name!r}"
            )
        seen[digest] = picture.about["name"] or picture.name
    return pictures


def _picture(name: str, image: ImageLike) -> Picture:
    pixels = as_source(name, image, sized=True).pixels
    if pixels.ndim != 3:
        raise ValueError(f"{name} must be one image [H, W, 3], got a batch")
    if isinstance(image, str | os.PathLike):
        about: dict[str, Any] = dict(described(image))
    else:
        digest = hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()
        about = {"name": None, "sha256": digest}
    return Picture(name, image, (pixels.shape[0], pixels.shape[1]), about)
