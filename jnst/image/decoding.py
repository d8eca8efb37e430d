"""Pixels of image files as float arrays, whatever Pillow calls the mode."""

import io
from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageCms

from jnst.files import StrPath
from jnst.image.opening import FORMATS, MeaninglessError, open_image

Pixels = Float[np.ndarray, "_ _ 3"]
SAMPLE_FORMAT = 339
"""TIFF's tag that says whether numbers are unsigned (1), signed (2) or floats (3)."""
BAND_PIXELS = 2**20
"""Pixels that are decoded at a time."""

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


def levels_of(path: StrPath) -> np.ndarray:
    """Return a file's colours as they are stored, 8 bits each, for comparing files.

    Args:
      path: An image file, see `load_image`.

    Returns:
      [height, width, 3], whatever is transparent.

    Raises:
      FileNotFoundError: If there is no such file.
      ValueError: As `load_image` raises it.
    """
    with open_image(path, FORMATS) as image:
        return np.asarray(image.convert("RGB"))


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
    """Pixels of any mode as RGB in [0, 1], float32, not turned yet; band by band.

    A file of 10 kB may hold 89 million pixels, which are 6 GiB in float64.
    """
    deep = image.mode.startswith("I;16") or image.mode in FULL_SCALE
    decoded = _deep_grey_decoder(image) if deep else _decode_band
    width, height = image.size
    rows = max(1, BAND_PIXELS // max(1, width))
    found, seen = np.empty((height, width, 3), np.float32), False
    for top in range(0, height, rows):
        box = 0, top, width, min(top + rows, height)
        band = image if rows >= height else image.crop(box)
        found[top : top + rows], shows = decoded(band)
        seen |= shows
    if not seen:
        raise MeaninglessError(
            "it is transparent everywhere, so there is nothing to see; save it without "
            "its alpha channel"
        )
    return found


def _decode_band(image: Image.Image) -> tuple[np.ndarray, bool]:
    """Pixels of 8 bits as RGB in [0, 1], float64; and whether any of them shows."""
    profile = image.info.get("icc_profile")
    if image.mode == "La":  # alpha multiplied in, of TIFF; Pillow undoes it for RGB
        image = image.convert("LA")
    if not image.has_transparency_data:
        return _to_srgb(image, profile), True
    if image.mode != "LA":
        image = image.convert("RGBA")
    alpha = np.asarray(image.getchannel("A"))[..., None] / 255.0
    colour = image.convert(image.mode[:-1])
    return _to_srgb(colour, profile) * alpha + (1.0 - alpha), bool(alpha.any())


def _deep_grey_decoder(
    image: Image.Image,
) -> Callable[[Image.Image], tuple[np.ndarray, bool]]:
    """Return what decodes bands of a grey image of more than 8 bits.

    A profile is read off at 256 levels, with straight lines between.
    """
    unsigned = image.mode == "I" and _is_unsigned(image)
    whole = _deep(image, unsigned)
    if not np.isfinite(whole).all():
        raise MeaninglessError("it has values that are not finite")
    scales, top = FULL_SCALE.get(image.mode, (65535.0,)), float(whole.max())
    scale = next((s for s in scales if top <= s), None)
    if scale is None:
        raise MeaninglessError(
            f"its largest value, {top:g}, is above {scales[-1]:g}; scale it to [0, 1]"
        )
    levels = np.arange(256, dtype=np.uint8)[None]
    curves = _to_srgb(Image.fromarray(levels), image.info.get("icc_profile"))[0]

    def decoded(band: Image.Image) -> tuple[np.ndarray, bool]:
        grey = np.clip(_deep(band, unsigned).astype(np.float64) / scale, 0.0, 1.0)
        return np.stack(
            [np.interp(grey, levels[0] / 255.0, c) for c in curves.T], -1
        ), True

    return decoded


def _deep(image: Image.Image, unsigned: bool) -> np.ndarray:
    """Values as they are stored; Pillow takes integers without a sign for signed."""
    grey = np.asarray(image)
    return grey.view(np.uint32) if unsigned else grey


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
