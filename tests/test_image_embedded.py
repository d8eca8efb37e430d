"""Orientation and colour profiles embedded in image files."""

import numpy as np
import pytest
from pictures import (
    ADOBE_D50,
    D50,
    EXACT,
    LEVEL,
    SRGB_D50,
    icc_profile,
    noise,
    saved,
    srgb_curve,
    to_srgb,
)
from PIL import Image, ImageCms

from jnst.image import load_image

# Where the first row and the first column of the stored pixels are, as EXIF says it:
# (first row's side, first column's side). From the EXIF standard's table of tag 274.
ORIENTATIONS = {
    1: ("top", "left"),
    2: ("top", "right"),
    3: ("bottom", "right"),
    4: ("bottom", "left"),
    5: ("left", "top"),
    6: ("right", "top"),
    7: ("right", "bottom"),
    8: ("left", "bottom"),
}


def upright(pixels, row_side, column_side):
    """Put each stored pixel where the standard says, one by one."""
    rows, columns = pixels.shape[:2]
    sideways = row_side in ("left", "right")
    out = np.zeros((columns, rows, 3) if sideways else (rows, columns, 3))
    for i in range(rows):
        for j in range(columns):
            a = i if row_side in ("top", "left") else rows - 1 - i
            b = j if column_side in ("top", "left") else columns - 1 - j
            out[(b, a) if sideways else (a, b)] = pixels[i, j]
    return out


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_exif_orientation_is_applied(tmp_path, orientation, suffix):
    pixels, exif = noise(3, 5), Image.Exif()
    exif[274] = orientation
    path = tmp_path / f"a.{suffix}"
    saved(path, pixels, exif=exif, **({"lossless": True} if suffix == "webp" else {}))
    expected = upright(pixels / 255, *ORIENTATIONS[orientation])
    np.testing.assert_allclose(load_image(path), expected, **EXACT)


def test_exif_orientation_of_a_jpeg_is_applied(tmp_path):
    pixels, exif = np.zeros((16, 32, 3), np.uint8), Image.Exif()
    pixels[:, :16] = 255
    exif[274] = 6  # the first row is on the right: turn clockwise to see it upright
    image = load_image(saved(tmp_path / "a.jpg", pixels, exif=exif))
    assert image.shape == (32, 16, 3)
    assert image[:14].min() > 0.9 and image[18:].max() < 0.1


def test_sixteen_bit_grey_is_turned_too(tmp_path):
    grey, exif = np.array([[1, 2, 3]], np.uint16), Image.Exif()
    exif[274] = 8
    image = load_image(saved(tmp_path / "a.png", grey, exif=exif))
    np.testing.assert_allclose(image[:, 0, 0] * 65535, [3, 2, 1], rtol=1e-5)


@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0MM\0*\xff\xff\xff\xff"])
def test_broken_exif_is_ignored(tmp_path, exif):
    pixels = noise()
    path = saved(tmp_path / "a.png", pixels, exif=exif)
    np.testing.assert_allclose(load_image(path), pixels / 255, **EXACT)


def test_an_impossible_orientation_is_ignored(tmp_path):
    pixels, exif = noise(), Image.Exif()
    exif[274] = 99
    path = saved(tmp_path / "a.png", pixels, exif=exif)
    np.testing.assert_allclose(load_image(path), pixels / 255, **EXACT)


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
@pytest.mark.parametrize(
    ("gamma", "primaries"),
    [(1.0, SRGB_D50), (563 / 256, ADOBE_D50)],
    ids=["linear", "wide gamut"],
)
def test_an_embedded_profile_is_converted_to_srgb(tmp_path, gamma, primaries, suffix):
    pixels = noise(16, 16)
    path = tmp_path / f"a.{suffix}"
    lossless = {"lossless": True} if suffix == "webp" else {}
    saved(path, pixels, icc_profile=icc_profile(gamma, primaries), **lossless)
    image, expected = load_image(path), to_srgb(pixels / 255, gamma, primaries)
    # Rounding to 8 bits, at most two levels where the curve is steep near black.
    np.testing.assert_allclose(image, expected, rtol=0, atol=2.5 * LEVEL)
    assert np.abs(image - pixels / 255).max() > 0.05


def test_an_srgb_profile_changes_nothing(tmp_path):
    pixels = noise(32, 32)
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = load_image(saved(tmp_path / "a.png", pixels, icc_profile=icc))
    np.testing.assert_allclose(image, pixels / 255, rtol=0, atol=1.01 * LEVEL)


def test_a_profile_holds_under_transparency_and_in_a_palette(tmp_path):
    icc = icc_profile(1.0, SRGB_D50)
    pixels = noise(channels=4)
    image = load_image(saved(tmp_path / "a.png", pixels, icc_profile=icc))
    alpha = pixels[..., 3:] / 255
    expected = srgb_curve(pixels[..., :3] / 255) * alpha + 1 - alpha
    np.testing.assert_allclose(image, expected, rtol=0, atol=2.5 * LEVEL)

    image = Image.new("P", (1, 1))
    image.putpalette([50, 100, 150])
    image.save(tmp_path / "p.png", icc_profile=icc)
    expected = srgb_curve(np.array([[[50, 100, 150]]]) / 255)
    image = load_image(tmp_path / "p.png")
    np.testing.assert_allclose(image, expected, rtol=0, atol=2.5 * LEVEL)


@pytest.mark.parametrize("primaries", [None, SRGB_D50], ids=["grey", "colour"])
def test_a_grey_image_follows_a_profile_of_grey_or_of_colour(tmp_path, primaries):
    grey = noise(channels=1)[..., 0]
    icc = icc_profile(1.0, primaries)
    image = load_image(saved(tmp_path / "a.png", grey, icc_profile=icc))
    expected = np.repeat(srgb_curve(grey / 255)[..., None], 3, -1)
    np.testing.assert_allclose(image, expected, rtol=0, atol=2.5 * LEVEL)


def test_sixteen_bit_grey_follows_its_profile(tmp_path):
    grey = np.linspace(6000, 65535, 50).astype(np.uint16)[None]
    image = load_image(saved(tmp_path / "a.png", grey, icc_profile=icc_profile(1.0)))
    expected = np.repeat(srgb_curve(grey / 65535)[..., None], 3, -1)
    np.testing.assert_allclose(image, expected, rtol=0, atol=2.5 * LEVEL)
    assert len(np.unique(image[..., 0])) == 50


@pytest.mark.parametrize(
    "profile",
    [b"garbage", b"", icc_profile(1.0, SRGB_D50)[:200], bytes(500), icc_profile(1.0)],
    ids=["garbage", "empty", "truncated", "zeros", "of grey"],
)
def test_a_profile_that_does_not_work_is_ignored(tmp_path, profile):
    pixels = noise()
    path = saved(tmp_path / "a.png", pixels, icc_profile=profile)
    np.testing.assert_allclose(load_image(path), pixels / 255, **EXACT)


def test_lab_files_are_converted_to_srgb(tmp_path):
    lab = np.array([[60, 20, -40], [80, -20, 50], [30, 0, 0], [100, 0, 0]])
    stored = np.stack([np.rint(lab[:, 0] * 2.55), lab[:, 1], lab[:, 2]], -1) % 256
    image = Image.fromarray(stored.astype(np.uint8)[None], "LAB")
    image.save(tmp_path / "a.tif")
    fy = (lab[:, 0] + 16) / 116
    f = np.stack([fy + lab[:, 1] / 500, fy, fy - lab[:, 2] / 200], -1)
    xyz = np.where(f > 6 / 29, f**3, (f - 4 / 29) * 108 / 841) * D50
    expected = srgb_curve(xyz @ np.linalg.inv(SRGB_D50).T)[None]
    image = load_image(tmp_path / "a.tif")
    np.testing.assert_allclose(image, expected, rtol=0, atol=2.5 * LEVEL)
