"""Reading every format, mode and kind of transparency."""

import struct

import numpy as np
import PIL
import pytest
from pictures import EXACT, LEVEL, failure, noise, saved
from PIL import Image

from jnst.image import load_image


@pytest.mark.parametrize("suffix", ["png", "webp", "tif", "bmp"])
def test_lossless_formats_load_exactly(tmp_path, suffix):
    pixels = noise()
    path = saved(tmp_path / f"a.{suffix}", pixels, **{"lossless": True})
    image = load_image(path)
    assert image.dtype == np.float32 and image.flags["C_CONTIGUOUS"]
    np.testing.assert_allclose(image, pixels / 255, **EXACT)
    np.testing.assert_allclose(load_image(str(path)), pixels / 255, **EXACT)


def test_jpeg_loads_within_its_loss(tmp_path):
    path = saved(tmp_path / "a.jpg", np.full((16, 16, 3), (200, 50, 90), np.uint8))
    expected = np.broadcast_to(np.array((200, 50, 90)) / 255, (16, 16, 3))
    np.testing.assert_allclose(load_image(path), expected, rtol=0, atol=3 * LEVEL)


def test_the_first_frame_of_an_animation_is_taken(tmp_path):
    frames = [Image.new("RGB", (4, 3), colour) for colour in ("red", "lime", "blue")]
    for suffix in ("gif", "png", "webp", "tif"):
        path = tmp_path / f"a.{suffix}"
        frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)
        expected = np.broadcast_to([1.0, 0.0, 0.0], (3, 4, 3))
        np.testing.assert_allclose(load_image(path), expected, **EXACT)


@pytest.mark.parametrize("mode", ["1", "L"])
def test_grey_becomes_three_equal_channels(tmp_path, mode):
    grey = noise(channels=1)[..., 0]
    grey = grey if mode == "L" else (grey > 127).astype(np.uint8) * 255
    path = saved(tmp_path / "a.png", grey, mode)
    expected = np.repeat(grey[..., None] / 255, 3, -1)
    np.testing.assert_allclose(load_image(path), expected, **EXACT)


def test_a_palette_is_looked_up(tmp_path):
    image = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8), "P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    image.save(tmp_path / "a.png")
    colours = np.array([[10, 20, 30], [40, 50, 60], [70, 80, 90]]) / 255
    expected = colours[[[0, 1], [2, 1]]]
    np.testing.assert_allclose(load_image(tmp_path / "a.png"), expected, **EXACT)


@pytest.mark.parametrize("suffix", ["tif", "jpg"])
def test_cmyk_is_ink_on_white(tmp_path, suffix):
    ink = np.zeros((16, 64, 4), np.uint8)
    ink[:, :16, 0] = ink[:, 16:32, 1] = ink[:, 32:48, 3] = 255  # cyan, magenta, black
    Image.fromarray(ink, "CMYK").save(tmp_path / f"a.{suffix}")
    image = load_image(tmp_path / f"a.{suffix}")[8, [8, 24, 40, 56]]
    expected = [[0, 1, 1], [1, 0, 1], [0, 0, 0], [1, 1, 1]]
    np.testing.assert_allclose(image, expected, rtol=0, atol=4 * LEVEL)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bit_grey_keeps_its_precision(tmp_path, suffix):
    grey = np.array([[0, 1, 255], [256, 32769, 65535]], np.uint16)
    path = saved(tmp_path / f"a.{suffix}", grey)
    expected = np.repeat(grey[..., None] / 65535, 3, -1)
    np.testing.assert_allclose(load_image(path), expected, rtol=1e-6, atol=1e-7)


def test_big_endian_sixteen_bit_grey_is_read(tmp_path):
    grey = np.array([[0, 1, 255], [256, 32769, 65535]], np.uint16)
    size, data = grey.shape[::-1], grey.astype(">u2").tobytes()
    Image.frombytes("I;16B", size, data).save(tmp_path / "a.tif")
    expected = np.repeat(grey[..., None] / 65535, 3, -1)
    image = load_image(tmp_path / "a.tif")
    np.testing.assert_allclose(image, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("values", "white"),
    [
        (np.array([[0, 7, 65535]], np.int32), 65535),
        (np.array([[-5, 7, 2**31 - 1]], np.int32), 2**31 - 1),
        (np.array([[-0.5, 0.25, 1.0]], np.float32), 1),
        (np.array([[0.0, 0.25, 200.0]], np.float32), 255),
        (np.array([[0.0, 0.25, 300.0]], np.float32), 65535),
    ],
    ids=["16 bits in 32", "32 bits", "float", "float to 255", "float to 65535"],
)
def test_deep_tiffs_are_scaled_by_the_white_that_fits(tmp_path, values, white):
    path = saved(tmp_path / "a.tif", values)
    expected = np.clip(np.repeat(values[..., None] / white, 3, -1), 0, 1)
    np.testing.assert_allclose(load_image(path), expected, **EXACT)


@pytest.mark.parametrize(
    ("value", "expected"), [(np.nan, "not finite"), (7e4, "above 65535")]
)
def test_float_tiffs_without_a_meaning_are_refused(tmp_path, value, expected):
    path = saved(tmp_path / "a.tif", np.array([[0.0, value]], np.float32))
    assert expected in failure(path)


def test_alpha_is_flattened_on_white(tmp_path):
    pixels = noise(channels=4)
    alpha = pixels[..., 3:] / 255
    expected = pixels[..., :3] / 255 * alpha + 1 - alpha
    image = load_image(saved(tmp_path / "a.png", pixels))
    np.testing.assert_allclose(image, expected, **EXACT)


def test_grey_with_alpha_is_flattened_on_white(tmp_path):
    pixels = noise(channels=2)
    grey, alpha = pixels[..., :1] / 255, pixels[..., 1:] / 255
    expected = np.repeat(grey * alpha + 1 - alpha, 3, -1)
    image = load_image(saved(tmp_path / "a.png", pixels))
    np.testing.assert_allclose(image, expected, **EXACT)


def test_a_palette_with_transparency_is_flattened_on_white(tmp_path):
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
    image.putpalette([255, 0, 0, 0, 0, 255, 0, 255, 0])
    image.save(tmp_path / "a.png", transparency=bytes([0, 51, 255]))
    expected = [[[1, 1, 1], [0.8, 0.8, 1], [0, 1, 0]]]  # 51/255 is a fifth
    np.testing.assert_allclose(load_image(tmp_path / "a.png"), expected, **EXACT)


def test_a_transparent_gif_is_flattened_on_white(tmp_path):
    image = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.save(tmp_path / "a.gif", transparency=1)
    expected = [[[1, 0, 0], [1, 1, 1]]]
    np.testing.assert_allclose(load_image(tmp_path / "a.gif"), expected, **EXACT)


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_transparent_colour_is_flattened_on_white(tmp_path, mode):
    colour = (10, 20, 30) if mode == "RGB" else 10
    image = Image.new(mode, (2, 1), colour)
    image.putpixel((1, 0), (99, 99, 99) if mode == "RGB" else 99)
    image.save(tmp_path / "a.png", transparency=colour)
    expected = [[[1, 1, 1], [99 / 255] * 3]]
    np.testing.assert_allclose(load_image(tmp_path / "a.png"), expected, **EXACT)


# Pillow before 13 does not know premultiplied grey, and says so as a bad file.
GREY = pytest.param(
    2,
    marks=pytest.mark.skipif(PIL.__version__ < "13", reason="Pillow >= 13"),
    id="grey",
)


@pytest.mark.parametrize("channels", [GREY, pytest.param(4, id="colour")])
def test_premultiplied_alpha_is_undone_first(tmp_path, channels):
    pixels = np.array([[[100, 50, 0, 127]]], np.uint8)[..., -channels:]
    pixels[..., 0] = 100
    path = saved(tmp_path / "a.tif", pixels)
    tag = struct.pack("<HHIH", 338, 3, 1, 2)  # ExtraSamples: 2 is plain alpha, 1 not
    assert tag in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(tag, tag[:-2] + b"\1\0"))
    expected = pixels[..., :-1] / 255 + 128 / 255
    expected = np.broadcast_to(expected, (1, 1, 3))
    image = load_image(path)
    np.testing.assert_allclose(image, expected, rtol=0, atol=1.5 * LEVEL)
