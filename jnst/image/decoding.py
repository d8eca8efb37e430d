"""Image files to float arrays, whatever Pillow calls the mode.

Files are hostile: only the formats in `FORMATS` are opened, whatever the ending, and
all that can be wrong with one becomes one line of `ValueError`. To read another
format, add Pillow's name of it to `FORMATS` and a file of it to the tests.
"""

import io
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageCms

from jnst.files import StrPath

Pixels = Float[np.ndarray, "_ _ 3"]

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
    "I": (65535.0, 2.0**31 - 1),
    "F": (1.0, 255.0, 65535.0),
}


def load_image(path: StrPath) -> Pixels:
    """Load an image file, upright, in sRGB, on white where it is transparent.

    Of an animation the first frame is taken. Grey of 16 bits keeps its precision;
    colour of 16 bits comes as 8, which is all that Pillow reads. Integers of 32 bits
    are taken as 16-bit values if all fit, and floats as they are if none is above 1
    (else white is 255 or 65535). A broken colour profile counts as none.

    Args:
      path: A PNG, JPEG, WebP, TIFF, BMP or GIF file.

    Returns:
      RGB, float32, [height, width, 3], in [0, 1].

    Raises:
      FileNotFoundError: If there is no such file.
      ValueError: If it is no image of these formats, damaged, or too large.
    """
    with open_image(path, FORMATS) as image:
        return decode(image)


def is_pillow(image: object) -> bool:
    """Tell whether something is a `PIL.Image.Image`."""
    return isinstance(image, Image.Image)


def decode(image: Image.Image) -> Pixels:
    """Turn an image of Pillow's into an array, as `load_image` does a file."""
    image.load()
    turn = ORIENTATIONS.get(_orientation(image), ORIENTATIONS[1])
    return np.ascontiguousarray(turn(_decode(image)), np.float32)


@contextmanager
def open_image(path: StrPath, formats: tuple[str, ...]) -> Iterator[Image.Image]:
    """Open a file with Pillow and turn whatever it raises into one clear line."""
    name = repr(os.fspath(path))
    if not os.path.exists(path):
        raise FileNotFoundError(f"no image file {name}")
    if not os.path.isfile(path):
        raise ValueError(f"{name} is a folder or a device, not an image file")
    if os.path.getsize(path) == 0:
        raise ValueError(f"image file {name} is empty")
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
        raise ValueError(f"image file {name} may not be read") from error
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
    colour = image.convert(image.mode[:-1])
    return _to_srgb(colour, profile) * alpha + (1.0 - alpha)


def _decode_deep_grey(image: Image.Image) -> np.ndarray:
    """Grey of more than 8 bits; a profile is read off at 256 levels between."""
    grey = np.asarray(image).astype(np.float64)
    if not np.isfinite(grey).all():
        raise ValueError("it has values that are not finite")
    scales = FULL_SCALE.get(image.mode, (65535.0,))
    scale = next((s for s in scales if grey.max() <= s), None)
    if scale is None:
        raise ValueError(f"its largest value, {grey.max():g}, is above {scales[-1]:g}")
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
