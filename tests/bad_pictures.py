"""Files that are no pictures, or none that a run could use: makers by name."""

import os
import struct
import zlib

import numpy as np
from PIL import Image

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (48, 48, 3), np.uint8)


def _bytes(data):
    return lambda path: path.write_bytes(data)


def _array(pixels, kind="PNG"):
    return lambda path: Image.fromarray(pixels).save(path, format=kind)


def _cut(kind, part):
    def make(path):
        _array(NOISE, kind)(path)
        path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])

    return make


def _link(target):
    return lambda path: path.symlink_to(target or path.name)


def chunk(name, data):
    """A chunk of a PNG."""
    body = name + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png(height, width, *, bits=8, colour=2, data=None, more=b""):
    """A PNG that says it is of a size; its pixels are zeros unless given."""
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    rows = zlib.compress(bytes(4096)) if data is None else data
    parts = chunk(b"IHDR", head) + more + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def _patched(kind, at, form, *values):
    """A picture of another size than its header says."""

    def make(path):
        _array(NOISE, kind)(path)
        data = bytearray(path.read_bytes())
        struct.pack_into(form, data, at, *values)
        path.write_bytes(data)

    return make


def _tiff_of(height, width):
    def make(path):
        _array(NOISE, "TIFF")(path)
        data = path.read_bytes()
        for tag, size in ((256, width), (257, height)):
            for kind, form in ((3, "<HHIHxx"), (4, "<HHII")):
                old = struct.pack(form, tag, kind, 1, 48)
                data = data.replace(old, struct.pack("<HHII", tag, 4, 1, size))
        path.write_bytes(data)

    return make


CLEAR = np.concatenate([NOISE, np.zeros((48, 48, 1), np.uint8)], -1)


def _clear_palette(path):
    image = Image.fromarray(np.zeros((20, 20), np.uint8), "P")
    image.putpalette([255, 0, 0])
    image.save(path, format="PNG", transparency=0)


def _bad_profile_and_cut(path):
    Image.fromarray(NOISE).save(path, format="JPEG", icc_profile=b"x" * 60000)
    path.write_bytes(path.read_bytes()[:30000])


FLOATS = np.linspace(0, 1, 48 * 48, dtype=np.float32).reshape(48, 48)


def _floats(value):
    pixels = FLOATS.copy()
    pixels[3, 4] = value
    return _array(pixels, "TIFF")


FILES = {
    # Name: (what makes the file, words of the line).
    "missing": (lambda path: None, ("no image file",)),
    "empty": (_bytes(b""), ("is empty",)),
    "text": (_bytes(b"hello\n"), ("not an image", "PNG, JPEG")),
    "a page of a site": (_bytes(b"<!DOCTYPE html><html>" * 40), ("not an image",)),
    "vectors": (_bytes(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), ("PNG, JPEG",)),
    "PDF": (_bytes(b"%PDF-1.7\n1 0 obj\n"), ("not an image",)),
    "PostScript": (_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"), ()),
    "a zip file": (_bytes(b"PK\x03\x04" + bytes(60)), ("not an image",)),
    "a pickle": (_bytes(b"\x80\x04cposix\nsystem\n."), ("not an image",)),
    "zeros": (_bytes(bytes(5000)), ("not an image",)),
    "PNG's signature alone": (_bytes(b"\x89PNG\r\n\x1a\n"), ()),
    "JPEG's signature alone": (_bytes(b"\xff\xd8\xff\xe0"), ()),
    "TIFF's header alone": (_bytes(b"II*\0\x08\0\0\0"), ()),
    "TIFF of folders in a ring": (
        _bytes(b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHIII", 256, 4, 1, 9, 8)),
        (),
    ),
    "PNG cut short": (_cut("PNG", 0.6), ("damaged",)),
    "JPEG cut short": (_cut("JPEG", 0.6), ("damaged",)),
    "WebP cut short": (_cut("WEBP", 0.6), ()),
    "TIFF cut short": (_cut("TIFF", 0.6), ("damaged",)),
    "BMP cut short": (_cut("BMP", 0.6), ("damaged",)),
    "GIF cut short": (_cut("GIF", 0.6), ("damaged",)),
    "JPEG cut in its profile": (_bad_profile_and_cut, ()),
    "PNG of few rows": (_bytes(png(64, 64)), ("damaged",)),
    "PNG of no pixels": (_bytes(png(0, 64)), ()),
    "PNG of 3 bits": (_bytes(png(64, 64, bits=3)), ()),
    "PNG of damaged rows": (_bytes(png(64, 64, data=b"no zlib at all")), ("damaged",)),
    "PNG of 10^10 pixels": (_bytes(png(10**5, 10**5)), ("pixels",)),
    "PNG of 10^18 pixels": (_bytes(png(2**31 - 1, 2**31 - 1)), ("pixels",)),
    "GIF of 4 * 10^9 pixels": (_patched("GIF", 6, "<HH", 65535, 65535), ("pixels",)),
    "BMP of 10^10 pixels": (_patched("BMP", 18, "<ii", 10**5, 10**5), ("pixels",)),
    "TIFF of 10^10 pixels": (_tiff_of(10**5, 10**5), ("pixels",)),
    "zlib bomb": (
        _bytes(
            png(64, 64, more=chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(10**8))))
        ),
        (),
    ),
    "1 x 1": (_array(NOISE[:1, :1]), ("1x1", "at least 2")),
    "1 x 1 GIF": (_array(NOISE[:1, :1], "GIF"), ("1x1", "at least 2")),
    "1 x 48": (_array(NOISE[:1]), ("1x48", "at least 2")),
    "zero alpha": (_array(CLEAR), ("transparent",)),
    "grey of zero alpha": (_array(CLEAR[..., 2:]), ("transparent",)),
    "palette of zero alpha": (_clear_palette, ("transparent",)),
    "WebP of zero alpha": (_array(CLEAR, "WEBP"), ("transparent",)),
    "float TIFF of NaN": (_floats(np.nan), ("not finite",)),
    "float TIFF of infinity": (_floats(np.inf), ("not finite",)),
    "float TIFF above 65535": (_floats(1e30), ("65535",)),
    "a folder": (lambda path: path.mkdir(), ("folder",)),
    "a pipe": (lambda path: os.mkfifo(path), ("pipe",)),
    "a device": (_link("/dev/zero"), ("device",)),
    "a full device": (_link("/dev/full"), ("device",)),
    "a link to nothing": (_link("nowhere"), ("no image file",)),
    "a link to itself": (_link(""), ("no image file",)),
}
