"""Pictures so long that their coarse sizes are too small for the layers."""

import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import picture

import jnst
from jnst.drivers.plan import Request, make_plan
from jnst.image import save_image
from jnst.losses import CONTENT_LOSSES, IMAGE_LOSSES, STYLE_LOSSES
from jnst.losses.rows import least_side, with_options

SQUARE = picture(40, 48, 2)
SIZES = {"scale_ratio": math.sqrt(2), "min_size_px": 128}


@pytest.fixture
def plan(vgg19, tmp_path):
    """Plans a run of files, whose shapes are given, or of arrays."""

    def given(image):
        if not isinstance(image, tuple):
            return image
        path = tmp_path / f"{image[0]}x{image[1]}.png"
        if not path.exists():
            save_image(path, picture(*image))
        return path

    def run(content, style, recipe="jnst", size_px=None, shape=None, **changes):
        asked = Request(given(content), given(style), recipe, size_px, vgg19)
        return make_plan(asked._replace(shape=shape), changes)

    return run


def shapes(plan):
    return [stage.shape for stage in plan.stages]


@pytest.mark.parametrize(
    ("content", "size_px", "expected"),
    [
        # Stages are 128, 181, 256, 362, 512; relu5_1 needs 16 pixels.
        ((220, 2000), 512, [(20, 181), (28, 256), (40, 362), (56, 512)]),
        ((220, 2000), 256, [(20, 181), (28, 256)]),
        ((100, 1200), 512, [(22, 256), (30, 362), (43, 512)]),  # 12 : 1
        ((1200, 100), 256, [(256, 21)]),
        ((100, 3000), 480, [(16, 480)]),
    ],
)
def test_stages_too_small_for_the_layers_are_left_out(plan, content, size_px, expected):
    assert shapes(plan(content, (30, 40), size_px=size_px, **SIZES)) == expected


def test_steps_are_split_over_the_stages_that_are_left(plan):
    fields = SIZES | {"scale_steps": (80, 40, 140)}
    found = plan((100, 1200), (30, 40), size_px=512, **fields)
    assert [stage.steps for stage in found.stages] == [80, 40, 140]
    found = plan((100, 1200), (30, 40), size_px=512, steps=26, **fields)
    assert [stage.steps for stage in found.stages] == [8, 4, 14]


def test_a_texture_may_be_long(plan):
    assert shapes(plan(None, (30, 40), shape=(20, 300))) == [(20, 300)]
    assert shapes(plan(None, (30, 40), shape=(300, 20))) == [(300, 20)]


@pytest.mark.parametrize("recipe", ["jnst", "crowsonkb"])
def test_a_long_style_is_not_brought_below_what_the_layers_need(plan, recipe):
    found = plan((30, 40), (50, 500), recipe, size_px=400, **SIZES)
    assert [stage.styles for stage in found.stages] == [
        ((16, 160),),  # 14 x 141 otherwise
        ((20, 200),),
        ((28, 283),),
        ((40, 400),),
    ]
    found = plan((30, 40), (50, 500), recipe, size_px=128)  # nor at full size
    assert [stage.styles for stage in found.stages] == [((16, 160),)]


def test_an_array_as_style_is_not_brought_below_either(plan):
    found = plan(SQUARE, picture(30, 30), "tf-eager", scale_ratio=2.0, min_size_px=20)
    assert [stage.styles for stage in found.stages] == [((16, 16),), ((30, 30),)]


@pytest.mark.parametrize(
    ("content", "style", "options"),
    [
        ((20, 240), (30, 40), {"size_px": 128}),
        ((30, 40), (8, 80), {"size_px": 128}),
        (picture(9, 120), SQUARE, {}),
        (SQUARE, picture(12, 40), {}),
        (SQUARE, picture(12, 40), {"recipe": "notebook-transfer"}),
        ((30, 40), (8, 80), {"recipe": "notebook-transfer", "style_size_px": 10,
                             "style_aspect": ()}),
        (None, (12, 130), {"size_px": 100}),
        (None, SQUARE, {"shape": (10, 300)}),
        ((10, 300), (30, 40), {"size_px": 40, "recipe": "keras-lbfgs",
                               "style_layers": ("pool5",), "style_layer_weights": (),
                               "size_side": "longer"}),
    ],
)  # fmt: skip
def test_what_is_too_small_at_full_size_is_told_what_would_do(
    plan, content, style, options
):
    with pytest.raises(ValueError, match="pixels a side; use a ") as info:
        plan(content, style, **options)
    advice = str(info.value).split("; ")[-1]
    shape = re.fullmatch(r"use a shape of at least (\d+)x(\d+)", advice)
    size = re.fullmatch(r"use a larger (\w+), at least (\d+)", advice)
    if shape:
        follows = {"shape": (int(shape[1]), 300)}
        less = {"shape": (int(shape[1]) - 1, 300)}
    else:
        follows, less = ({size[1]: int(size[2]) - n} for n in (0, 1))
    assert plan(content, style, **{**options, **follows}).stages
    with pytest.raises(ValueError, match="pixels a side"):
        plan(content, style, **{**options, **less})


def test_where_no_size_would_do_a_larger_picture_is_asked_for(plan):
    with pytest.raises(ValueError, match="larger picture, or style_enlarge=true"):
        plan((30, 40), (12, 130), "crowsonkb", size_px=128)
    assert plan((30, 40), (16, 170), "crowsonkb", size_px=128).stages


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [(20, 22), (40, 44)]),
        # 24 pixels at relu4_1, 48 at relu5_1; a pyramid's second level halves them.
        ({"style_loss": "mrf", "style_layers": ("relu4_1",)}, [(40, 44)]),
        ({"style_loss": "shifted_gram", "style_layers": ("relu4_1",),
          "style_options": {"offsets": (1, 4)}}, [(40, 44)]),
        ({"style_layers": ("relu4_1",), "style_pyramid": 3}, [(40, 44)]),
        ({"content_loss": "laplacian", "content_layers": ("image",),
          "content_options": {"pool": 8}}, [(40, 44)]),
    ],
)  # fmt: skip
def test_what_losses_need_counts_as_well(plan, changes, expected):
    plain = {"style_loss": "gram", "style_layer_weights": (), "style_blend": "losses"}
    found = plan(
        picture(40, 44), SQUARE, scale_ratio=2.0, min_size_px=22, **plain | changes
    )
    assert shapes(found) == expected


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, {}) for table in (STYLE_LOSSES, CONTENT_LOSSES, IMAGE_LOSSES)
          for name, row in table.items() if row.least),
        ("mrf", {"patch": 5}),
        ("shifted_gram", {"offsets": (2, 7, 3)}),
        ("laplacian", {"pool": 2}),
    ],
)  # fmt: skip
def test_a_loss_needs_exactly_as_many_positions_as_its_row_says(name, options):
    row = next(
        t[name] for t in (STYLE_LOSSES, CONTENT_LOSSES, IMAGE_LOSSES) if name in t
    )
    least = least_side(row, options)

    def trace(side):
        maps = jax.ShapeDtypeStruct((1, side, side + 3, 3), jnp.float32)
        if name in STYLE_LOSSES:
            jax.eval_shape(with_options(row.statistic, options), maps)
        elif name in CONTENT_LOSSES:
            jax.eval_shape(with_options(row.distance, options), maps, maps)
        else:
            jax.eval_shape(row.constants, maps)

    trace(least)
    with pytest.raises(ValueError):
        trace(least - 1)


def test_features_of_ones_own_leave_small_stages_out_too(plan, vgg19):
    def extract(image):
        rows = image[:, :40:4] if image.shape[1] >= 20 else image[:, :0]
        return {"rows": rows}

    terms = (jnst.Term("style", "gram", ("rows",)),)
    changes = {"terms": terms, "scale_ratio": 2.0, "min_size_px": 22}
    asked = Request(picture(40, 44), SQUARE, jnst.Recipe(**changes), extract=extract)
    assert shapes(make_plan(asked, {})) == [(20, 22), (40, 44)]
    asked = asked._replace(content=picture(30, 44))
    assert shapes(make_plan(asked, {})) == [(30, 44)]
    with pytest.raises(ValueError, match="of an image 10x44"):
        make_plan(asked._replace(content=picture(10, 44)), {})


@pytest.mark.usefixtures("quick_compile")
def test_a_panorama_runs(vgg19):
    result = jnst.stylize(
        picture(10, 80), picture(7, 80, 1), "tf-tutorial", steps=4, weights=vgg19,
        style_layers=("relu3_1",), content_layers=("relu2_1",), style_layer_weights=(),
        scale_ratio=2.0, min_size_px=20,
    )  # fmt: skip
    assert [stage.shape for stage in result.stages] == [(5, 40), (10, 80)]
    assert [stage.styles for stage in result.stages] == [((4, 40),), ((7, 80),)]
    assert np.isfinite(result.history["loss"]).all()
