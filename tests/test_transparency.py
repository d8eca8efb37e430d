"""`--alpha keep`: what was transparent in the content is so in the result."""

import numpy as np
import pytest
from pictures import noise, saved
from PIL import Image
from refusals import refused
from test_cli import SHALLOW, pictures, run, tiny_file  # noqa: F401
from tiny import picture

import jnst
from jnst.image import load_alpha, load_image, resize_alpha, save_image

pytestmark = pytest.mark.usefixtures("quicker_compile")
LEVEL = 1 / 255
EXACT = {"rtol": 0, "atol": 1e-6}
RUN = ("stylize", "clear.png", "style.png", "--size", "24", "--steps", "2", *SHALLOW)


@pytest.fixture
def clear(pictures):  # noqa: F811
    """A content of 40 x 48 whose left half is transparent, and a soft edge."""
    pixels = noise(40, 48, 4)
    pixels[:, :24, 3], pixels[:, 24, 3], pixels[:, 25:, 3] = 0, 100, 255
    saved(pictures / "clear.png", pixels)
    return pixels


def opacities(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGBA").getchannel("A")) / 255


@pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
def test_transparency_is_kept_at_the_results_size(run, clear, suffix):  # noqa: F811
    code, _, err = run(*RUN, "-o", f"out.{suffix}", "--alpha", "keep")
    assert code == 0, err
    found = opacities(f"out.{suffix}")
    expected = resize_alpha(clear[..., 3] / np.float32(255), (20, 24))
    np.testing.assert_allclose(found, expected, rtol=0, atol=LEVEL)
    assert found.min() == 0 and found.max() == 1


def test_numbered_pictures_are_transparent_too(run, clear):  # noqa: F811
    arguments = ("-o", "out.png", "--alpha", "keep", "--save-every", "1")
    assert run(*RUN, *arguments)[0] == 0
    np.testing.assert_array_equal(opacities("out_000001.png"), opacities("out.png"))


def test_without_it_a_picture_is_opaque_on_white_and_has_the_same_colours(
    run,  # noqa: F811
    clear,
):
    assert run(*RUN, "-o", "white.png")[0] == 0
    assert run(*RUN, "-o", "keep.png", "--alpha", "keep")[0] == 0
    with Image.open("white.png") as white, Image.open("keep.png") as keep:
        assert white.mode == "RGB" and keep.mode == "RGBA"
        colours = np.asarray(keep)[..., :3]
        np.testing.assert_array_equal(np.asarray(white), colours)


def test_an_opaque_content_gives_an_opaque_picture(run, clear):  # noqa: F811
    arguments = (*RUN, "-o", "out.png", "--alpha", "keep")
    code, _, err = run("stylize", "content.png", *arguments[2:])
    assert code == 0, err
    with Image.open("out.png") as image:
        assert image.mode == "RGB"


@pytest.mark.parametrize("suffix", ["jpg", "jpeg"])
def test_jpeg_holds_no_transparency(suffix, capsys, tmp_path, clear):
    output = ("-o", f"out.{suffix}", "--alpha", "keep")
    refused(capsys, tmp_path, (*RUN, *output), f"'out.{suffix}'", ".png")


def test_another_word_is_refused(capsys, tmp_path, clear):
    line = refused(capsys, tmp_path, (*RUN, "-o", "out.png", "--alpha", "kept"))
    assert "'kept'" in line and "'white', 'keep'" in line


def test_in_python_it_is_kept_when_saved(vgg19, clear, tmp_path):
    few = {"style_layers": "relu1_1", "content_layers": "relu1_1"}
    pair = "clear.png", picture(36, 40)
    weights = {"style_layer_weights": (1.0,), "weights": vgg19}
    result = jnst.stylize(*pair, steps=1, size_px=24, **few, **weights)
    result.save(tmp_path / "a.png", alpha="clear.png")
    expected = resize_alpha(load_alpha("clear.png"), (20, 24))
    found = opacities(tmp_path / "a.png")
    np.testing.assert_allclose(found, expected, rtol=0, atol=LEVEL)
    assert jnst.Recipe.from_png(tmp_path / "a.png") == result.recipe
    with pytest.raises(ValueError, match="cannot hold transparency"):
        result.save(tmp_path / "a.jpg", alpha="clear.png")
    assert not (tmp_path / "a.jpg").exists()


def test_transparency_is_turned_as_the_colours_are(tmp_path):
    pixels = noise(5, 7, 4)
    exif = Image.Exif()
    exif[274] = 6
    path = saved(tmp_path / "a.png", pixels, exif=exif)
    alpha = load_alpha(path)
    assert alpha.shape == load_image(path).shape[:2] == (7, 5)
    expected = pixels[..., 3].swapaxes(0, 1)[:, ::-1] / 255
    np.testing.assert_allclose(alpha, expected, **EXACT)


def test_what_has_no_transparency_has_none(tmp_path):
    assert load_alpha(saved(tmp_path / "a.png", noise())) is None
    assert load_alpha(saved(tmp_path / "a.jpg", noise())) is None


@pytest.mark.parametrize("bad", [np.ones((5, 6)), np.full((5, 7), np.nan)])
def test_opacities_of_another_picture_are_refused(bad, tmp_path):
    image = noise().astype(np.float32) / 255
    with pytest.raises(ValueError, match="alpha must be finite, of the image's shape"):
        save_image(tmp_path / "a.png", image, alpha=bad)
    assert not [*tmp_path.iterdir()]
