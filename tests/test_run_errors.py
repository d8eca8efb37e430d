"""What `stylize` refuses, before any work is done."""

import numpy as np
import pytest
from tiny import picture

import jnst

CONTENT, STYLE = picture(40, 48, 1), picture(36, 50, 2)


def refused(vgg19, content=CONTENT, style=STYLE, error=ValueError, **changes):
    """The one-line message of a run that is refused before its first step."""

    def started(_):
        raise AssertionError("the run began")

    with pytest.raises(error) as info:
        jnst.stylize(content, style, weights=vgg19, on_start=started, **changes)
    message = str(info.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"recipe": "gaty"}, "unknown recipe 'gaty'. Did you mean 'gatys'?"),
        (
            {"style_wieght": 1.0},
            "unknown recipe field 'style_wieght'. Did you mean 'style_weight'?",
        ),
        ({"init": "contnet"}, "'contnet'. Did you mean 'content'?"),
        ({"blend": [1.0, 2.0]}, "blend has 2 weights for 1 styles"),
        ({"blend": [-1.0]}, "blend must be weights >= 0 with a sum above 0"),
        ({"blend": [0.0]}, "blend must be weights >= 0 with a sum above 0"),
        ({"blend": [float("nan")]}, "blend must be weights >= 0 with a sum above 0"),
        ({"blend": [float("inf")]}, "blend must be weights >= 0 with a sum above 0"),
        ({"shape": (20, 20)}, "shape is for textures; with a content image use size"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"size_px": 0}, "size_px must be at least 1, got 0"),
        (
            {"recipe": "tf-eager", "style_layers": ("relu6_1",)},
            "unknown layer of vgg19 'relu6_1'",
        ),
        ({"style": []}, "style must be at least one image, got an empty list"),
        ({"content": CONTENT[..., 0]}, "content must have shape [height, width, 3]"),
        ({"content": CONTENT * 255}, "content must be in [0, 1], got "),
        ({"style": STYLE - 0.5}, "style must be in [0, 1], got "),
        ({"content": (CONTENT * 255).astype(np.uint8)}, "divide 8-bit by 255"),
        ({"content": np.full((40, 48, 3), np.nan)}, "that are not finite"),
        ({"init": np.full((40, 48, 3), np.inf)}, "that are not finite"),
        ({"content": None, "init": "content"}, "init 'content' needs a content image"),
        ({"content": None, "shape": (0, 20)}, "shape must be at least 1x1, got 0x20"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_no_run_could_use_is_refused_in_one_line(vgg19, changes, words):
    assert words in refused(vgg19, **changes)


def test_too_small_an_image_is_refused_before_any_work(vgg19):
    message = refused(vgg19, content=picture(9, 120), recipe="tf-eager")
    assert message == (  # design.md, section 7, at the deepest layer of this recipe
        "image is 9x120 (height x width) but relu5_2 of vgg19 needs at least 16 pixels "
        "a side; use a larger size_px, at least 207"
    )


def test_too_small_a_style_is_refused_before_any_work(vgg19):
    message = refused(vgg19, style=picture(40, 12), recipe="tf-eager")
    assert message.startswith("image is 40x12 (height x width) but relu5_")


def test_a_missing_file_is_named(vgg19, tmp_path):
    path = tmp_path / "nowhere.png"
    message = refused(vgg19, content=path, error=FileNotFoundError)
    assert "nowhere.png" in message
