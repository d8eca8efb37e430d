"""Preparing and timing the user's own step."""

import dataclasses
import time
import types

import jax
import jax.monitoring
import numpy as np
import pytest

import jnst
from jnst.bench import measure as measuring
from jnst.bench import prepared as prepared_module
from jnst.bench import speeds as speeds_module
from jnst.bench.cases import OBJECTIVE, Case, make_cases, make_pictures, with_loss
from jnst.bench.measure import measure, on_host, time_in_turn
from jnst.bench.peers import PEERS
from jnst.bench.prepared import check_case, prepare
from jnst.bench.roofline import Roof
from jnst.bench.session import DEFAULTS, case_name, profile, run_cases
from jnst.objective import features

pytestmark = pytest.mark.usefixtures("quick_compile")
SHORT = dataclasses.replace(OBJECTIVE, steps=2)


def make_peer(case, params):
    return PEERS["keras"](case, params, prepare(case, params))


@pytest.fixture(scope="module")
def prepared(vgg19):
    return prepare(Case(SHORT, 32), vgg19)


@pytest.fixture
def compilations():
    """Names of XLA compilations while the test runs."""
    found = []

    def listen(event, seconds, **_):
        if event.endswith("backend_compile_duration"):
            found.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield found
    jax.monitoring.unregister_event_duration_listener(listen)


def test_pictures_are_seeded_in_range_and_all_different():
    one, two = make_pictures(Case(SHORT, 24, 3)), make_pictures(Case(SHORT, 24, 3))
    for name in one._fields:
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    assert one.first.shape == one.contents.shape == (3, 1, 24, 24, 3)
    assert one.style.shape == (1, 24, 24, 3)
    images = [*one.first, *one.contents, one.style]
    assert len({image.tobytes() for image in images}) == 7
    assert all(i.min() >= 0 and i.max() <= 1 and i.dtype == np.float32 for i in images)


def test_cases_are_the_product_of_what_is_asked():
    cases = make_cases(
        OBJECTIVE, [32, 48], dtypes=["float32", "bfloat16"], batches=[1, 2]
    )
    assert len(cases) == len(set(cases)) == 8
    assert [case.size_px for case in cases[:2]] == [32, 48]


def test_another_loss_leaves_its_options_and_weight_behind():
    recipe = dataclasses.replace(OBJECTIVE, style_options=(("scale", "chw"),))
    changed = with_loss(recipe, "wasserstein2")
    assert (changed.style_options, changed.style_weight) == ((), 1.0)
    assert with_loss(recipe, "gram") == recipe


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sizes": [0]}, "size must be at least 1"),
        ({"sizes": [32], "batches": [0]}, "batch must be at least 1"),
        ({"sizes": [32], "losses": ["grams"]}, "Did you mean 'gram'"),
        ({"sizes": [32], "dtypes": ["float16"]}, "Did you mean 'bfloat16'"),
        ({"sizes": [32], "optimizers": ["adamw"]}, "Did you mean 'adam'"),
    ],
)
def test_bad_cases_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        make_cases(OBJECTIVE, **changes)


def test_an_image_too_small_is_refused_before_it_runs(vgg19):
    with pytest.raises(ValueError, match="needs at least 16 pixels"):
        check_case(Case(OBJECTIVE, 8), vgg19)


def test_it_is_the_step_of_a_run(prepared, vgg19):
    """The losses are those of `jnst.step` on the same pictures."""
    found = on_host(prepare(Case(SHORT, 32), vgg19).step())
    pictures = make_pictures(Case(SHORT, 32))
    pair = pictures.contents[0, 0], pictures.style[0]
    objective = jnst.make_objective(*pair, SHORT, weights=vgg19)
    state, step = jnst.init(objective, pictures.first[0, 0]), jax.jit(jnst.step)
    for n in range(prepared.steps_per_call):
        state, losses = step(objective, state)
        for name, value in losses.items():
            np.testing.assert_allclose(found[name][0, n], value, rtol=1e-5)


@pytest.mark.parametrize(("make", "times"), [(prepare, 1), (make_peer, 2)])
def test_parameters_are_prepared_as_a_run_prepares_them(
    make, times, vgg19, monkeypatch
):
    seen = []

    def make_network(params, fields, **how):
        seen.append(fields)
        return features.make_network(params, fields, **how)

    monkeypatch.setattr(prepared_module, "make_network", make_network)
    make(Case(SHORT, 32), vgg19)
    # A peer with our network prepares its own.
    assert seen == [SHORT.objective] * times


def test_each_image_of_a_batch_runs_as_if_alone(vgg19):
    case = Case(SHORT, 32, 2)
    batch = prepare(case, vgg19)
    losses = on_host(batch.step())
    assert losses["loss"].shape == (2, batch.steps_per_call)
    alone = on_host(prepare(Case(SHORT, 32), vgg19).step())
    for name in alone:
        np.testing.assert_allclose(losses[name][0], alone[name][0], rtol=1e-4)
    assert (np.abs(losses["loss"][1] / losses["loss"][0] - 1) > 1e-3).all()


@pytest.mark.slow
def test_a_keyed_and_joint_loss_runs_in_a_batch(vgg19):
    [case] = make_cases(SHORT, [32], losses=["strotss"], batches=[2])
    losses = on_host(prepare(case, vgg19).step())
    assert losses["loss"].shape[0] == 2 and np.isfinite(losses["loss"]).all()


def test_timed_calls_compile_and_upload_nothing(prepared, compilations):
    prepared.step()
    compilations.clear()
    with jax.transfer_guard("disallow"):
        prepared.step()
    assert not compilations
    jax.jit(lambda x: x + 1.5)(1.0)
    assert compilations  # the listener does hear


def test_calls_are_timed_in_turn():
    order = []

    def sleep():
        order.append(2)
        time.sleep(0.01)

    seconds = time_in_turn({"one": lambda: order.append(1), "two": sleep}, 3)
    assert order == [
        1,
        2,
        2,
        1,
        1,
        2,
    ]  # there and back, so that none has a better place
    assert [len(v) for v in seconds.values()] == [3, 3]
    assert min(seconds["two"]) >= 0.01 > max(seconds["one"])


def test_the_figures_of_a_row_follow_from_its_time(vgg19, monkeypatch):
    roof = Roof(1e-3, "here", 5.0, "there")
    monkeypatch.setattr(speeds_module, "roof_here", lambda *a, **k: roof)
    timer = lambda calls, n: {"jnst": [0.2] * n}  # noqa: E731
    row = measure(Case(SHORT, 32, 2), vgg19, repeats=3, timer=timer)
    steps = row["steps_per_call"]
    assert row["step_ms"] == pytest.approx(200 / steps)
    assert row["step_ms_deciles"] == pytest.approx([200 / steps] * 2)
    assert row["mpx_steps_per_s"] == pytest.approx(2 * 32 * 32 * steps / 0.2 / 1e6)
    flops = 2 * row["gflop_per_step"] * 1e9 * steps
    assert row["tflop_per_s"] == pytest.approx(flops / 0.2 / 1e12)
    assert row["utilisation"] == pytest.approx(row["tflop_per_s"] / 1e-3)
    assert row["flops_by_hand"] == 2 * row["gflop_per_step"] * 1e9  # of both images
    executed = row["flops_xla"] / (row["step_ms"] / 1e3) / 1e12
    assert row["hfu"] == pytest.approx(executed / 1e-3)
    assert row["t_memory_ms"] == pytest.approx(row["hbm_bytes"] / 5e6)
    assert row["peak_tflop_per_s_source"] == "here" and "error" not in row
    assert (row["size_px"], row["batch"], row["dtype"]) == (32, 2, "float32")
    # The state of two images and the network's own activations, by XLA's account.
    assert row["peak_source"] == "program"
    assert row["peak_mib"] > 2 * 3 * 32 * 32 * 4 * 6 / 2**20
    assert row["first_loss"] > 0


def test_a_figure_above_the_peak_is_an_error_in_the_row(vgg19, monkeypatch):
    roof = Roof(1e-9, "a wrong sheet", 5.0, "there")
    monkeypatch.setattr(speeds_module, "roof_here", lambda *a, **k: roof)
    row = measure(Case(SHORT, 32), vgg19, repeats=1)
    assert row["error"].startswith("HFU is ") and "(a wrong sheet)" in row["error"]
    assert row["step_ms"] > 0  # the time stays


def test_one_of_several_devices_is_held_against_its_own_roof(vgg19, monkeypatch):
    roof = Roof(1.0, "here", 5.0, "there")
    monkeypatch.setattr(speeds_module, "roof_here", lambda *a, **k: roof)
    cost = {"flops": 4e9, "bytes accessed": 1e6}
    program = types.SimpleNamespace(cost_analysis=lambda: cost, as_text=lambda: "")
    four = speeds_module.speeds(Case(SHORT, 32, devices="4"), vgg19, 8.0, program)
    one = speeds_module.speeds(Case(SHORT, 32), vgg19, 8.0, program)
    assert four["tflop_per_s"] == pytest.approx(one["tflop_per_s"])
    assert four["utilisation"] == pytest.approx(one["utilisation"] / 4)
    assert four["hfu"] == one["hfu"] == 0.5  # XLA counts one device's share
    half = speeds_module.speeds(Case(SHORT, 32, mode="forward"), vgg19, 8.0, program)
    assert half["flops_by_hand"] == one["flops_by_hand"] / 2


def test_repeats_are_checked(vgg19):
    with pytest.raises(ValueError, match="at least 1, got 0"):
        measure(Case(SHORT, 32), vgg19, repeats=0)


def test_a_device_tells_its_own_peak_where_a_case_raised_it(prepared, monkeypatch):
    monkeypatch.setattr(measuring, "_device_peak", lambda: 3 * 2**20)
    found = measuring._memory(prepared.program, 2**20)
    assert found == {"peak_mib": 3.0, "peak_source": "device"}
    assert measuring._memory(prepared.program, 3 * 2**20)["peak_source"] == "program"


def test_a_case_that_does_not_fit_is_a_row_and_the_next_goes_on(vgg19, monkeypatch):
    from jnst.bench import session

    def full(case, params, **_):
        if case.size_px == 32:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory")
        return {"size_px": case.size_px}

    monkeypatch.setattr(session, "measure", full)
    rows = run_cases(make_cases(SHORT, [32, 48]), vgg19)
    assert rows[0]["error"] == "out of memory" and rows[0]["size_px"] == 32
    assert rows[1] == {"size_px": 48}


def test_a_profile_leaves_a_trace(prepared, tmp_path):
    files = profile(prepared, tmp_path / "trace")
    ends = [path.name.split(".", 1)[1] for path in files]
    assert sorted(ends) == ["trace.json.gz", "xplane.pb"]
    assert all(path.stat().st_size > 100 for path in files)


def test_every_backend_has_defaults_and_every_case_a_name():
    assert set(DEFAULTS) == {"cpu", "gpu", "tpu"}
    names = [case_name(c) for c in make_cases(OBJECTIVE, [32, 48], batches=[1, 2])]
    assert len(set(names)) == 4
