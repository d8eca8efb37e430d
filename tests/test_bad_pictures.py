"""Pictures that no run could use, through the command line; `bad_pictures` has them."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from bad_pictures import CLEAR, FILES, NOISE
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pictures import failure, icc_profile, saved
from PIL import Image
from refusals import one_line, refused
from test_cli import pictures, tiny_file  # noqa: F401

import jnst
from jnst.image import is_image_array, load_image

STYLE, OUT = "style.png", "out.png"


@pytest.mark.parametrize("name", FILES)
def test_a_content_is_refused(name, capsys, pictures, tiny_file):  # noqa: F811
    make, words = FILES[name]
    make(pictures / "bad.png")
    run = ("stylize", "bad.png", STYLE, "-o", OUT, "--size", "32", "--steps", "1")
    refused(capsys, pictures, (*run, "--weights", tiny_file), "'bad.png'", *words)


PLACES = {
    # Where a run's picture that is none may stand: (arguments, file).
    "style": (("stylize", "content.png", "bad.png"), "bad.png"),
    "second style": (("stylize", "content.png", STYLE, "bad.png"), "bad.png"),
    "texture": (("texture", "bad.png"), "bad.png"),
    "first image": (("stylize", "content.png", STYLE, "--init", "b.png"), "b.png"),
    "recipe": (("stylize", "content.png", STYLE, "--like", "b.png"), "b.png"),
}
SOME = ("text", "PNG cut short", "PNG of 10^10 pixels")


@pytest.mark.parametrize("name", SOME)
@pytest.mark.parametrize("place", PLACES)
def test_other_pictures_are_refused(name, place, capsys, pictures, tiny_file):  # noqa: F811
    arguments, file = PLACES[place]
    FILES[name][0](pictures / file)
    run = (*arguments, "-o", OUT, "--size", "32", "--weights", tiny_file)
    refused(capsys, pictures, run, file)


COMMANDS = {
    "features": ("features", "bad.png", "-o", "maps"),
    "score, result": ("score", "content.png", STYLE, "bad.png", "--names", "ssim"),
    "score, style": ("score", "content.png", "bad.png", STYLE, "--names", "ssim"),
    "compare": ("compare", "bad.png", STYLE, "-o", "cmp", "--losses", "gram"),
    "sweep": ("sweep", "bad.png", STYLE, "-o", "s", "--grid", "style_weight=1,2"),
    "study": ("study", "bad.png", STYLE, "-o", "study", "--recipes", "jnst"),
    "disagree": (
        "disagree",
        "gram",
        "bn_statistics",
        "-o",
        "d.png",
        "--picture",
        "bad.png",
    ),
    "examine": ("examine", "gram", "-o", "e.png", "--content", "bad.png"),
}


@pytest.mark.parametrize("name", ["missing", "PNG cut short", "1 x 1"])
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_refuses(name, command, capsys, pictures, tiny_file):  # noqa: F811
    FILES[name][0](pictures / "bad.png")
    refused(capsys, pictures, (*COMMANDS[command], "--weights", tiny_file), "bad.png")


NAMES = {
    # A name that is no file's, and what the line says of it.
    "a URL": ("https://example.org/photo.jpg", ("download it first",)),
    "a URL of a file": ("file:///tmp/photo.jpg", ("download it first",)),
    "a mistyped name": ("contnet.png", ("Did you mean 'content.png'?",)),
    "a name that begins with -": ("-photo.png", ("'./-photo.png'",)),
    "a name that looks like an option": ("--photo.png", ("'./--photo.png'",)),
    "no name": ("", ("no image file ''",)),
    "a name too long": ("x" * 300, ("no image file",)),
    "an escape": ("\x1b[31m\r\n.png", (r"\x1b[31m\r\n.png",)),
    "a name turned round": ("\u202egnp.exe", (r"\u202e",)),
    "a name that is not UTF-8": (os.fsdecode(b"\xff.png"), (r"\udcff",)),
    "a folder's": ("content.png/a.png", ("no image file",)),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_refused(name, capsys, pictures):  # noqa: F811
    text, words = NAMES[name]
    for made in ("-photo.png", "--photo.png"):
        shutil.copy("content.png", made)
    refused(capsys, pictures, ("stylize", text, STYLE, "-o", OUT), *words)


def test_a_file_that_begins_with_a_dash_is_read_by_its_folder(
    capsys,
    pictures,  # noqa: F811
):
    shutil.copy("content.png", "-photo.png")
    assert load_image("./-photo.png").shape == (40, 48, 3)
    run = ("stylize", "-o", OUT, "--", "-photo.png", "none.png")
    refused(capsys, pictures, run, "no image file 'none.png'")


def without_rights(folder, *arguments):
    """Runs `jnst` as an owner who is bound by permissions, which root else is not."""
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("root reads and writes everything, and there is no setpriv")
        drop = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
    else:
        drop = ()
    command = (*drop, sys.executable, "-m", "jnst", *arguments)
    root = os.path.dirname(os.path.dirname(jnst.__file__))
    environment = {**os.environ, "PYTHONPATH": root}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True
    )


def test_a_picture_that_may_not_be_read_is_refused(pictures):  # noqa: F811
    (pictures / "content.png").chmod(0)
    run = without_rights(pictures, "stylize", "content.png", STYLE, "-o", OUT)
    assert run.returncode == 2
    assert "'content.png' is not readable" in one_line(run.stderr)
    assert not (pictures / OUT).exists()


def test_a_folder_that_may_not_be_written_to_is_refused(pictures):  # noqa: F811
    (pictures / "shut").mkdir(0o555)
    output = ("-o", "shut/out.png")
    run = without_rights(pictures, "stylize", "content.png", STYLE, *output)
    assert run.returncode == 2 and "cannot be written to" in one_line(run.stderr)
    assert not [*(pictures / "shut").iterdir()]


KINDS = {
    # Each format with what a reader of it can stumble over.
    "png": {"icc_profile": icc_profile(1), "exif": b"Exif\0\0II*\0\x08\0\0\0\0\0"},
    "jpg": {"icc_profile": icc_profile(1), "progressive": True},
    "webp": {"icc_profile": icc_profile(1), "lossless": True},
    "tif": {"compression": "tiff_lzw"},
    "bmp": {},
    "gif": {},
}


@pytest.fixture(scope="module")
def good_files(tmp_path_factory):
    """{kind: bytes} of a whole picture of every format."""
    folder = tmp_path_factory.mktemp("good")
    return {
        kind: saved(folder / f"a.{kind}", NOISE[:16, :16], **options).read_bytes()
        for kind, options in KINDS.items()
    }


@pytest.mark.parametrize("kind", KINDS)
@settings(
    max_examples=40,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_random_bytes_give_a_picture_or_one_line(kind, data, good_files, tmp_path):
    content = bytearray(good_files[kind])
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    path = tmp_path / f"a.{kind}"
    path.write_bytes(bytes(content[: cut or len(content)]))
    try:
        image = load_image(path)
    except ValueError as error:
        line = str(error)
        assert line.isprintable() and repr(str(path)) in line
    else:
        assert is_image_array(image) and 0 <= image.min() <= image.max() <= 1


def test_integers_of_32_bits_that_hold_8_are_no_night(tmp_path):
    grey = np.array([[0, 51, 255], [204, 102, 153]], np.int32)
    path = saved(tmp_path / "a.tif", grey)
    expected = np.repeat(grey[..., None] / 255, 3, -1)
    np.testing.assert_allclose(load_image(path), expected, rtol=0, atol=1e-6)


def test_integers_without_a_sign_reach_to_2_to_the_32(tmp_path):
    grey = np.array([[0, 2**31, 2**32 - 1]], np.uint32)
    path = saved(tmp_path / "a.tif", grey.view(np.int32))
    signed, plain = (b"\x53\x01\x03\0\x01\0\0\0" + bytes([n, 0]) for n in (2, 1))
    assert signed in path.read_bytes()  # the tag SampleFormat
    path.write_bytes(path.read_bytes().replace(signed, plain))
    expected = [[[0.0] * 3, [0.5] * 3, [1.0] * 3]]
    np.testing.assert_allclose(load_image(path), expected, rtol=0, atol=1e-6)


def test_of_an_animation_the_first_frame_is_taken(tmp_path):
    frames = [Image.fromarray(np.full((4, 4, 3), n, np.uint8)) for n in (200, 20)]
    for kind in ("png", "gif", "webp"):
        path = tmp_path / f"a.{kind}"
        frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)
        np.testing.assert_allclose(load_image(path), 200 / 255, rtol=0, atol=0.01)


def test_one_pixel_that_shows_is_enough(tmp_path):
    pixels = CLEAR.copy()
    assert "transparent everywhere" in failure(saved(tmp_path / "a.png", pixels))
    pixels[5, 6, 3] = 1
    image = load_image(saved(tmp_path / "a.png", pixels))
    assert 0 < (image < 1).any(-1).sum() <= 1
