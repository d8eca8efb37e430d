"""Image files that are missing, damaged, too large or oddly named."""

import os
import shutil
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from pictures import EXACT, failure, icc_profile, image_array, noise, saved
from PIL import Image

from jnst.image import decoding, is_image_array, load_image, read_metadata, save_image


def test_a_missing_file_is_a_file_not_found(tmp_path):
    assert "no image file" in failure(tmp_path / "a.png", FileNotFoundError)
    assert "no image file" in failure(tmp_path / "nul\0.png", FileNotFoundError)
    assert "no image file" in failure(tmp_path / ("x" * 300), FileNotFoundError)
    assert r"\x1b[31m" in failure(tmp_path / "\x1b[31m.png", FileNotFoundError)


def test_a_folder_and_a_device_are_refused(tmp_path):
    assert "is a folder" in failure(tmp_path)
    os.mkfifo(tmp_path / "pipe.png")
    assert "a pipe or a device" in failure(tmp_path / "pipe.png")


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "a.png").touch()
    assert "is empty" in failure(tmp_path / "a.png")


@pytest.mark.parametrize(
    "data", [b"hello", b"\x89PNG\r\n\x1a\n", b"%!PS-Adobe\n", b"\0"]
)
def test_what_is_no_image_is_refused(tmp_path, data):
    (tmp_path / "a.png").write_bytes(data)
    message = failure(tmp_path / "a.png")
    assert "PNG, JPEG, WEBP, TIFF, BMP, GIF" in message or "damaged" in message


@pytest.mark.parametrize("suffix", ["ppm", "tga", "ico", "pdf", "eps"])
def test_other_formats_are_refused_even_when_renamed(tmp_path, suffix):
    path = saved(tmp_path / f"a.{suffix}", noise(16, 16))
    assert "not an image of a known format" in failure(path)
    shutil.copy(path, tmp_path / "a.png")
    assert "not an image of a known format" in failure(tmp_path / "a.png")


def test_the_content_decides_and_not_the_ending(tmp_path):
    pixels = noise()
    saved(tmp_path / "a.jpg", pixels, format="PNG")
    np.testing.assert_allclose(load_image(tmp_path / "a.jpg"), pixels / 255, **EXACT)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "bmp", "gif"])
@pytest.mark.parametrize("part", [0.02, 0.3, 0.7])
def test_a_truncated_file_is_refused(tmp_path, suffix, part):
    path = saved(tmp_path / f"a.{suffix}", noise(64, 64))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    message = failure(path)
    assert "damaged" in message or "not an image" in message


def test_random_damage_gives_an_image_or_one_line(tmp_path):
    rng = np.random.default_rng(0)
    for suffix in ("jpg", "png", "webp", "tif", "bmp", "gif"):
        path = saved(
            tmp_path / f"a.{suffix}", noise(24, 24), icc_profile=icc_profile(1)
        )
        good = np.frombuffer(path.read_bytes(), np.uint8)
        for _ in range(30):
            bad = good.copy()
            at = rng.integers(0, min(len(bad), 400), 6)
            bad[at] = rng.integers(0, 256, len(at))
            path.write_bytes(bad.tobytes())
            try:
                image = load_image(path)
            except ValueError as error:
                assert str(error).isprintable()
            else:
                assert is_image_array(image) and 0 <= image.min() <= image.max() <= 1


def test_a_decompression_bomb_is_refused(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.png", np.zeros((40, 40, 3), np.uint8))
    for limit in (1599, 400):  # Pillow warns above the limit, raises above its double
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        assert f"more than {limit} pixels" in failure(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1600)
    assert load_image(path).shape == (40, 40, 3)


def test_a_huge_declared_size_is_refused_without_memory(tmp_path):
    path = saved(tmp_path / "a.png", noise())
    data = bytearray(path.read_bytes())
    data[16:24] = struct.pack(">II", 100_000, 100_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    path.write_bytes(bytes(data))
    assert "pixels" in failure(path)


@pytest.mark.parametrize(
    "name", ["naïve 画.png", "-o.png", "a b'c\".png", "new\nline.png", "\x1b[31m.png"]
)
def test_odd_file_names_work_and_cannot_reach_the_terminal(tmp_path, name):
    save_image(tmp_path / name, image_array())
    assert load_image(tmp_path / name).shape == (6, 8, 3)
    (tmp_path / name).write_bytes(b"hello")
    failure(tmp_path / name)


def test_a_name_that_is_not_utf8_works(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.png"))
    save_image(path, image_array(), metadata={"name": str(path)})
    assert load_image(path).shape == (6, 8, 3)
    assert read_metadata(path) == {"name": str(path)}


@pytest.mark.parametrize("mode", ["RGB", "L", "LA", "RGBA", "P", "1", "CMYK", "F", "I"])
def test_bands_of_few_rows_make_the_same_picture(tmp_path, monkeypatch, mode):
    image = Image.fromarray(noise(9, 7, 4)).convert(mode)
    options = {"format": "PNG", "transparency": 3} if mode == "P" else {}
    image.save(tmp_path / "a.tif", **options)
    whole = load_image(tmp_path / "a.tif")
    monkeypatch.setattr(decoding, "BAND_PIXELS", 2 * 7)
    np.testing.assert_array_equal(load_image(tmp_path / "a.tif"), whole)
    assert whole.std() > 0.05


def test_a_small_file_of_many_pixels_takes_the_memory_of_its_pixels(tmp_path):
    rows = cols = 3000
    path = saved(tmp_path / "a.png", np.zeros((rows, cols), np.uint8), "P")
    Image.open(path).save(path, transparency=1)
    assert path.stat().st_size < 20_000
    tracemalloc.start()
    load_image(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.7 * rows * cols * 3 * 4
