"""What a value is taken for: seeds, numbers, rows of a table, pictures."""

import gc

import jax
import numpy as np
import optax
import pytest
from tiny import picture

import jnst
from jnst import program
from jnst.drivers.plan import Request, make_plan
from jnst.loop.step import run_chunk
from jnst.losses import STYLE_LOSSES
from jnst.losses.rows import StyleLoss
from jnst.recipes.recipe import Recipe

CONTENT, STYLE = picture(32, 33, 1), picture(33, 32, 2)
SMOOTH = (jnst.Term("tv", "tv_mean_l2"),)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seed": 2**63}, "seed must be at most 4294967295, got 9223372036854775808"),
        ({"seed": 2**32}, "seed must be at most 4294967295, got 4294967296"),
        ({"steps": 2.5}, "steps must be a whole number or none, got 2.5"),
        ({"size_px": "64"}, "size_px must be a whole number, got '64'"),
        ({"learning_rate": "0.1"}, "learning_rate must be a number, got '0.1'"),
        ({"learning_rate": [0.1, 0.2]}, "learning_rate must be a number, got [0.1, 0"),
        (
            {"learning_rate": optax.linear_schedule(1.0, 0.1, 5)},
            "learning_rate must be a number, got <function",
        ),
        ({"optimizer": optax.adamw}, "optax transformation such as optax.adamw(0.1)"),
        ({"content_layers": ()}, "content_layers must not be empty"),
        (
            {"style_layer_weights": (float("nan"), 1, 1, 1, 1)},
            "style_layer_weights must be at least 0, got nan",
        ),
        (
            {"style_loss": "chained_gram", "style_layer_weights": (1, 2, 1, 1, 1)},
            "style_layer_weights must be empty, got (1.0, 2.0, 1.0, 1.0, 1.0): "
            "'chained_gram' takes all layers at once",
        ),
    ],
)
def test_values_of_another_kind_are_named(changes, words):
    with pytest.raises(ValueError) as info:
        Recipe(**changes)
    assert words in str(info.value)


def test_an_array_as_option_is_one_or_is_named():
    scaled = {"style_options": {"scale": np.ones(2)}}
    with pytest.raises(ValueError, match="style_options: scale of loss 'gram'"):
        Recipe(**scaled)


def test_a_layer_alone_is_one_layer():
    assert Recipe(style_layers="relu4_1").style_layers == ("relu4_1",)


def plan_of(vgg19, recipe, **changes):
    return make_plan(Request(CONTENT, STYLE, recipe, weights=vgg19), changes)


def test_a_recipes_own_seed_is_kept(vgg19):
    recipe = Recipe(seed=7)
    assert plan_of(vgg19, recipe).recipe.seed == 7
    assert plan_of(vgg19, recipe, seed=0).recipe.seed == 0
    plans = []
    with pytest.raises(KeyboardInterrupt):
        jnst.stylize(CONTENT, STYLE, recipe, weights=vgg19, on_start=stop(plans))
    assert plans[0].recipe.seed == 7


def stop(plans):
    def start(plan):
        plans.append(plan)
        raise KeyboardInterrupt

    return start


@pytest.mark.parametrize("beyond", [1e-7, -1e-7])
def test_what_a_resize_left_is_clipped(vgg19, beyond):
    image = np.array(CONTENT)
    image[0, 0] = 1 + beyond if beyond > 0 else beyond
    request = Request(image, STYLE, "jnst", weights=vgg19)
    pixels = make_plan(request, {}).content.pixels
    assert 0 <= pixels.min() and pixels.max() <= 1
    image[0, 0] = 1.001
    with pytest.raises(ValueError, match=r"content must be in \[0, 1\], got .* 1.001"):
        make_plan(Request(image, STYLE, "jnst", weights=vgg19), {})


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (
            StyleLoss(lambda x: x.mean(axis=(1, 2)), lambda a, b: (a - b)[0]),
            "loss 'own' of term 'style' must be a scalar, got",
        ),
        (
            (lambda x: x, lambda a, b: 0.0),
            "the row of style loss 'own' must be a jnst.losses.StyleLoss, got tuple",
        ),
    ],
    ids=["no scalar", "tuple"],
)
def test_a_row_that_is_none_names_its_loss(vgg19, monkeypatch, row, words):
    monkeypatch.setitem(STYLE_LOSSES, "own", row)
    small = {"content_weight": 0.0, "style_layers": "relu1_1", "style_weight": 1.0}
    with pytest.raises(ValueError) as info:
        jnst.stylize(
            CONTENT, STYLE, "tf-tutorial", weights=vgg19, style_loss="own", **small
        )
    assert words in str(info.value)


def test_programs_and_arrays_that_are_kept_are_bounded(
    vgg19, monkeypatch, quick_compile
):
    monkeypatch.setattr(program, "MOST_PROGRAMS", 2)
    program.jitted.cache_clear()
    recipe = jnst.Recipe(terms=SMOOTH, steps=1)
    counts = []
    for side in (8, 9, 10, 11, 8, 8):
        jnst.stylize(picture(side, 8), STYLE, recipe, weights=vgg19)
        gc.collect()
        counts.append(len(jax.live_arrays()))
        kept = program.jitted(run_chunk, static=1, donated=(1,))._cache_size()
        assert 1 <= kept <= 2
    assert len({*counts[1:]}) == 1
    program.jitted.cache_clear()


def test_a_program_that_is_there_is_no_cause_to_forget_any(monkeypatch):
    monkeypatch.setattr(program, "MOST_PROGRAMS", 2)
    two, three, four = (np.zeros(n, np.float32) for n in (2, 3, 4))
    kept = []
    for numbers in (two, three, two, three, four, two):
        found, _ = program.compiled(doubled, (numbers,))
        found(numbers)
        kept.append(found._cache_size())
    assert kept == [1, 2, 2, 2, 1, 2]


def doubled(x):
    return 2 * x


@pytest.mark.parametrize("returns", ["last", "ema", "best", "after_best"])
def test_an_events_image_is_what_is_shown(vgg19, returns, quick_compile):
    recipe = jnst.Recipe(terms=SMOOTH, returns=returns, ema=0.5, steps=3)
    objective = jnst.make_objective(CONTENT, STYLE, recipe, weights=vgg19)
    *_, event = jnst.iterate(objective)
    assert event.image.dtype == np.float32
    shown = jnst.shown(objective, event.state)
    np.testing.assert_allclose(event.image, shown, rtol=1e-6)
