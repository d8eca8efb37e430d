"""Pictures to test with, and an ICC profile made by hand."""

import struct

import numpy as np
import pytest
from PIL import Image

from jnst.image import (
    load_image,
)

LEVEL = 1 / 255
EXACT = {"rtol": 0, "atol": 1e-6}  # float32 of a fraction of 255 or 65535


def noise(height=5, width=7, channels=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, channels), np.uint8)


def image_array(height=6, width=8, seed=0):
    return np.random.default_rng(seed).random((height, width, 3), np.float32)


def saved(path, pixels, mode=None, **options):
    image = Image.fromarray(pixels)
    (image if mode is None else image.convert(mode)).save(path, **options)
    return path


def failure(path, error=ValueError, load=load_image):
    """The one-line message that loading a file fails with."""
    with pytest.raises(error) as info:
        load(path)
    message = str(info.value)
    assert message.isprintable()
    return message


# Columns are the XYZ of red, green and blue, adapted to D50 (B. Lindbloom's tables).
SRGB_D50 = np.array(
    [
        [0.4360747, 0.3850649, 0.1430804],
        [0.2225045, 0.7168786, 0.0606169],
        [0.0139322, 0.0971045, 0.7141733],
    ]
)
ADOBE_D50 = np.array(
    [
        [0.6097559, 0.2052401, 0.1492240],
        [0.3111242, 0.6256560, 0.0632197],
        [0.0194811, 0.0608902, 0.7448387],
    ]
)


D50 = (0.9642, 1.0, 0.8249)


def icc_profile(gamma, primaries=None):
    """The bytes of an ICC 2 profile: of a gamma and primaries, or of a grey gamma."""

    def xyz(values):
        numbers = (round(float(v) * 65536) for v in values)
        return b"XYZ \0\0\0\0" + struct.pack(">3i", *numbers)

    def text(kind, body):
        return kind + b"\0\0\0\0" + body

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    name = struct.pack(">I", 5) + b"test\0" + bytes(4 + 4 + 2 + 1 + 67)
    tags = {
        b"desc": text(b"desc", name),
        b"cprt": text(b"text", b"none\0"),
        b"wtpt": xyz(D50),
    }
    if primaries is None:
        tags |= {b"kTRC": curve}
    else:
        tags |= {b"rTRC": curve, b"gTRC": curve, b"bTRC": curve}
        columns = zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries.T, strict=True)
        tags |= {tag: xyz(column) for tag, column in columns}
    table, data = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for tag, body in tags.items():
        table += tag + struct.pack(">II", start + len(data), len(body))
        data += body + bytes(-len(body) % 4)
    space = b"GRAY" if primaries is None else b"RGB "
    header = struct.pack(">I4sI4s4s4s", start + len(data), bytes(4), 2 << 24, b"mntr",
                         space, b"XYZ ")  # fmt: skip
    header += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    header += struct.pack(">3i", 63190, 65536, 54061)  # D50
    return header.ljust(128, b"\0") + table + data


def srgb_curve(linear):
    """IEC 61966-2-1, from linear light to the stored value."""
    linear = np.clip(linear, 0, 1)
    return np.where(
        linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055
    )


def to_srgb(pixels, gamma, primaries):
    linear = np.asarray(pixels, float) ** gamma
    return srgb_curve(linear @ (np.linalg.inv(SRGB_D50) @ primaries).T)
