"""Writing images, and the metadata in a PNG."""

import json
import os
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from pictures import EXACT, LEVEL, failure, image_array, noise, saved
from PIL import Image, PngImagePlugin

from jnst.image import (
    IMAGE_SUFFIXES,
    check_image,
    is_image_array,
    load_image,
    read_metadata,
    resize_image,
    save_image,
)


@pytest.mark.parametrize("suffix", IMAGE_SUFFIXES)
def test_a_saved_image_loads_again(tmp_path, suffix):
    image = resize_image(image_array(), (48, 64))  # smooth, so that JPEG is near
    save_image(tmp_path / f"a{suffix}", image)
    levels = {".jpg": 12, ".jpeg": 12, ".webp": 24}.get(suffix, 0.501)
    atol = levels * LEVEL  # WebP keeps a quarter of the colours' pixels
    loaded = load_image(tmp_path / f"a{suffix}")
    np.testing.assert_allclose(loaded, image, rtol=0, atol=atol)
    assert os.listdir(tmp_path) == [f"a{suffix}"]


def test_saving_clips_and_rounds(tmp_path):
    values = np.array([-1.0, 0.4 * LEVEL, 0.6 * LEVEL, 100.4 * LEVEL, 7.0], np.float64)
    save_image(tmp_path / "a.png", np.repeat(values[None, :, None], 3, -1))
    with Image.open(tmp_path / "a.png") as image:
        assert np.asarray(image)[0, :, 0].tolist() == [0, 0, 1, 100, 255]


def test_arrays_of_jax_can_be_saved(tmp_path):
    save_image(tmp_path / "a.png", jnp.full((2, 3, 3), 0.5, jnp.bfloat16))
    expected = np.full((2, 3, 3), 128 / 255)
    np.testing.assert_allclose(load_image(tmp_path / "a.png"), expected, **EXACT)


def test_quality_decides_the_size_of_a_jpeg(tmp_path):
    for quality in (10, 100):
        save_image(tmp_path / f"{quality}.jpg", image_array(64, 64), quality=quality)
    sizes = [(tmp_path / f"{quality}.jpg").stat().st_size for quality in (10, 100)]
    assert sizes[0] * 3 < sizes[1]


@pytest.mark.parametrize(
    ("name", "image", "options", "expected"),
    [
        ("a.bmp", image_array(), {}, "unknown image suffix '.bmp'"),
        ("a", image_array(), {}, "unknown image suffix ''"),
        ("a.jpg", image_array(), {"quality": 0}, "quality must be 1 to 100, got 0"),
        (
            "a.png",
            image_array()[None],
            {},
            "shape [height, width, 3], got [1, 6, 8, 3]",
        ),
        ("a.png", np.zeros((2, 2, 3), np.uint8), {}, "got uint8; divide 8-bit by 255"),
        ("a.png", np.full((2, 2, 3), np.nan), {}, "12 values that are not finite"),
        ("a.webp", np.zeros((1, 16384, 3)), {}, "too large for WEBP, at most 16383"),
        (
            "a.png",
            image_array(),
            {"metadata": {"a": "x" * 2**20}},
            "more than the 1048",
        ),
    ],
)
def test_what_cannot_be_saved_is_refused_and_leaves_nothing(
    tmp_path, name, image, options, expected
):
    with pytest.raises(ValueError) as info:
        save_image(tmp_path / name, image, **options)
    assert expected in str(info.value) and "\n" not in str(info.value)
    assert os.listdir(tmp_path) == []


def test_an_existing_picture_survives_a_failed_save(tmp_path, monkeypatch):
    save_image(tmp_path / "a.png", image_array())
    before = (tmp_path / "a.png").read_bytes()

    def fail(self, path, **options):
        Path(path).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        save_image(tmp_path / "a.png", image_array(seed=1))
    assert (tmp_path / "a.png").read_bytes() == before
    assert os.listdir(tmp_path) == ["a.png"]


@pytest.mark.parametrize(
    ("array", "good"),
    [
        (image_array(), True),
        (image_array().astype(np.float16), True),
        (jnp.zeros((2, 2, 3)), True),
        (image_array() * 9 - 5, True),
        (image_array()[..., :2], False),
        (image_array()[:0], False),
        ([[[0.0, 0.0, 0.0]]], False),
        (None, False),
        (np.zeros((2, 2, 3), int), False),
        (np.full((2, 2, 3), np.inf), False),
    ],
)
def test_an_image_is_a_finite_float_array_of_three_channels(array, good):
    assert is_image_array(array) == good
    if not good:
        with pytest.raises(ValueError, match="^the content ") as info:
            check_image("the content", array)
        assert "\n" not in str(info.value)


def test_metadata_survives_in_one_chunk(tmp_path):
    metadata = {
        "steps": 3,
        "loss": [1.5, None],
        "name": "é 画\n\x1b",
        "deep": {"a": []},
    }
    save_image(tmp_path / "a.png", image_array(), metadata=metadata)
    assert read_metadata(tmp_path / "a.png") == metadata
    data = (tmp_path / "a.png").read_bytes()
    assert data.count(b"tEXt") + data.count(b"iTXt") + data.count(b"zTXt") == 1
    assert data.count(b"jnst\0") == 1


def test_metadata_that_json_lacks_is_made_plain(tmp_path):
    save_image(tmp_path / "a.png", image_array(), metadata={"a": np.float32(np.nan)})
    assert read_metadata(tmp_path / "a.png") == {"a": None}


def test_metadata_is_left_out_of_other_formats(tmp_path):
    for suffix in IMAGE_SUFFIXES[1:]:
        save_image(tmp_path / f"a{suffix}", image_array(), metadata={"secret": 1})
        assert b"secret" not in (tmp_path / f"a{suffix}").read_bytes()
        load = read_metadata
        assert "known format (PNG)" in failure(tmp_path / f"a{suffix}", load=load)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "carries no metadata of jnst"),
        ("[1]", "is a list, not an object"),
        ("{", "not JSON"),
        ('{"a": NaN}', "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"a": ' + "9" * 10_000 + "}", "not JSON"),
        (json.dumps({"a": "x" * 2**20}), "more than 1048576 bytes"),
    ],
    ids=["none", "list", "broken", "nan", "deep", "huge number", "long"],
)
def test_metadata_that_is_not_a_small_json_object_is_refused(tmp_path, text, expected):
    chunk = PngImagePlugin.PngInfo()
    if text is not None:
        chunk.add_text("jnst", text)
    saved(tmp_path / "a.png", noise(), pnginfo=chunk)
    assert expected in failure(tmp_path / "a.png", load=read_metadata)


def test_a_compressed_metadata_bomb_is_refused(tmp_path):
    chunk = PngImagePlugin.PngInfo()
    chunk.add_text("jnst", json.dumps({"a": "x" * 2**24}), zip=True)
    saved(tmp_path / "a.png", noise(), pnginfo=chunk)
    failure(tmp_path / "a.png", load=read_metadata)
    failure(tmp_path / "a.png")


def test_metadata_of_a_missing_file_is_a_file_not_found(tmp_path):
    failure(tmp_path / "a.png", FileNotFoundError, read_metadata)
