"""`stylize` from arrays: its contract, its sizes, its failures, what it compiles."""

import logging

import jax
import numpy as np
import optax
import pytest
from tiny import picture

import jnst
from jnst.loop.initial import INITS
from jnst.program import jitted

pytestmark = pytest.mark.usefixtures("quick_compile")
CONTENT, STYLE, OTHER = picture(40, 48, 1), picture(36, 50, 2), picture(30, 33, 3)
# Two blocks of the network and one size: compiles in a second.
SHALLOW = {
    "style_loss": "gram",
    "style_options": (),
    "style_layers": ("relu1_1", "relu2_1"),
    "style_layer_weights": (),
    "style_blend": "losses",
    "style_weight": 1.0,
    "content_layers": ("relu2_2",),
    "content_weight": 1.0,
    "learning_rate": 0.02,
    "scale_ratio": 1.0,
    "steps": 5,
}


@pytest.fixture(scope="module")
def run(vgg19):
    def stylize(content=CONTENT, style=STYLE, **changes):
        return jnst.stylize(content, style, weights=vgg19, **(SHALLOW | changes))

    return stylize


def compilations(caplog, fn):
    """How many programs XLA compiles while `fn` runs, and its result."""
    caplog.clear()
    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        result = fn()
    done = [r for r in caplog.records if "Finished XLA compilation" in r.getMessage()]
    caplog.clear()
    return len(done), result


def test_the_result_keeps_its_contract(run):
    result = run()
    assert isinstance(result.image, np.ndarray)
    assert result.image.dtype == np.float32 and result.image.shape == CONTENT.shape
    assert 0 <= result.image.min() and result.image.max() <= 1
    assert set(result.history) == {"loss", "content", "style", "tv"}
    for name, values in result.history.items():
        assert isinstance(values, np.ndarray) and values.shape == (5,), name
    total = sum(v for k, v in result.history.items() if k != "loss")
    np.testing.assert_allclose(result.history["loss"], total, rtol=1e-5)
    assert result.recipe.steps == 5 and result.recipe.learning_rate == 0.02
    assert result.seconds > 0 and result.compile_seconds > 0


def test_history_is_the_objective_before_each_update(run):
    fields = {"tv_weight": 0.0, "ema": 0.0, "shift_px": 0, "cooldown": 0.0}
    result = run(steps=3, returns="last", **fields)
    # The first image is the content itself: no content loss yet.
    assert result.history["content"][0] == 0 and result.history["content"][1] > 0
    for steps in (1, 2):
        image = run(steps=steps, returns="last", **fields).image
        again = run(init=image, steps=1, **fields)
        before = again.history["loss"][0]
        np.testing.assert_allclose(result.history["loss"][steps], before, rtol=1e-4)


def test_the_same_seed_gives_the_same_result_and_another_does_not(run):
    one, two, three = (run(init="noise", seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.image, two.image)
    np.testing.assert_array_equal(one.history["loss"], two.history["loss"])
    assert np.abs(one.image - three.image).max() > 0.1


def test_a_second_call_of_the_same_shapes_compiles_nothing(run, caplog):
    jitted.cache_clear()  # else other tests' programs may fill it up in between
    content, style = picture(24, 26, 1), picture(22, 20, 2)
    first, _ = compilations(caplog, lambda: run(content, style))
    assert first > 0  # so that the count counts
    second, _ = compilations(caplog, lambda: run(content, style, seed=7))
    assert second == 0


@pytest.mark.parametrize(
    "change",
    [
        {"style_weight": 3.0},
        {"content_weight": 0.5},
        {"tv_weight": 0.1},
        {"style_layer_weights": (0.3, 0.7)},
        {"steps": 10},
    ],
    ids=lambda change: next(iter(change)),
)
def test_changing_a_weight_or_the_steps_compiles_nothing(run, caplog, change):
    before = run()
    count, after = compilations(caplog, lambda: run(**change))
    assert count == 0
    assert after.history["loss"][-1] != before.history["loss"][-1]


def test_sizes_go_from_coarse_to_fine_and_end_at_the_contents(run):
    shapes = []
    result = run(
        steps=6,
        scale_ratio=2.0,
        min_size_px=12,
        scale_steps=(1,),
        on_progress=lambda progress: shapes.append(progress.shape),
    )
    assert [stage.shape for stage in result.stages] == [(10, 12), (20, 24), (40, 48)]
    assert [stage.steps for stage in result.stages] == [2, 2, 2]
    assert list(dict.fromkeys(shapes)) == [(10, 12), (20, 24), (40, 48)]
    assert result.image.shape == CONTENT.shape and len(result.history["loss"]) == 6


def test_size_px_is_the_longer_side(run):
    result = run(size_px=24, steps=1)
    assert result.image.shape == (20, 24, 3)


def test_a_texture_needs_no_content(run):
    result = run(None, shape=(20, 28), steps=2, init="noise")
    assert result.image.shape == (20, 28, 3)
    assert "content" not in result.history
    assert run(None, steps=1).image.shape == STYLE.shape


def test_several_styles_are_weighted(run):
    both = run(style=[STYLE, OTHER], steps=1, blend=[1.0, 3.0])
    single = [run(style=s, steps=1).history["style"][0] for s in (STYLE, OTHER)]
    expected = 0.25 * single[0] + 0.75 * single[1]
    np.testing.assert_allclose(both.history["style"][0], expected, rtol=1e-5)
    even = run(style=[STYLE, OTHER], steps=1)
    np.testing.assert_allclose(even.history["style"][0], np.mean(single), rtol=1e-5)


def test_statistics_of_several_styles_blend_before_they_are_compared(run):
    twice = {"style": [STYLE, STYLE], "blend": [1.0, 3.0]}
    one = run(**twice, steps=1, style_blend="statistics")
    np.testing.assert_allclose(
        one.history["style"], run(steps=1).history["style"], rtol=1e-5
    )
    mixed = run(style=[STYLE, OTHER], steps=1, style_blend="statistics")
    losses = run(style=[STYLE, OTHER], steps=1)
    assert mixed.history["style"][0] < losses.history["style"][0]  # convexity


def test_values_of_an_initial_array_outside_0_to_1_are_kept(run):
    init = 3 * CONTENT - 1
    kept = run(init=init, steps=1, tv_loss="tv_sum_l2", tv_weight=1.0)
    expected = jnst.losses.compute("tv_sum_l2", init)
    np.testing.assert_allclose(kept.history["tv"][0], expected, rtol=1e-5)
    assert 0 <= kept.image.min() and kept.image.max() <= 1


@pytest.mark.parametrize("name", INITS)
def test_every_initial_image_runs(run, name):
    result = run(init=name, steps=1)
    assert np.isfinite(result.history["loss"]).all()


def test_any_gradient_transformation_optimises(run):
    optimizer = optax.chain(optax.clip(1.0), optax.rmsprop(0.01))
    losses = run(optimizer=optimizer, steps=8, init="noise").history["loss"]
    assert losses[-1] < losses[0]


def test_progress_comes_at_least_as_often_as_asked(run):
    seen = []
    result = run(steps=10, save_every=5, on_progress=seen.append)
    assert {5, 10} <= {progress.step for progress in seen}
    last = seen[-1]
    assert last.steps == 10 and last.shape == (40, 48)
    assert last.losses["loss"] == result.history["loss"][-1]
    np.testing.assert_array_equal(last.image, result.image)


def test_starting_is_told_before_any_step(run):
    order = []
    run(on_start=lambda plan: order.append(plan), on_progress=lambda _: order.append(1))
    assert order[0].recipe.steps == 5 and order[0].stages[0].shape == (40, 48)
    assert 1 in order[1:]


def test_a_loss_that_is_not_finite_stops_the_run_with_advice(run):
    with pytest.raises(jnst.NonFiniteLossError) as info:
        run(
            optimizer="sgd",
            learning_rate=1e30,
            clip=False,
            steps=6,
            returns="last",
            ema=0.0,
        )
    message = str(info.value)
    assert "\n" not in message and "at step 1, in content" in message
    assert "lower learning_rate (now 1e+30) or content_weight (now 1)" in message
    np.testing.assert_array_equal(info.value.image, CONTENT)  # the last good one
    assert len(info.value.history["loss"]) == 2
    assert np.isfinite(info.value.history["loss"][0])


def test_a_loss_that_begins_not_finite_is_not_blamed_on_the_learning_rate(run):
    with pytest.raises(jnst.NonFiniteLossError) as info:
        run(content_weight=1e18, init=1e15 * CONTENT, steps=1)
    message = str(info.value)
    assert "\n" not in message and "learning_rate" not in message
    assert "the loss is inf at step 0, before any step, in content" in message
    assert "choose another loss or lower content_weight (now 1e+18)" in message


def test_the_term_at_fault_is_named_where_another_comes_before_it(run):
    with pytest.raises(jnst.NonFiniteLossError) as info:
        run(init=1e15 * CONTENT, steps=1)  # squares are finite, fourth powers are not
    assert "in style: choose another loss or lower style_weight" in str(info.value)


def test_features_keep_the_given_names(vgg19):
    found = jnst.features(CONTENT, ("block2_conv1", "conv1_1"), weights=vgg19)
    assert {k: v.shape for k, v in found.items()} == {
        "block2_conv1": (1, 20, 24, 4),
        "conv1_1": (1, 40, 48, 4),
    }
    assert found["conv1_1"].min() < 0  # before the ReLU
    single = jnst.features(CONTENT, "relu1_1", weights=vgg19, pooling="average")
    assert list(single) == ["relu1_1"]
