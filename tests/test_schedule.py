"""Sizes and steps from coarse to fine."""

import numpy as np
import pytest
from tiny import picture

import jnst
from jnst.bounds import SIDE
from jnst.recipes.schedule import (
    Source,
    Stage,
    full_shape,
    resized_to,
    scales,
    stages,
    steps_per_scale,
    style_shape,
)


@pytest.mark.parametrize(
    ("steps", "count", "shares", "expected"),
    [
        (None, 3, (100, 50), [100, 50, 50]),
        (100, 3, (100, 50), [50, 25, 25]),
        (7, 3, (1,), [2, 3, 2]),
        (2, 3, (100, 50), [1, 1]),  # too few: only the finest sizes
        (1, 3, (100, 50), [1]),
        (3, 3, (1000, 1), [1, 1, 1]),
        (None, 5, (80, 40, 140), [80, 40, 40, 40, 140]),  # the last size has its own
        (None, 3, (80, 40, 140), [80, 40, 140]),
        (None, 2, (80, 40, 140), [80, 140]),
        (None, 1, (80, 40, 140), [140]),
        (None, 5, (4, 3, 2, 1), [4, 3, 2, 2, 1]),
        (26, 3, (80, 40, 140), [8, 4, 14]),
    ],
)
def test_steps_are_split_over_sizes(steps, count, shares, expected):
    recipe = jnst.Recipe(steps=steps, scale_steps=shares)
    actual = steps_per_scale(count, recipe.schedule)
    assert len(actual) == len(expected) and min(actual) >= 1
    assert sum(actual) == sum(expected)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1)


def test_a_size_below_the_least_is_not_divided():
    recipe = jnst.Recipe(scale_ratio=2.0, min_size_px=128)
    assert scales(100, recipe.schedule) == [100]
    assert scales(256, recipe.schedule) == [128, 256]
    assert scales(512, jnst.Recipe().schedule) == [512]


@pytest.mark.parametrize(
    ("size_px", "sizes", "steps"),
    [
        (128, [128], [110]),
        (510, [510], [110]),
        (512, [256, 512], [60, 110]),
        (2048, [256, 512, 1024, 2048], [60, 60, 60, 110]),
    ],
)
def test_the_default_begins_at_half_the_size_where_that_is_large(size_px, sizes, steps):
    schedule = jnst.RECIPES["jnst"].schedule
    assert scales(size_px, schedule) == sizes
    assert steps_per_scale(len(sizes), schedule) == steps


def test_the_defaults_adam_remembers_long_enough_to_converge():
    """Reddi et al, "On the Convergence of Adam and Beyond", ICLR 2018, theorem 4."""
    optimizer = jnst.RECIPES["jnst"].optimization
    assert optimizer.beta1 < optimizer.beta2**0.5


def test_stages_end_at_exactly_the_shape_asked_for():
    recipe = jnst.Recipe(scale_ratio=2.0, min_size_px=10, scale_steps=(7, 3))
    assert stages((33, 47), 47, recipe.schedule) == [
        Stage(12, (8, 12), 7),
        Stage(24, (17, 24), 3),
        Stage(47, (33, 47), 3),
    ]


FILE = Source(picture(30, 60), own_size=False)
ARRAY = Source(picture(30, 60), own_size=True)
COARSE, LAST = Stage(64, (43, 64), 1), Stage(128, (85, 128), 1)


@pytest.mark.parametrize(
    ("source", "changes", "expected"),
    [
        (ARRAY, {}, (15, 30)),  # half its own size, as the image is
        (FILE, {}, (32, 64)),  # the stage's size, enlarged
        (FILE, {"style_enlarge": False}, (30, 60)),  # crowsonkb never enlarges
        (FILE, {"style_fit": True}, (43, 64)),  # keras: the content's exact size
        (FILE, {"style_size_px": 224, "style_aspect": (1, 1)}, (224, 224)),  # 000
    ],
)
def test_a_style_is_sized_as_its_recipe_says(source, changes, expected):
    assert (
        style_shape(source, COARSE, LAST, jnst.Recipe(**changes).schedule) == expected
    )


def test_a_style_raised_to_what_layers_need_keeps_its_recipes_proportions():
    fields = jnst.Recipe(style_aspect=(1, 1)).schedule
    assert style_shape(FILE, COARSE, LAST, fields, least=64) == (64, 64)
    assert style_shape(FILE, COARSE, LAST, fields, least=80) == (80, 80)


def test_a_line_of_pixels_stays_one():
    line = Source(picture(1, 60), own_size=True)
    assert style_shape(line, COARSE, LAST, jnst.Recipe().schedule) == (1, 30)
    column = Source(picture(60, 1), own_size=True)
    assert style_shape(column, COARSE, LAST, jnst.Recipe().schedule) == (30, 1)


def test_a_size_too_large_is_said_with_height_first():
    fields = jnst.Recipe(size_px=int(SIDE.high), size_side="shorter").schedule
    with pytest.raises(ValueError, match=f"of {SIDE.high}x{2 * SIDE.high} "):
        full_shape(FILE, fields)


def test_one_image_and_a_batch_are_resized():
    fields, several = jnst.Recipe().schedule, np.stack([picture(8, 6), picture(8, 6)])
    one, both = (resized_to(each, (4, 3), fields) for each in (several[0], several))
    assert one.shape == (1, 4, 3, 3) and both.shape == (2, 1, 4, 3, 3)
    np.testing.assert_array_equal(both[0], one)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # A file of 300 x 450: sources 001 to 003 stretch or scale it, 000 keeps ratios.
        ("keras", (400, 600)),
        ("course", (225, 300)),
        ("keras-lbfgs", (400, 600)),
        ("notebook-texture", (224, 224)),
        ("notebook-transfer", (341, 512)),  # rounded down
        ("gatys", (800, 1200)),  # the shorter side
        ("neural-style", (341, 512)),
    ],
)
def test_a_file_gets_the_size_its_recipe_says(name, expected):
    source = Source(picture(300, 450), own_size=False)
    assert full_shape(source, jnst.RECIPES[name].schedule) == expected
