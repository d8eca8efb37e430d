"""Image files opened with Pillow, and all that can be wrong with one in one line.

Files are hostile: only the formats in `FORMATS` are opened, whatever the ending, and
whatever decoders raise becomes a `ValueError`. To read another format, add Pillow's
name of it to `FORMATS` and a file of it to the tests.
"""

import itertools
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

from jnst.files import StrPath
from jnst.guesses import did_you_mean, nearest

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF")
MOST_NAMES = 10_000
"""Names of a folder that a guess looks through."""


class MeaninglessError(ValueError):
    """Pixels that were read and cannot be used: nothing is damaged."""


def check_there(path: StrPath) -> None:
    """Raise unless there is a plain file with something in it; opens nothing.

    Raises:
      FileNotFoundError: If there is none, with a guess at which was meant.
      ValueError: If it is a folder, a device, a pipe (which would hang), or empty.
    """
    name = repr(os.fspath(path))
    if not os.path.exists(path):
        raise FileNotFoundError(f"no image file {name}{_instead_of(path)}")
    if os.path.isdir(path):
        raise ValueError(f"{name} is a folder, not an image file; name a file in it")
    if not os.path.isfile(path):
        raise ValueError(f"{name} is a pipe or a device, not an image file")
    if os.path.getsize(path) == 0:
        raise ValueError(f"image file {name} is empty")


def _instead_of(path: StrPath) -> str:
    """Say what to do about a name that is none, for the end of a message."""
    text = os.fspath(path)
    if re.match(r"\w+://", text):
        return ": download it first, only files are read"
    if os.path.islink(path):
        return ": it is a link to nothing"
    folder, name = os.path.split(text)
    try:
        with os.scandir(folder or ".") as entries:
            names = [entry.name for entry in itertools.islice(entries, MOST_NAMES)]
    except (OSError, ValueError):
        return ""
    found = nearest(name, names) if len(name) < 256 else ""
    return "." + did_you_mean(os.path.join(folder, found)) if found else ""


@contextmanager
def open_image(path: StrPath, formats: tuple[str, ...]) -> Iterator[Image.Image]:
    """Open a file with Pillow and turn whatever it raises into one clear line."""
    name = repr(os.fspath(path))
    check_there(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=formats) as image:
                yield image
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        limit = Image.MAX_IMAGE_PIXELS
        message = f"image file {name} has more than {limit} pixels; make it smaller"
        raise ValueError(message) from error
    except Image.UnidentifiedImageError as error:
        message = f"{name} is not an image of a known format ({', '.join(formats)})"
        raise ValueError(message) from error
    except PermissionError as error:
        message = f"image file {name} may not be read; change its permissions"
        raise ValueError(message) from error
    except MeaninglessError as error:
        raise ValueError(f"image file {name} cannot be used: {error}") from error
    except Exception as error:  # decoders raise nearly anything on damaged files
        reason = " ".join(ascii(str(error))[1:-1].split()) or type(error).__name__
        message = f"image file {name} cannot be read, it may be damaged: {reason}"
        raise ValueError(message) from error
