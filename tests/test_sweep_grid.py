"""Grids as text and as mappings: what is read, and what is refused in one line."""

import numpy as np
import pytest
from tiny import picture, tiny_params

import jnst
from jnst.cli.main import main
from jnst.image import save_image
from jnst.sweeping.grid import Axis, label, labels, make_axes, parse_grid, points

PAIR = picture(20, 22, seed=1), picture(20, 22, seed=2)
PARAMS = tiny_params()


@pytest.mark.parametrize(
    ("text", "field", "values"),
    [
        ("style_weight=1e2,1e3, 1e4", "style_weight", [100.0, 1000.0, 10000.0]),
        ("style_weight=balance,1", "style_weight", ["balance", 1.0]),
        ("clip=true,false", "clip", [True, False]),
        ("seed=3,1", "seed", [3, 1]),
        ("recipe=jnst,gatys", "recipe", ["jnst", "gatys"]),
        ("init=noise;a,b.png", "init", ["noise", "a,b.png"]),
        (
            "style_layers=relu1_1,relu2_1;relu3_1",
            "style_layers",
            [("relu1_1", "relu2_1"), ("relu3_1",)],
        ),
        (
            "style_options=slices=8,p=1;slices=16",
            "style_options",
            [(("slices", 8), ("p", 1)), (("slices", 16),)],
        ),
    ],
)
def test_values_are_read_as_settings_are(text, field, values):
    assert parse_grid([text]) == {field: values}


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ([], "a sweep needs a --grid, such as style_weight=1e2,1e3,1e4"),
        (["style_weight"], "--grid is FIELD=VALUE,VALUE"),
        (["=1,2"], "--grid is FIELD=VALUE,VALUE"),
        (["style_wieght=1,2"], "'style_wieght'. Did you mean 'style_weight'?"),
        (["lr=0.1,0.2"], "Did you mean 'learning_rate'?"),
        (["style_weight=1,,2"], "--grid style_weight has an empty value"),
        (["style_weight="], "--grid style_weight has an empty value"),
        (["style_weight=1,two"], "style_weight must be a number or balance, got 'two'"),
        (["steps=1.5"], "steps must be a whole number"),
        (["tv_weight=1", "tv_weight=2"], "--grid tv_weight is given twice"),
        (["style_layers=relu1_1,relu2_1"], "put semicolons between the values"),
        (["blend=1,2"], "blend cannot be in a grid"),
        (["terms=a,b"], "terms cannot be in a grid"),
        (["objective=a"], "objective cannot be in a grid"),
    ],
)
def test_text_that_is_no_grid_is_refused(texts, words):
    with pytest.raises(ValueError) as caught:
        parse_grid(texts)
    assert words in str(caught.value)


REFUSED = [
    ({}, {}, "grid must be {field: values}"),
    ({"grid": [1]}, {}, "unknown recipe field 'grid'"),
    ({"style_weight": 3.0}, {}, "the grid of style_weight must be a list of values"),
    ({"style_loss": "gram"}, {}, "the grid of style_loss must be a list of values"),
    ({"style_weight": []}, {}, "the grid of style_weight has no values"),
    ({"style_weight": [1, -2]}, {}, "the grid of style_weight: style_weight must be"),
    ({"style_weight": [1e2, 100]}, {}, "the grid of style_weight has 100 twice"),
    ({"beta1": [0.5, 1.0]}, {}, "the grid of beta1: beta1 must be"),
    ({"steps": [0, 5]}, {}, "the grid of steps: steps must be at least 1"),
    ({"size": [64]}, {}, "Did you mean 'size_px'?"),
    ({"recipe": [jnst.RECIPES["jnst"]]}, {}, "takes names: add the recipe to"),
    ({"recipe": ["jsnt"]}, {}, "Did you mean 'jnst'?"),
    ({"style_loss": ["gram", "gramm"]}, {}, "style_loss=gramm: unknown style loss"),
    ({"histogram_weight": [1.0]}, {}, "term 'histogram'"),
    ({"init": ["noise", "nose"]}, {}, "init=nose: unknown init"),
    ({"tv_weight": [1.0]}, {"tv_weight": 2.0}, "tv_weight is in the grid and given"),
    ({"steps": [2]}, {"steps": 3}, "steps is in the grid and given for all"),
    ({"seed": [2]}, {"seeds": 2}, "seeds=2 and a grid of seed: give one"),
    ({"tv_weight": [1]}, {"seeds": 0}, "seeds must be at least 1"),
    ({"tv_weight": [1]}, {"seeds": 2, "seed": 2**32 - 1}, "beyond the last seed"),
    ({"tv_weight": range(1001)}, {}, "has 1001 members, more than 1000"),
    ({"tv_weight": [1]}, {"at_once": 0}, "at_once must be"),
    ({"tv_weight": [1]}, {"metrics": ["sim"]}, "Did you mean 'ssim'?"),
    ({"tv_weight": [1]}, {"metrics": "ssim"}, "metrics must be a list of names"),
    ({"tv_weight": [1]}, {"metrics": ["ms_ssim"]}, "'ms_ssim' cannot be computed"),
    ({"size_px": [24, 3]}, {}, "size_px=3: "),
    (
        {"style_layers": [("relu1_1",)], "style_layer_weights": [(1.0, 2.0)]},
        {},
        "style_layer_weights has 2 values for 1 layers",
    ),
]


@pytest.mark.parametrize(("grid", "options", "words"), REFUSED)
def test_bad_grids_are_refused_before_any_work(grid, options, words, monkeypatch):
    monkeypatch.setattr("jnst.sweeping.driver.run_all", None)  # is not come to
    with pytest.raises(ValueError) as caught:
        jnst.sweep(*PAIR, weights=PARAMS, grid=grid, **{"metrics": ()} | options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_several_pictures_are_refused():
    for pair in ([PAIR[0]], PAIR[1]), (PAIR[0], np.stack([PAIR[1]] * 2)):
        with pytest.raises(ValueError, match="of one content and one style"):
            jnst.sweep(*pair, grid={"tv_weight": [1]}, weights=PARAMS)
    with pytest.raises(ValueError, match="'ssim' needs a content picture"):
        grid = {"tv_weight": [1]}
        jnst.sweep(None, PAIR[1], grid=grid, metrics=["ssim"], weights=PARAMS)


def test_points_are_all_combinations_the_last_field_fastest():
    grid = {"tv_weight": np.array([0, 2]), "clip": [True, False]}
    axes = make_axes(grid, seeds=2, seed=7, given=())
    assert axes == [
        Axis("tv_weight", (0.0, 2.0)),
        Axis("clip", (True, False)),
        Axis("seed", (7, 8)),
    ]
    found = [labels(point) for point in points(axes)]
    assert found[:3] == [
        "tv_weight=0, clip=true, seed=7",
        "tv_weight=0, clip=true, seed=8",
        "tv_weight=0, clip=false, seed=7",
    ]
    assert len(set(found)) == len(found) == 8


def test_labels_are_short_and_tell_values_apart():
    assert label(0.1) == "0.1" and label(1e4) == "10000" and label(1e-7) == "1e-07"
    assert label(0.12345678) == "0.12345678" != label(0.12345679)
    assert label(("relu1_1", "relu2_1")) == "relu1_1,relu2_1"
    assert label((("slices", 8),)) == "slices=8"
    assert label(()) == label(None) == "none" and label(True) == "true"
    assert label(picture) == "picture"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "a sweep needs a --grid"),
        (("--grid", "tv_weigth=1"), "Did you mean 'tv_weight'?"),
        (("--grid", "tv_weight=1,2", "--set", "tv_weight=1"), "and given for all"),
        (("--grid", "steps=1,2", "--steps", "3"), "steps is in the grid and given"),
        (("--grid", "tv_weight=1,2", "--metrics", "lpips"), "unknown metric 'lpips'"),
        (("--grid", "tv_weight=1,-1"), "the grid of tv_weight: tv_weight must be"),
    ],
)
def test_the_command_refuses_in_one_line(arguments, words, tmp_path, capsys):
    for name, pixels in zip(("c.png", "s.png"), PAIR, strict=True):
        save_image(tmp_path / name, pixels)
    files = [str(tmp_path / name) for name in ("c.png", "s.png")]
    code = main(["sweep", *files, "-o", str(tmp_path / "out"), *arguments])
    out, err = capsys.readouterr()
    assert code == 2 and not out
    assert err.startswith("jnst: error: ") and err.count("\n") == 1
    assert words in err
    assert not (tmp_path / "out").exists()
