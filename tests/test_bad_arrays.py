"""Arrays, and what is none, that no run could use: one line of `ValueError`."""

import numpy as np
import pytest
from PIL import Image
from tiny import picture

import jnst
from jnst.drivers.plan import Request, make_plan

CONTENT, STYLE = picture(40, 48, 1), picture(36, 50, 2)


def with_value(value, at=(0, 0, 0)):
    image = np.array(CONTENT)
    image[at] = value
    return image


class Odd:
    """Neither an array nor shown as anything."""

    def __repr__(self):
        raise RuntimeError


PICTURES = {
    # Name: (what is given for a picture, words of the line).
    "no dimension": (np.float32(0.5), "shape [height, width, 3], got []"),
    "one dimension": (CONTENT[0, 0], "shape [height, width, 3], got [3]"),
    "two dimensions": (CONTENT[..., 0], "shape [height, width, 3], got [40, 48]"),
    "five dimensions": (CONTENT[None, None], "got [1, 1, 40, 48, 3]"),
    "channels first": (CONTENT.transpose(2, 0, 1), "got [3, 40, 48]"),
    "one channel": (CONTENT[..., :1], "got [40, 48, 1]"),
    "four channels": (np.concatenate([CONTENT, CONTENT[..., :1]], -1), "[40, 48, 4]"),
    "no rows": (CONTENT[:0], "got [0, 48, 3]"),
    "a batch of none": (CONTENT[None][:0], "batch of no images"),
    "8 bits": ((CONTENT * 255).astype(np.uint8), "divide 8-bit by 255"),
    "integers": (np.ones((40, 48, 3), int), "must be floats in [0, 1], got int64"),
    "booleans": (np.ones((40, 48, 3), bool), "must be floats in [0, 1], got bool"),
    "complex numbers": (CONTENT.astype(complex), "got complex128"),
    "objects": (np.full((40, 48, 3), None), "must be floats in [0, 1], got object"),
    "words": (np.full((40, 48, 3), "0.5"), "must be floats in [0, 1], got <U3"),
    "dates": (np.zeros((40, 48, 3), "M8[s]"), "must be floats in [0, 1], got datetime"),
    "0 to 255": (CONTENT * 255, "must be in [0, 1], got"),
    "-1 to 1": (CONTENT * 2 - 1, "must be in [0, 1], got -"),
    "a value above": (with_value(1.01), "must be in [0, 1], got"),
    "a value below": (with_value(-0.01), "must be in [0, 1], got -0.00999"),
    "a huge value": (with_value(1e38), "must be in [0, 1]"),
    "NaN": (with_value(np.nan), "1 values that are not finite"),
    "all NaN": (CONTENT * np.nan, "5760 values that are not finite"),
    "infinity": (with_value(np.inf), "1 values that are not finite"),
    "beyond float32": (CONTENT.astype(np.float64) * 1e300, ""),
    "a mapping": ({"image": CONTENT}, "shape"),
    "a number": (7, "shape [height, width, 3], got []"),
    "a function": (picture, "shape"),
    "something odd": (Odd(), "shape"),
    "bytes": (b"\x89PNG", "shape"),
    "ragged lists": ([[1.0], [1.0, 2.0]], ""),
    "an empty list": ([], ""),
    "a missing file": ("none.png", "no image file 'none.png'"),
    "1 x 1 of Pillow's": (Image.new("RGB", (1, 1)), "1x1 pixels"),
    "transparent everywhere": (Image.new("RGBA", (9, 9)), "transparent everywhere"),
}


def refused(vgg19, **given):
    """The line of a plan, which `stylize` makes; here nobody checks types before."""
    asked = {"content": CONTENT, "style": STYLE, "recipe": "jnst", "weights": vgg19}
    asked |= {name: value for name, value in given.items() if name in Request._fields}
    changes = {name: value for name, value in given.items() if name not in asked}
    with pytest.raises((ValueError, FileNotFoundError)) as info:
        make_plan(Request(**asked), changes)
    message = str(info.value)
    assert message.isprintable()
    return message


@pytest.mark.parametrize("place", ["content", "style"])
@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_refused(name, place, vgg19):
    value, words = PICTURES[name]
    assert words in refused(vgg19, **{place: value})


FIRST = {name: row for name, row in PICTURES.items() if "must be in" not in row[1]}


@pytest.mark.parametrize("name", FIRST)
def test_a_first_image_is_refused(name, vgg19):  # values outside [0, 1] are kept
    refused(vgg19, init=FIRST[name][0])


SIZED = {"size_px": 32}
ARGUMENTS = {
    # Name: (arguments, words of the line).
    "1 x 1 to be resized": ({"content": CONTENT[:1, :1], **SIZED}, "1x1 pixels"),
    "batches that differ": (
        {"content": np.stack([CONTENT] * 2), "style": np.stack([STYLE] * 3)},
        "batches of 2 and 3",
    ),
    "a batch of two sizes": ({"content": [CONTENT, STYLE]}, "images of one size"),
    "no styles": ({"style": []}, "at least one image"),
    "a blend of text": ({"blend": "half"}, "blend"),
    "a blend of none": ({"blend": []}, "blend"),
    "a blend of arrays": ({"blend": [[1.0]]}, "blend"),
    "a shape of one": ({"content": None, "shape": (20,)}, "shape"),
    "a shape of text": ({"content": None, "shape": "20x20"}, "shape"),
    "a shape of NaN": ({"content": None, "shape": (np.nan, 20)}, "shape"),
    "a shape of infinity": ({"content": None, "shape": (np.inf, 20)}, "shape"),
    "a shape beyond all": ({"content": None, "shape": (10**9, 20)}, "65535"),
    "steps of NaN": ({"steps": float("nan")}, "steps"),
    "steps of a bool": ({"steps": True}, "steps"),
    "a seed of text": ({"seed": "7"}, "seed"),
    "a size of infinity": ({"size_px": float("inf")}, "size_px"),
    "a recipe of none": ({"recipe": None}, "recipe"),
    "a recipe of a list": ({"recipe": ["jnst"]}, "recipe"),
    "weights of numbers": ({"weights": 7}, "weights"),
    "weights of no arrays": ({"weights": {"conv1_1": 3}}, ""),
    "weights of nothing": ({"weights": {}}, ""),
    "devices of text": ({"devices": "x"}, "devices"),
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_an_argument_is_refused(name, vgg19):
    given, words = ARGUMENTS[name]
    assert words in refused(vgg19, **given)


MAPS = np.ones((1, 5, 4, 3), np.float32)
COMPUTED = {
    "no dimension": (np.float32(1), MAPS, ""),
    "two dimensions": (MAPS[0, 0], MAPS, ""),
    "five dimensions": (MAPS[None], MAPS, ""),
    "two maps": (np.concatenate([MAPS, MAPS]), MAPS, ""),
    "other channels": (MAPS[..., :2], MAPS, ""),
    "integers": (MAPS.astype(int), MAPS, ""),
    "text": ("maps", MAPS, ""),
    "none": (None, MAPS, ""),
}


@pytest.mark.parametrize("name", COMPUTED)
def test_maps_are_refused(name):
    generated, target, words = COMPUTED[name]
    with pytest.raises(ValueError) as info:
        jnst.losses.compute("gram", generated, target)
    assert words in str(info.value) and str(info.value).isprintable()
