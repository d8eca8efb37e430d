"""Parts of a step: forward, gradient, and each block by itself."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnst.bench.blocks import (
    blocks_table,
    check_blocks,
    levels_of,
    measure_blocks,
    parts_of,
)
from jnst.bench.cases import OBJECTIVE, Case, make_cases
from jnst.bench.measure import measure, on_host, timings
from jnst.bench.modes import MODES, in_a_row
from jnst.bench.prepared import check_case, prepare

pytestmark = pytest.mark.usefixtures("quick_compile")
SHORT = dataclasses.replace(OBJECTIVE, steps=2)
PYRAMID = dataclasses.replace(SHORT, style_pyramid=2)


@pytest.fixture(scope="module", params=[SHORT, PYRAMID], ids=["plain", "pyramid"])
def prepared(request, vgg19):
    return prepare(Case(request.param, 48), vgg19)


@pytest.mark.parametrize("mode", ["forward", "gradient"])
@pytest.mark.parametrize("batch", [1, 2])
def test_a_part_evaluates_what_the_first_step_does(mode, batch, vgg19):
    part = prepare(Case(SHORT, 32, batch, mode=mode), vgg19)
    whole = on_host(prepare(Case(SHORT, 32, batch), vgg19).step())
    found = on_host(part.step())
    assert part.steps_per_run == 1 and set(found) == set(whole)
    for name in whole:
        assert found[name].shape == whole[name].shape
        first = whole[name][:, :1]
        np.testing.assert_allclose(found[name], first.repeat(2, 1), rtol=1e-5)


def test_the_gradient_is_that_of_the_objective(vgg19):
    part = prepare(Case(SHORT, 32, mode="gradient"), vgg19)
    image = part.begin().image
    slope = jax.jit(jax.grad(lambda x: part.objective(x[0])))(image)
    _, found = part.program(part.objective, image)
    size = jnp.abs(slope).max()
    np.testing.assert_allclose(found, slope, atol=float(1e-5 * size), rtol=0)


def test_a_forward_pass_has_half_the_operations_of_a_gradient(vgg19):
    flops = [
        measure(Case(SHORT, 32, mode=mode), vgg19, repeats=1, warmup=1)
        for mode in MODES
    ]
    forward, gradient, step = (row["gflop_per_step"] for row in flops)
    assert 2 * forward == gradient == step
    assert [row["mode"] for row in flops] == list(MODES)


def test_an_unknown_mode_is_refused(vgg19):
    [case] = make_cases(SHORT, [32], modes=["forwards"])
    with pytest.raises(ValueError, match="Did you mean 'forward'"):
        check_case(case, vgg19)


def test_calls_are_waited_for_one_by_one_on_a_cpu(monkeypatch):
    waited = []
    monkeypatch.setattr(jax, "block_until_ready", lambda x: waited.append(x) or x)
    assert in_a_row(lambda: 3, 2) == [3, 3]
    assert waited == [3, 3, [3, 3]]
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    waited.clear()
    in_a_row(lambda: 3, 2)
    assert waited == [[3, 3]]


def test_blocks_in_a_chain_are_the_network(prepared):
    """Each block's result is what the whole network gives."""
    objective, state = prepared.objective, prepared.begin()
    parts = parts_of(objective, state)
    assert list(parts) == [
        *("conv1", "conv2", "conv3", "conv4", "conv5"),
        *("losses", "optimiser"),
    ]
    for number, level in enumerate(levels_of(objective, state.image)):
        whole = objective.extract(level.pixels, level.layers)
        for name in list(parts)[:5]:
            if len(parts[name]) <= number:
                continue  # the content's layer is looked at on the whole image alone
            function, arrays, (section,) = parts[name][number]
            found, slope = function(*arrays, section)
            assert slope.shape == arrays[1].shape
            for layer in section.layers:
                size = float(jnp.abs(whole[layer]).max())
                np.testing.assert_allclose(
                    found[layer], whole[layer], atol=1e-5 * size, rtol=0
                )


def test_the_last_parts_are_the_loss_and_the_step(prepared):
    objective, state = prepared.objective, prepared.begin()
    parts = parts_of(objective, state)
    [(judge, given, static)] = parts["losses"]
    loss, (slope, _) = judge(*given, *static)
    first = on_host(prepare_again(prepared))["loss"][0, 0]
    np.testing.assert_allclose(loss, first, rtol=1e-5)
    assert slope.shape == state.image.shape
    [(move, given, _)] = parts["optimiser"]
    after, _ = move(*given)
    assert int(after.step) == 1
    # Adam's first step is as long as its rate wherever there is a gradient.
    moved = np.abs(np.asarray(after.image - state.image))
    assert moved.max() == pytest.approx(SHORT.learning_rate, rel=1e-3)


def prepare_again(prepared):
    """Returns the losses of a state of its own, as the fixture's goes on."""
    state = prepared.begin()
    _, losses = prepared.program(prepared.objective, state, np.int32(1))
    return [losses]


def test_backward_passes_in_a_chain_are_the_gradient(prepared):
    """From the last block to the first they give the whole network's gradient."""
    objective, state = prepared.objective, prepared.begin()
    level, parts = levels_of(objective, state.image)[0], parts_of(objective, state)

    def squares(pixels):
        found = objective.extract(pixels, level.layers)
        return sum(jnp.vdot(x, x) / 2 for x in found.values())

    whole, slope = jax.jit(jax.grad(squares))(level.pixels), None
    for name in ("conv5", "conv4", "conv3", "conv2", "conv1"):
        function, (network, maps, out), (section,) = parts[name][0]
        own = {k: out[k] for k in out if k in section.layers}
        ends = {section.end: jnp.zeros_like(out[section.end])} | own
        if slope is not None:
            ends[section.end] = ends[section.end] + slope
        _, slope = function(network, maps, ends, section)
    size = float(jnp.abs(whole).max())
    np.testing.assert_allclose(slope, whole, atol=1e-5 * size, rtol=0)


def test_a_table_of_blocks(vgg19):
    prepared = prepare(Case(SHORT, 32), vgg19)

    def timer(calls, repeats):
        return {name: [2.0] * repeats for name in calls}

    row = measure_blocks(prepared, repeats=3, timer=timer)
    assert [each["share"] for each in row["blocks"]] == pytest.approx([1 / 7] * 7)
    assert row["blocks_over_step"] == pytest.approx(7)
    one = timings([2.0], prepared.steps_per_call)["step_ms"]
    assert row["blocks"][0]["ms"] == pytest.approx(one)
    assert row["blocks"][0]["gflop"] > row["blocks"][4]["gflop"] > 0
    lines = blocks_table([row | {"size_px": 32, "dtype": "f", "loss": "gram"}])
    assert "conv3" in lines and "14.3%" in lines
    assert blocks_table([{"size_px": 32}]) == ""


def test_a_term_that_looks_at_pixels_alone_has_no_blocks(vgg19):
    flat = dataclasses.replace(
        SHORT, style_layers=("image",), content_layers=("image",), content_weight=1.0
    )
    prepared = prepare(Case(flat, 32), vgg19)
    assert list(parts_of(prepared.objective, prepared.begin())) == [
        *("losses", "optimiser")
    ]


@pytest.mark.parametrize("changes", [{"batch": 2}, {"devices": "2"}, {"mode": "x"}])
def test_blocks_are_of_whole_steps_of_one_image(changes):
    case = Case(SHORT, 32)
    check_blocks([case])
    with pytest.raises(ValueError, match="--blocks looks at whole steps"):
        check_blocks([case, case._replace(**changes)])
