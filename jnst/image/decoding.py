"""Image files to float arrays, whatever Pillow calls the mode.

Files are hostile: only the formats in `FORMATS` are opened, whatever the ending, and
all that can be wrong with one becomes one line of `ValueError`. To read another
format, add Pillow's name of it to `FORMATS` and a file of it to the tests.
"""

import io
import itertools
import os
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageCms

from jnst.files import StrPath
from jnst.guesses import did_you_mean, nearest

Pixels = Float[np.ndarray, "_ _ 3"]
SAMPLE_FORMAT = 339
"""TIFF's tag that says whether numbers are unsigned (1), signed (2) or floats (3)."""
MOST_NAMES = 10_000
"""Names of a folder that a guess looks through."""

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF")
ORIENTATIONS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    # The value of EXIF tag 274, and what makes the stored pixels upright.
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: x.swapaxes(0, 1)[:, ::-1],
    7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
    8: lambda x: x.swapaxes(0, 1)[::-1],
}
FULL_SCALE = {
    # By Pillow's mode, what may stand for white; the first that holds the maximum does.
    "I": (255.0, 65535.0, 2.0**31 - 1, 2.0**32 - 1),
    "F": (1.0, 255.0, 65535.0),
}


def load_image(path: StrPath) -> Pixels:
    """Load an image file, upright, in sRGB, on white where it is transparent.

    Of an animation the first frame is taken. Grey of 16 bits keeps its precision;
    colour of 16 bits comes as 8, which is all that Pillow reads. Integers of 32 bits
    are taken as 8-bit values if all fit, else as 16-bit, 31-bit or 32-bit ones, and
    floats as they are if none is above 1 (else white is 255 or 65535). CMYK goes by its
    profile. A broken colour profile counts as none.

    Args:
      path: A PNG, JPEG, WebP, TIFF, BMP or GIF file.

    Returns:
      RGB, float32, [height, width, 3], in [0, 1].

    Raises:
      FileNotFoundError: If there is no such file.
      ValueError: If it is no image of these formats, damaged, too large, or
        transparent everywhere.
    """
    with open_image(path, FORMATS) as image:
        return decode(image)


def is_pillow(image: object) -> bool:
    """Tell whether something is a `PIL.Image.Image`."""
    return isinstance(image, Image.Image)


def decode(image: Image.Image) -> Pixels:
    """Turn an image of Pillow's into an array, as `load_image` does a file.

    Raises:
      ValueError: If its values mean no picture.
    """
    image.load()
    return np.ascontiguousarray(upright(image, _decode(image)), np.float32)


def upright(image: Image.Image, pixels: np.ndarray) -> np.ndarray:
    """Turn an image's pixels as its EXIF says."""
    return ORIENTATIONS.get(_orientation(image), ORIENTATIONS[1])(pixels)


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


def _orientation(image: Image.Image) -> int:
    """Return EXIF's orientation; 1 (upright) if there is none or EXIF is broken."""
    try:
        return int(image.getexif().get(274, 1))
    except Exception:
        return 1


def _is_unsigned(image: Image.Image) -> bool:
    """Whether a TIFF says that its integers have no sign, which is the usual."""
    return dict(getattr(image, "tag_v2", {})).get(SAMPLE_FORMAT, (1,)) in (1, (1,))


def _decode(image: Image.Image) -> np.ndarray:
    """Pixels of any mode as RGB in [0, 1], float64, not turned yet."""
    if image.mode.startswith("I;16") or image.mode in FULL_SCALE:
        return _decode_deep_grey(image)
    profile = image.info.get("icc_profile")
    if image.mode == "La":  # alpha multiplied in, of TIFF; Pillow undoes it for RGB
        image = image.convert("LA")
    if not image.has_transparency_data:
        return _to_srgb(image, profile)
    if image.mode != "LA":
        image = image.convert("RGBA")
    alpha = np.asarray(image.getchannel("A"))[..., None] / 255.0
    if not alpha.any():
        raise MeaninglessError(
            "it is transparent everywhere, so there is nothing to see; save it without "
            "its alpha channel"
        )
    colour = image.convert(image.mode[:-1])
    return _to_srgb(colour, profile) * alpha + (1.0 - alpha)


def _decode_deep_grey(image: Image.Image) -> np.ndarray:
    """Grey of more than 8 bits; a profile is read off at 256 levels between."""
    grey = np.asarray(image)
    if image.mode == "I" and _is_unsigned(image):
        grey = grey.view(np.uint32)  # Pillow takes them for signed
    grey = grey.astype(np.float64)
    if not np.isfinite(grey).all():
        raise MeaninglessError("it has values that are not finite")
    scales = FULL_SCALE.get(image.mode, (65535.0,))
    scale = next((s for s in scales if grey.max() <= s), None)
    if scale is None:
        raise MeaninglessError(
            f"its largest value, {grey.max():g}, is above {scales[-1]:g}"
        )
    grey = np.clip(grey / scale, 0.0, 1.0)
    levels = np.arange(256, dtype=np.uint8)[None]
    curves = _to_srgb(Image.fromarray(levels), image.info.get("icc_profile"))[0]
    return np.stack([np.interp(grey, levels[0] / 255.0, c) for c in curves.T], -1)


def _to_srgb(image: Image.Image, profile: bytes | None) -> np.ndarray:
    """Opaque pixels of 8 bits as sRGB; by the profile if there is one that works."""
    if image.mode not in ("L", "RGB", "CMYK", "LAB"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    if profile is None and image.mode == "LAB":
        lab = ImageCms.createProfile("LAB")
        profile = ImageCms.ImageCmsProfile(lab).tobytes()
    if profile is not None:
        image = _apply_profile(image, profile)
    return np.asarray(image.convert("RGB")) / 255.0


def _apply_profile(image: Image.Image, profile: bytes) -> Image.Image:
    """Convert from an embedded ICC profile to sRGB; unchanged if it is broken."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if profile[16:20] == b"RGB " and image.mode == "L":  # of many grey pictures
            image = image.convert("RGB")
        target = ImageCms.createProfile("sRGB")
        # LittleCMS' shortcuts are 10 levels off near black, but for RGB only 1.
        flags = ImageCms.Flags(0 if image.mode == "RGB" else ImageCms.Flags.NOOPTIMIZE)
        converted = ImageCms.profileToProfile(
            image, source, target, outputMode="RGB", flags=flags
        )
    except Exception:  # too short, of another kind of colour, ...: PyCMSError, OSError
        return image
    return converted or image
