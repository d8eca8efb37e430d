"""What eight devices compute, held to what one does; `test_devices.py` runs this file.

It is collected there, in a process of its own: how many devices a CPU is taken for is
decided when JAX starts.
"""

import os

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"

import json
import re
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from kept import SHALLOW as SHALLOW_RUN
from kept import assert_same, gone_on, make_inputs, stopped
from tiny import picture

import jnst
from jnst.bench.collectives import collectives
from jnst.bench.networks import random_params
from jnst.cli.main import main
from jnst.keep.keeper import Keeper
from jnst.loop.step import _compiled
from jnst.planning import forecast
from jnst.planning.needs import Needs
from jnst.weights import save_weights

pytestmark = pytest.mark.usefixtures("quicker_compile")
CONTENT, STYLE = picture(50, 37, 1), picture(44, 52, 2)
DEEP = ("relu1_1", "relu2_1", "relu5_1")
SHALLOW = {
    "style_layers": ("relu1_1", "relu2_1"),
    "content_layers": ("relu2_1",),
    "convolution": "xla",
}
LOSS, GRADIENT = 1e-5, 1e-4
"""Largest deviations: of the loss by its size, of the gradient by its largest entry."""


@jax.jit
def slope(objective, image):
    return jax.value_and_grad(lambda x: objective(x))(image)


def held(content, recipe, vgg19, devices, **changes):
    """Checks loss and gradient, and returns the text of the split program."""
    found = []
    for chosen in (None, devices):
        objective = jnst.make_objective(
            content, STYLE, recipe, weights=vgg19, devices=chosen, **SHALLOW | changes
        )
        image = jnp.asarray(picture(*objective.start.shape, 3))
        found.append(jax.device_get(slope(objective, image)))
    (loss, gradient), (split_loss, split_gradient) = found
    np.testing.assert_allclose(split_loss, loss, rtol=LOSS)
    size = np.abs(gradient).max()
    np.testing.assert_allclose(split_gradient, gradient, rtol=0, atol=GRADIENT * size)
    return slope.lower(objective, image).compile().as_text()


def test_there_are_eight_devices():
    assert jax.device_count() == 8


def test_an_uneven_picture_is_the_same_on_eight_devices(vgg19):
    held(CONTENT, "jnst", vgg19, 8, style_layers=DEEP)


@pytest.mark.parametrize(("devices", "shape"), [("4x2", (128, 64)), ("2x4", (64, 128))])
def test_rows_and_columns_of_maps_that_divide(vgg19, devices, shape):
    content, style = picture(*shape, 1), picture(*shape, 2)
    found = []
    for chosen in (None, devices):
        objective = jnst.make_objective(
            content, style, weights=vgg19, devices=chosen, convolution="xla"
        )
        image = jnp.asarray(picture(*shape, 3))
        found.append(jax.device_get(slope(objective, image)))
        # An objective that a program closes over is a constant of it.
        loss = jax.jit(lambda x, o=objective: o(x))(image)
        np.testing.assert_allclose(loss, found[-1][0], rtol=LOSS)
    (loss, gradient), (split_loss, split_gradient) = found
    np.testing.assert_allclose(split_loss, loss, rtol=LOSS)
    size = np.abs(gradient).max()
    np.testing.assert_allclose(split_gradient, gradient, rtol=0, atol=GRADIENT * size)


@pytest.mark.parametrize("loss", ["covariance", "cmd", "shifted_gram", "guided_gram"])
def test_statistics_add_up_over_devices(vgg19, loss):
    changes = {"style_loss": loss, "style_weight": 1.0, "style_options": ()}
    text = held(CONTENT, "gatys", vgg19, 8, size_px=50, **changes)
    for result in re.findall(r"= (.*?) all-(?:gather|to-all)(?:-start)?\(", text):
        assert ",4]" not in result  # maps have four channels, pictures three


def run(vgg19, devices, content=CONTENT, style=STYLE, recipe="jnst", **changes):
    fields: dict = {"style_layers": ("relu1_1",), "content_layers": ("conv1_2",)}
    fields |= {"init": "noise", "epsilon": 1e-4, "scale_ratio": 9.0, "steps": 4}
    fields |= {"convolution": "xla", "style_layer_weights": (1.0,)} | changes
    return jnst.stylize(
        content, style, "jnst", weights=vgg19, devices=devices, **fields
    )


@pytest.mark.parametrize("recipe", ["gatys", "keras-lbfgs"])
def test_a_run_of_lbfgs_gives_the_same_picture(vgg19, recipe):
    changes = {"recipe": recipe, "scale_steps": (4,), "resize": "bilinear"}
    one, split = (run(vgg19, devices, **changes) for devices in (None, 8))
    for name, values in one.history.items():
        np.testing.assert_allclose(split.history[name], values, rtol=1e-4)
    np.testing.assert_allclose(split.image, one.image, rtol=0, atol=1e-4)


def test_a_run_goes_from_coarse_to_fine(vgg19):
    changes = {"scale_ratio": 2.0, "min_size_px": 24, "scale_steps": (2, 2)}
    one, split = (run(vgg19, devices, steps=4, **changes) for devices in (None, 8))
    assert len(split.stages) == 2
    np.testing.assert_allclose(split.history["loss"], one.history["loss"], rtol=1e-4)


def test_what_divides_stays_split_from_step_to_step(vgg19):
    content = picture(48, 36, 1)
    objective = jnst.make_objective(
        content, STYLE, "gatys", weights=vgg19, devices=4, **SHALLOW
    )
    state = jnst.init(objective)
    state, _ = jnst.step(objective, state)
    known = _compiled._cache_size()
    state, _ = jnst.step(objective, state)
    assert _compiled._cache_size() == known
    shapes = {x.sharding.shard_shape(x.shape) for x in jax.tree.leaves(state)}
    assert state.image.sharding.shard_shape(state.image.shape) == (1, 12, 36, 3)
    assert (100, 1, 12, 36, 3) in shapes  # L-BFGS's memory
    target = objective.targets["content"][0]["relu2_1"]
    assert target.sharding.shard_shape(target.shape) == (1, 6, 18, 4)
    kernel = objective.extract.params["conv1_1"]["kernel"]
    assert kernel.sharding.is_fully_replicated


def test_pictures_of_a_batch_go_to_devices_of_their_own(vgg19):
    contents = np.stack([picture(26, 24, seed) for seed in range(4)])
    styles = np.stack([picture(20, 30, seed) for seed in range(4, 8)])
    changes = {"shift_px": 4}
    one, split = (
        run(vgg19, devices, contents, styles, **changes) for devices in (None, "4x2")
    )
    np.testing.assert_allclose(split.history["loss"], one.history["loss"], rtol=1e-4)
    np.testing.assert_allclose(split.image, one.image, rtol=0, atol=1e-4)


def test_features_of_ones_own_are_refused():
    with pytest.raises(ValueError, match="extract cannot be split over devices"):
        jnst.make_objective(
            CONTENT, STYLE, "gatys", extract=lambda x: {"same": x}, devices=8
        )


def test_pictures_of_a_batch_tell_each_other_nothing(vgg19):
    contents = np.stack([picture(26, 24, seed) for seed in range(8)])
    objective = jnst.make_objective(
        contents, STYLE, "gatys", weights=vgg19, devices=8, **SHALLOW
    )
    image = jnp.asarray(contents)
    program = jax.jit(lambda o, x: jax.vjp(o, x)[1](jnp.ones(8)))
    text = program.lower(objective, image).compile().as_text()
    assert not collectives(text)


@pytest.mark.parametrize(("devices", "members"), [(8, 8), ("4x2", 4)])
def test_members_of_a_sweep_run_on_devices_of_their_own(vgg19, devices, members):
    """Five members; on eight devices three places are left over."""
    rates = [0.01, 0.02, 0.03, 0.04, 0.05]
    fields = SHALLOW | {"optimizer": "sgd", "scale_steps": (3,), "steps": 3}
    given = {"weights": vgg19, "grid": {"learning_rate": rates}, "metrics": ()}
    running = []

    def hear(progress):
        running.append(len(progress.running))

    one = jnst.sweep(CONTENT, STYLE, **given, **fields)
    split = jnst.sweep(
        CONTENT, STYLE, devices=devices, on_progress=hear, **given, **fields
    )
    assert max(running) == min(members, 5)
    for a, b in zip(one, split, strict=True):
        assert a["learning_rate"] == b["learning_rate"] and not b.get("error")
        np.testing.assert_allclose(b["image"], a["image"], rtol=0, atol=1e-4)
        np.testing.assert_allclose(b["loss"], a["loss"], rtol=1e-4)


def test_a_split_run_goes_on_to_the_same_bits(tmp_path):
    """On one device it goes on to the same to rounding; a batch on both axes."""
    content, style = make_inputs(tmp_path)
    asked = SHALLOW_RUN | {"weights": str(tmp_path / "t.safetensors"), "size_px": 24}
    asked |= {"convolution": "xla", "epsilon": 1e-4, "init": "noise", "devices": 8}
    expected = jnst.stylize(content, style, **asked)
    output = tmp_path / "o.png"
    stopped(7, output, content, style, **asked)
    shutil.copytree(f"{output}.checkpoint", tmp_path / "one.png.checkpoint")
    assert_same(gone_on(output, content, style, **asked)[0], expected)
    with Keeper(tmp_path / "one.png", other_devices=True) as keeper:
        one = jnst.stylize(content, style, keeper=keeper, **asked | {"devices": None})
        assert keeper.begun == 7
    np.testing.assert_allclose(one.image, expected.image, rtol=0, atol=1e-4)
    several = [picture(24, 20, seed) for seed in range(4)]
    asked |= {"devices": "4x2", "size_px": None}
    expected = jnst.stylize(several, style, **asked)
    stopped(3, output, several, style, **asked)
    assert_same(gone_on(output, several, style, **asked)[0], expected)


def test_a_plan_of_a_split_run_is_of_the_network_that_it_runs(monkeypatch):
    """XLA's convolutions; Winograd's, on one device, would gather whole maps."""
    planned = []

    def seen(plan, stage, target):
        planned.append(plan)
        return Needs(10**9, 0, 0, 0.0)

    monkeypatch.setattr(forecast, "needs_of", seen)
    given = {"size_px": 64, "weights": random_params("vgg19"), "timed": False}
    for devices in (None, 8):
        found = forecast.forecast("gatys", {}, devices=devices, **given)
    assert found["devices"] == 8 and planned[1].mesh.size == 8
    one, split = (plan.extract.params.values() for plan in planned)
    assert not all("kernel" in layer for layer in one)
    assert all("kernel" in layer for layer in split)


def test_a_benchmark_runs_the_split_step(vgg19, tmp_path, capsys):
    """First losses are one device's; efficiency is that of the speeds told."""
    weights = tmp_path / "tiny.safetensors"
    save_weights(vgg19, weights, title="tiny", licence="MIT")
    command = ["bench", "--weights", str(weights), "--sizes", "64", "--repeats", "2"]
    command += ["--set", "steps=2", "--devices", "1,4,2x2", "--scaling", "strong,weak"]
    assert main([*command, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["devices"] for row in rows] == ["1", "4", "2x2"] * 2
    assert [row["size_px"] for row in rows] == [64] * 3 + [64, 128, 128]
    for row in rows[:4]:
        assert row["first_loss"] == pytest.approx(rows[0]["first_loss"], rel=LOSS)
    for row in rows:
        alike = [x for x in rows if x["scaling"] == row["scaling"]]
        speedup = row["mpx_steps_per_s"] / alike[0]["mpx_steps_per_s"]
        count = {"1": 1, "4": 4, "2x2": 4}[row["devices"]]
        assert row["efficiency"] == pytest.approx(speedup / count)
    batch = ["--devices", "2x2", "--batch", "2", "--json"]
    assert main([*command[:7], *batch]) == 0
    [row] = json.loads(capsys.readouterr().out)["rows"]
    assert (row["devices"], row["batch"]) == ("2x2", 2)
    assert row["first_loss"] == pytest.approx(rows[0]["first_loss"], rel=LOSS)
