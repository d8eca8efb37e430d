"""A sweep: each member is its run alone; what stops one does not stop the others."""

import collections

import jax
import numpy as np
import pytest
from tiny import picture

import jnst
from jnst.drivers.plan import Request
from jnst.loop import step
from jnst.recipes.changing import changed
from jnst.sweeping import capacity, together
from jnst.sweeping.grid import make_axes, points
from jnst.sweeping.members import loader, make_groups, make_members, pattern

pytestmark = pytest.mark.usefixtures("quick_compile")
CONTENT, STYLE = picture(24, 26, seed=1), picture(24, 26, seed=2)
SHALLOW = {
    "style_layers": ("relu1_1",),
    "content_layers": ("relu1_1",),
    "epsilon": 1e-5,  # or Adam makes whole steps of gradients that are but rounding
}
SCALES = {"scale_ratio": 2.0, "min_size_px": 12, "scale_steps": (8, 12)}
NONE = {"metrics": ()}


def swept(params, recipe="jnst", **options):
    known = NONE | SHALLOW | options
    return jnst.sweep(CONTENT, STYLE, recipe, weights=params, **known)


CASES = {
    "Adam from coarse to fine, with averages and seeds": (
        "jnst",
        {"ema": [0.5, 0.9]},
        SCALES | {"seeds": 2, "init": "noise"},
    ),
    # Three members, so that of two at once the last chunk is not full.
    "Adam of another kind, rates": (
        "tf-eager",
        {"learning_rate": [100.0, 300.0, 1000.0]},
        {"steps": 20},
    ),
    "beginnings, each of which balances the weights anew": (
        "jnst",
        {"init": ["content", "noise"]},
        {"style_loss": "mean_std", "steps": 20},
    ),
    "L-BFGS, weights of layers": (
        "gatys",
        {"style_layer_weights": [(1.0, 2.0), (3.0, 1.0)]},
        {"style_layers": ("relu1_1", "relu2_1"), "steps": 20, "init": "noise"},
    ),
    "L-BFGS with a line search": (
        "keras-lbfgs",
        {"tv_weight": [1e-4, 1.0]},
        {"content_weight": 0.0, "init": "noise", "steps": 20},
    ),
}


SLOW = {
    "L-BFGS with a line search",
    "beginnings, each of which balances the weights anew",
}


@pytest.mark.parametrize(
    "case",
    [pytest.param(k, marks=pytest.mark.slow if k in SLOW else ()) for k in CASES],
)
def test_each_member_is_its_run_alone(vgg19, case):
    recipe, grid, changes = CASES[case]
    by_one = swept(vgg19, recipe, grid=grid, at_once=1, **changes)
    by_two = swept(vgg19, recipe, grid=grid, at_once=2, **changes)
    fields = SHALLOW | {k: v for k, v in changes.items() if k != "seeds"}
    images = []
    for pair in zip(by_one, by_two, strict=True):
        point = {k: pair[0][k] for k in ("seed", *grid)}
        result = jnst.stylize(CONTENT, STYLE, recipe, weights=vgg19, **fields | point)
        for found in pair:
            assert not found["error"] and found["steps"] == 20
            np.testing.assert_allclose(found["image"], result.image, atol=1e-4, rtol=0)
            assert set(found["history"]) == set(result.history)
            for name, values in result.history.items():
                history = found["history"][name]
                np.testing.assert_allclose(history, values, rtol=1e-4, err_msg=name)
        images.append(result.image)
    assert len(images) == len(next(iter(grid.values()))) * changes.get("seeds", 1)
    apart = [np.abs(a - b).max() for n, a in enumerate(images) for b in images[:n]]
    assert min(apart) > 1e-3  # no member is another one's copy


def test_members_that_differ_in_numbers_compile_once(vgg19, monkeypatch):
    jax.clear_caches()  # at 16 programs, those of tests before, they are let go
    traced = collections.Counter()
    original = step._step

    def counted(objective, state):
        traced[objective.structure] += 1
        return original(objective, state)

    monkeypatch.setattr(step, "_step", counted)
    grid = {"style_weight": [0.1, 1.0, 7.0], "beta1": [0.8, 0.9], "seed": [3, 4]}
    swept(vgg19, grid=grid, steps=2, init="noise", pooling="average", tv_weight=3.0)
    assert list(traced.values()) == [1]  # twelve members


def test_groups_are_of_members_that_differ_in_numbers_alone(vgg19):
    def count(grid, **changes):
        axes = make_axes(grid, seeds=1, seed=0, given=())
        asked = Request(CONTENT, STYLE, "jnst", weights=vgg19)
        members = make_members(points(axes), asked, SHALLOW | changes)
        groups = make_groups(members, loader())
        assert sorted(m.number for g in groups for m in g.members) == list(
            range(len(members))
        )
        return len(groups)

    assert count({"style_weight": [1, 2], "cooldown": [0.0, 0.3], "seed": [0, 1]}) == 1
    assert count({"init": ["noise", "content"], "decay_rate": [0.9, 1.0]}) == 1
    assert count({"style_weight": [0, 1, 2]}) == 2  # a weight of 0 has no term
    assert count({"style_loss": ["gram", "mean_std"], "tv_weight": [1, 2]}) == 2
    assert count({"recipe": ["jnst", "gatys"], "content_weight": [0.1, 1.0]}) == 2
    assert count({"steps": [2, 3], "memory": [5, 6]}) == 4
    assert count({"style_weight": ["balance", 1.0, 2.0]}) == 2
    assert count({"resize": ["bicubic", "lanczos"]}) == 2  # other pictures


def test_a_pattern_keeps_all_that_is_no_number():
    recipe = changed("jnst", {"style_weight": 3.0, "beta1": 0.5, "seed": 4})
    assert pattern(recipe) == pattern(changed("jnst", {"init": "noise"}))
    for field, value in {"clip": False, "memory": 3, "style_layers": "relu1_1"}.items():
        assert pattern(changed("jnst", {field: value})) != pattern(recipe), field


@pytest.mark.parametrize("at_once", [1, 2])
def test_a_member_whose_loss_is_not_finite_stops_alone(vgg19, at_once):
    # pixels * 1e30 overflow in the network at the second step
    options = {"optimizer": "sgd", "clip": False, "steps": 6}
    grid = {"learning_rate": [0.01, 1e30, 0.02]}
    records = swept(vgg19, "jnst", grid=grid, at_once=at_once, **options)
    assert [bool(record["error"]) for record in records] == [False, True, False]
    with pytest.raises(jnst.NonFiniteLossError) as caught:
        jnst.stylize(
            CONTENT,
            STYLE,
            weights=vgg19,
            learning_rate=1e30,
            **SHALLOW,
            **options,
        )
    stopped = records[1]
    assert stopped["error"] == str(caught.value)
    assert "1e+30" in stopped["error"] and "step 1" in stopped["error"]
    assert stopped["steps"] == len(caught.value.history["loss"])
    np.testing.assert_allclose(stopped["image"], caught.value.image, rtol=0, atol=1e-4)
    assert records[0]["steps"] == records[2]["steps"] == 6
    assert np.isfinite(records[0]["loss"])


@pytest.mark.slow
def test_a_member_that_cannot_be_balanced_does_not_begin(vgg19):
    # beginning at the style, its statistics are equal: no gradient to balance by
    records = swept(
        vgg19,
        grid={"init": ["content", "style"]},
        style_loss="mean_std",
        steps=2,
    )
    assert not records[0]["error"]
    assert "cannot balance 'mean_std'" in records[1]["error"]
    assert records[1]["image"].size == records[1]["steps"] == 0


def test_a_texture_can_be_swept(vgg19):
    records = jnst.sweep(
        None,
        STYLE,
        weights=vgg19,
        grid={"style_weight": [0.5, 1.0]},
        steps=2,
        metrics=["colour"],
        style_layers=("relu1_1",),
    )
    assert [record["image"].shape for record in records] == [STYLE.shape] * 2
    assert all(0 <= record["colour"] <= 1 for record in records)


def test_features_of_ones_own_can_be_swept():
    def extract(image):
        return {"pixels": image, "mean": jax.numpy.mean(image, (1, 2), keepdims=True)}

    fields = {"style_layers": ("pixels",), "content_layers": ("mean",)}
    grid = {"style_weight": [0.5, 1.0]}
    records = jnst.sweep(
        CONTENT, STYLE, extract=extract, grid=grid, steps=3, **NONE, **fields
    )
    result = jnst.stylize(
        CONTENT, STYLE, extract=extract, style_weight=1.0, steps=3, **fields
    )
    np.testing.assert_allclose(records[1]["image"], result.image, rtol=0, atol=1e-6)


def test_where_memory_is_short_fewer_run_at_once(vgg19, monkeypatch):
    original, lengths = together._run, []

    def short(shared, plans, batch, on_event):
        lengths.append(len(plans))
        if len(plans) > 1:
            text = "RESOURCE_EXHAUSTED: Out of memory allocating 99 bytes"
            raise jax.errors.JaxRuntimeError(text)
        return original(shared, plans, batch, on_event)

    monkeypatch.setattr(together, "_run", short)
    grid = {"style_weight": [0.1, 0.2, 0.3, 0.4]}
    records = swept(vgg19, grid=grid, at_once=4, steps=2)
    assert lengths == [4, 2, 1, 1, 1, 1]
    assert not any(record["error"] for record in records)


def test_a_device_that_fails_is_told_member_by_member(vgg19, monkeypatch):
    def failing(*arguments):
        raise jax.errors.JaxRuntimeError("INTERNAL: it\nbroke")

    monkeypatch.setattr(together, "_run", failing)
    records = swept(vgg19, grid={"style_weight": [0.1, 0.2]}, steps=2)
    assert [record["error"] for record in records] == ["INTERNAL: it broke"] * 2


def test_members_at_once_follow_the_devices_memory(vgg19, monkeypatch):
    objective = jnst.make_objective(CONTENT, STYLE, "gatys", weights=vgg19, **SHALLOW)
    one = capacity.bytes_a_member(objective)
    # L-BFGS keeps 100 pairs of differences, each of the picture's 24 x 26 x 3 floats
    assert one > 3 * (200 * 24 * 26 * 3 * 4) + capacity.BYTES_A_PIXEL * 24 * 26
    assert capacity.usual_at_once(objective, 9) == 1  # the CPU that runs the tests

    class Device:
        def memory_stats(self):
            return {"bytes_limit": 10.9 * one}

    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(jax, "devices", lambda: [Device()])
    assert capacity.usual_at_once(objective, 9) == 5  # half of the memory
    assert capacity.usual_at_once(objective, 3) == 3
    monkeypatch.setattr(capacity, "SHARE_OF_MEMORY", 0.01)
    assert capacity.usual_at_once(objective, 9) == 1
    assert [capacity.even_length(n, 4) for n in (4, 5, 8, 9)] == [4, 3, 4, 3]


def test_progress_tells_members_and_time_left(vgg19):
    told = []
    grid = {"tv_weight": [0, 2.0], "seed": [0, 1]}
    swept(vgg19, grid=grid, steps=3, on_progress=told.append)
    assert told[0].share == 0 and told[0].seconds_left is None
    assert [p.done for p in told if not p.running] == [0, 1, 2, 3, 4]
    assert told[-1].share == 1 and told[-1].seconds_left == 0
    shares = [p.share for p in told]
    assert shares == sorted(shares)
    running = [p.running for p in told if p.running]
    assert ["tv_weight=2, seed=1"] in running
    assert all(p.members == 4 for p in told)
