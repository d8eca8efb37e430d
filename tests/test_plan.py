"""`jnst plan`: what a run will need, told before it."""

import importlib.util
import json
import math

import benched
import jax
import jax.numpy as jnp
import pytest
from tiny import picture, tiny_params

from jnst.cli.main import main
from jnst.cli.plan import size_text, time_text
from jnst.drivers.plan import Request, make_plan
from jnst.files import write_json
from jnst.planning import forecast, pace, targets, ways
from jnst.planning.needs import Needs
from jnst.planning.targets import Target, find_target
from jnst.weights import save_weights

pytestmark = pytest.mark.usefixtures("quicker_compile")
FIELDS = {"style_loss": "gram", "style_weight": 1.0, "content_weight": 1.0}
MIB = 2**20


class Chip:
    """A device in name alone."""

    platform = "tpu"


def planned(size_px=64, **changes):
    pair = picture(64, 64, 1), picture(64, 64, 2)
    request = Request(*pair, "jnst", size_px, tiny_params())
    return make_plan(request, FIELDS | changes)


def target(free: int | None = 2**33):
    return Target("a chip", "TPU v99", (Chip(),) * 4, False, free)


@pytest.fixture
def tiny_weights(tmp_path):
    path = tmp_path / "tiny.safetensors"
    save_weights(tiny_params(), path)
    return str(path)


def test_the_command_tells_memory_time_and_ways(tiny_weights, capsys):
    words = f"plan --size 64 --weights {tiny_weights} --steps 20 --json".split()
    assert main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == "jnst-plan-1"
    assert (found["size_px"], found["steps"]) == (64, 20)
    memory, times = found["memory"], found["time"]
    parts = memory["program_mib"] + memory["process_mib"]
    assert memory["peak_mib"] == max(parts, memory["compiling_mib"]) > 0
    assert memory["fits"] is True
    assert times["source"] == "measured, 3 steps at 64 px"
    assert times["loop_s"] == pytest.approx(20 * times["step_ms"] / 1e3)
    assert times["hours"] == times["loop_s"] / 3600
    whole, half, tiles = found["ways"]
    assert whole["way"] == "as it is" and half["way"] == "dtype=bfloat16"
    assert whole["largest_size_px"] < half["largest_size_px"]
    assert tiles["way"] == "tile_px=128"


def test_the_table_says_the_same(tiny_weights, capsys):
    words = f"plan --size 64 --weights {tiny_weights} --no-time".split()
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "64x64 px" in text and ": fits" in text and "of a step: not measured" in text
    assert "tile_px=128" in text and "largest px" in text


def test_what_does_not_fit_is_code_1(tiny_weights, capsys, monkeypatch):
    monkeypatch.setattr(targets, "available_bytes", lambda: 10 * MIB)
    words = f"plan --size 64 --weights {tiny_weights} --no-time --json".split()
    assert main(words) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["memory"]["fits"] is False and found["ways"][0]["fits"] is False


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("--device banana", "device must be one of cpu, gpu, tpu, or a TPU that is"),
        ("--device gpu", "there is no gpu here, JAX computes on cpu"),
        ("--device tpu:v5e:2x2", "needs libtpu"),
        ("--devices 4096", "devices=4096 needs 4096"),
        ("--size 70000", "size_px"),
        ("--set banana=1", "banana"),
        ("--results nowhere.json", "nowhere.json"),
        ("--recipe banana", "banana"),
    ],
)
def test_bad_input_is_one_line_and_code_2(
    words, line, tiny_weights, capsys, monkeypatch
):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(["plan", "--weights", tiny_weights, *words.split()]) == 2
    error = capsys.readouterr().err.strip().split("\r")[-1]
    assert "\n" not in error and line in error


def test_sizes_before_the_largest_leave_something_behind(monkeypatch):
    """Two sizes are compiled; each of the others adds what the second added."""
    plan = planned(256, scale_ratio=1.4, min_size_px=128)
    assert len(plan.stages) == 3
    told = {
        plan.stages[0]: Needs(10, 400, 800, 7.0),
        plan.stages[2]: Needs(90, 480, 900, 9.0),
    }
    monkeypatch.setattr(forecast, "needs_of", lambda plan, stage, target: told[stage])
    found = forecast._needs(plan, find_target("cpu"))
    assert found == Needs(90, 560, 980, 7.0 + 2 * 9.0)
    assert found.peak == 980 and found._replace(program=500).peak == 1060


@pytest.mark.parametrize(("size", "factor"), [(64, 1.0), (256, 2.0)])
def test_counts_are_scaled_by_what_xla_says(size, factor):
    """XLA asks for twice the count: what is over grows with a large picture alone."""
    plan, here = planned(size), find_target("cpu")._replace(free=10**9)
    counted = ways.need_of(plan).total
    kernels = ways.kernel_bytes(plan)
    needs = Needs(int(kernels + 2 * counted), 10**8, 0, 0.0)
    scale = ways.scale_of(plan, needs, here)
    assert scale.factor == pytest.approx(factor, rel=1e-3)
    whole = next(ways.ways_of(plan, scale, here))
    assert whole["peak_mib"] * MIB == pytest.approx(needs.program + 10**8)
    side = whole["largest_size_px"]
    assert side % 16 == 0
    for edge, fits in ((side, True), (side + 16, False)):
        peak = scale.peak(ways.need_of(plan)._replace(pixels=float(edge**2)))
        assert (peak <= 10**9) is fits


def test_ways_that_cannot_be_are_refused_by_name():
    plan = planned(style_loss="nnfm")
    scale = ways.Scale(1.0, 0.0, 0.0, 2**33)
    rows = {
        row["way"].split("=")[0]: row for row in ways.ways_of(plan, scale, target())
    }
    assert "nnfm" in rows["tile_px"]["refused"]
    assert "nnfm" in rows["devices"]["refused"]
    assert "refused" not in rows["dtype"]


def test_a_split_takes_all_devices_or_as_many_as_it_needs():
    plan = planned()
    total = ways.need_of(plan).total
    rows = list(ways.ways_of(plan, ways.Scale(1.0, 0.0, 0.0, 2**40), target()))
    assert rows[-1]["way"] == "devices=4"
    assert rows[-1]["peak_mib"] * MIB == pytest.approx(total / 4)
    scale = ways.Scale(1.0, 0.0, 0.0, int(total / 10))
    few = list(ways.ways_of(plan, scale, target(free=int(total / 10))))
    assert few[-1]["way"] == "devices=16 (4 here)" and few[-1]["fits"]
    assert not few[0]["fits"]


def test_nobody_knows_the_memory_of_some_devices():
    plan = planned()
    scale = ways.scale_of(plan, Needs(10**8, 0, 0, 0.0), target(free=None))
    row = next(ways.ways_of(plan, scale, target(free=None)))
    assert row["fits"] is None and row["largest_size_px"] is None


def bench_file(path, **changes):
    row = benched.row([10.0], size_px=512, precision="default") | changes
    document = benched.document(row, device_kind="TPU v99")
    document["rows"].append(row | {"size_px": 128, "step_ms": 1.0})
    write_json(path, document)
    return path


def test_time_is_taken_from_a_benchmark_by_pixels(tmp_path):
    plan = planned()
    path = bench_file(
        tmp_path / "b.json",
        optimizer=plan.recipe.optimizer,
        precision=plan.recipe.precision,
    )
    found = pace.from_results(path, plan, target(), 1024)
    assert found.at(1024**2) == pytest.approx(0.04)  # 4 times the pixels of 512
    assert "512 px" in found.source
    assert pace.from_results(path, plan, target(), 100).at(128**2) == 1e-3
    with pytest.raises(ValueError, match="is of 'TPU v99', and the plan is for 'cpu'"):
        pace.from_results(path, plan, find_target("cpu"), 64)
    half = planned(dtype="bfloat16")
    with pytest.raises(ValueError, match="has no row of .*bfloat16"):
        pace.from_results(path, half, target(), 64)


def test_what_an_older_benchmark_does_not_tell_is_no_difference(tmp_path):
    plan = planned()
    path = bench_file(tmp_path / "b.json", optimizer=plan.recipe.optimizer)
    document = json.loads(path.read_text())
    for row in document["rows"]:
        del row["precision"]
    write_json(path, document)
    assert pace.from_results(path, plan, target(), 128).at(128**2) == 1e-3


def test_a_step_at_best_is_at_the_peak_of_the_chip():
    plan = planned(convolution="xla", precision="default")
    known = target()._replace(kind="TPU v4")
    seconds = pace.at_best(plan, known, 64)
    flops = pace.step_flops(plan.recipe, plan.extract.params, 64)
    assert flops and seconds == pytest.approx(flops / 275e12)
    assert pace.at_best(plan, target(), 64) is None


def test_hours_are_those_of_all_sizes():
    plan = planned(256)
    needs = Needs(1, 0, 0, 5.0)
    given = pace.Pace(1.0, 256**2, "said")
    found = forecast._time(plan, given, needs, target())
    seconds = sum(s.steps * math.prod(s.shape) / 256**2 for s in plan.stages)
    assert found["loop_s"] == pytest.approx(seconds)
    assert found["compile_s"] is None  # it was not compiled as a run there would


def test_figures_are_told_in_units_that_suit():
    assert (size_text(900.4), size_text(2048.0), size_text(None)) == (
        "900 MiB",
        "2.00 GiB",
        "unknown",
    )
    texts = [time_text(x) for x in (0.012, 1.5, 90.0, 600.0, 9000.0)]
    assert texts == ["12 ms", "1.5 s", "90 s", "10 min", "2.5 h"]


@pytest.mark.skipif(
    importlib.util.find_spec("libtpu") is None, reason="the extra 'tpu' is missing"
)
def test_a_tpu_that_is_not_here(tiny_weights, capsys):
    words = f"plan --size 64 --weights {tiny_weights} --device tpu:v5e:2x2 --json"
    assert main(words.split()) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["device_kind"] == "TPU v5 lite" and found["memory"]["fits"] is True
    assert found["memory"]["free_mib"] * MIB == pytest.approx(16e9)
    assert found["time"]["step_ms"] is None and found["time"]["at_best_ms"] > 0
    assert [row["way"] for row in found["ways"]][-1] == "devices=4"
    assert jax.default_backend() == "cpu" and jnp.ones(1).sum() == 1
