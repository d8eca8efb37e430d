"""Time to quality: reached, missed, compared; the command and what it refuses."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from tiny import tiny_params

import jnst
from jnst.bench import to_quality
from jnst.bench.quality_report import (
    check_workload,
    compare_quality,
    quality_table,
    read_quality,
)
from jnst.bench.to_quality import (
    Workload,
    demo_pair,
    make_judge,
    median_s,
    run_to,
    shipped_target,
)
from jnst.cli.main import main
from jnst.files import write_json
from jnst.program import compiled, jitted
from jnst.weights import save_weights

pytestmark = pytest.mark.usefixtures("quicker_compile")
SIZE_PX = 64
TARGETS = "data/quality_targets.json"
CHANGES = {"scale_steps": (2, 4), "min_size_px": 32, "scale_ratio": 2.0}
SET = [
    f"--set={name}={','.join(map(str, np.atleast_1d(value)))}"
    for name, value in CHANGES.items()
]


@pytest.fixture(scope="module")
def work(quicker_compile):
    images, params = demo_pair(SIZE_PX), tiny_params()
    return Workload(images, params, make_judge(images, params), 0.0)


@pytest.fixture(scope="module")
def losses(work):
    """What the judge says of the pictures of a run that never ends early."""
    row = run_to(work, "jnst", CHANGES)
    assert not row["reached"] and row["to_target_s"] is None
    assert row["steps"] == row["budget_steps"] == 6
    return [loss for *_, loss in row["curve"]]


def test_a_run_ends_where_the_target_is_reached(work, losses):
    assert len(losses) >= 2
    seen = []
    row = run_to(
        work._replace(target=losses[0]),
        "jnst",
        CHANGES,
        on_look=lambda *look: seen.append(look),
    )
    assert row["reached"] and row["loss"] == losses[0]
    assert row["steps"] < row["budget_steps"]
    assert seen[-1] == (row["steps"], losses[0])
    assert seen[0][1] is None  # the smaller size is not judged
    assert row["curve"] == [[row["to_target_s"], row["loop_s"], row["loss"]]]


def test_the_parts_of_the_time_make_no_more_than_the_whole(work):
    row = run_to(work, "jnst", CHANGES)
    assert 0 < row["loop_s"] and 0 <= row["compile_s"]
    assert row["loop_s"] + row["compile_s"] <= row["wall_s"]


def test_judging_stops_the_clock(work, losses, monkeypatch):
    now = [0.0]
    clock = type("", (), {"perf_counter": staticmethod(lambda: now[0])})
    monkeypatch.setattr(to_quality, "time", clock)

    def judge(image):
        now[0] += 100.0
        return work.judge(image)

    row = run_to(work._replace(judge=judge), "jnst", CHANGES)
    assert row["judging_s"] == 100.0 * len(losses)
    assert row["wall_s"] == 0.0 and row["curve"][-1][0] == 0.0


def test_the_judge_is_the_default_objective_without_its_shift(work):
    image = work.images[0]
    objective = jnst.make_objective(*work.images, weights=work.params, shift_px=0)
    expected = float(objective(image))
    np.testing.assert_allclose(work.judge(image), expected, rtol=1e-5)


def test_a_loss_that_is_not_finite_is_a_miss(work):
    row = run_to(work, "jnst", {**CHANGES, "learning_rate": 1e38, "clip": False})
    assert "error" in row and not row["reached"] and row["to_target_s"] is None


def test_a_miss_is_infinite_and_the_median_bears_one():
    rows = [{"to_target_s": t} for t in (3.0, None, 2.0)]
    assert median_s(rows) == 3.0
    assert median_s([*rows, {"to_target_s": None}, {"to_target_s": None}]) == math.inf


def test_the_shipped_target_is_what_the_committed_run_found():
    results = Path(__file__).parent.parent / "benchmarks" / "results"
    found = json.loads((results / "quality_goal_cpu.json").read_text())
    assert shipped_target(found["size_px"], "vgg19") == found["goal"]
    assert found["rows"][0]["curve"][-1][1] == found["goal"]
    for size, weights in ((128, "vgg19"), (256, "vgg16_torch"), (256, None)):
        with pytest.raises(ValueError, match="give one by --target LOSS"):
            shipped_target(size, weights)


@pytest.mark.slow
@pytest.mark.weights
def test_the_shipped_target_is_of_the_objective_of_today():
    shipped = json.loads((Path(jnst.__file__).parent / TARGETS).read_text())
    for size, row in shipped["targets"].items():
        images = demo_pair(int(size))
        judge = make_judge(images, shipped["origin"]["weights"])
        np.testing.assert_allclose(judge(images[0]), row["loss_of_content"], rtol=1e-3)


def test_the_pair_has_the_size_that_was_asked_for():
    assert [max(image.shape) for image in demo_pair(48)] == [48, 48]


def document(seconds):
    return {"median_s": seconds, "reached": seconds is not None}


@pytest.mark.parametrize(
    ("now", "before", "ratio", "verdict"),
    [
        (2.0, 4.0, 0.5, "faster"),
        (4.2, 4.0, 1.05, "not faster, within the threshold"),
        (6.0, 4.0, 1.5, "slower"),
        (None, 4.0, None, "slower"),
        (4.0, None, None, "faster"),
        (None, None, None, "both missed the target"),
    ],
)
def test_medians_are_compared_and_misses_too(now, before, ratio, verdict):
    found = compare_quality(document(now), document(before), threshold=1.1)
    assert found["verdict"] == verdict
    assert found["ratio"] == (ratio if ratio is None else pytest.approx(ratio))


def test_only_the_same_task_is_compared():
    task = {"pair": "demo", "size_px": 32, "target": 1.0, "judge": "jnst"}
    task["weights_sha256"] = "ab"
    check_workload(task, dict(task))
    for name, other in (("target", 2.0), ("weights_sha256", "cd"), ("size_px", 48)):
        with pytest.raises(ValueError, match=f"another task: {name} is"):
            check_workload(task, {**task, name: other})


def test_a_table_tells_a_miss():
    row = {"seed": 1, "wall_s": 2.0, "loop_s": 1.0, "compile_s": 1.0, "judging_s": 0.1}
    row |= {"steps": 6, "budget_steps": 6, "loss": 0.5, "to_target_s": None}
    lines = quality_table([row]).splitlines()
    assert lines[2].split()[:3] == ["1", "missed", "2.00"]


@pytest.fixture
def forgotten():
    """A place to count in."""
    return []


@pytest.fixture
def run(tmp_path, monkeypatch, capsys, forgotten):
    """Runs `jnst bench --to-quality` on the tiny network: code, stdout, stderr."""
    path = tmp_path / "tiny.safetensors"
    save_weights(tiny_params(), path, title="tiny VGG19 for tests", licence="MIT")
    monkeypatch.chdir(tmp_path)
    # Compiling anew takes most of a minute; what it forgets has a test of its own.
    monkeypatch.setattr(to_quality, "forget_programs", lambda: forgotten.append(1))

    def call(*arguments):
        common = ("--to-quality", "--weights", str(path), "--sizes", str(SIZE_PX))
        code = main(["bench", *common, *SET, *map(str, arguments)])
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_the_next_run_is_a_first():
    compiled(tripled, (np.float32(1),))
    before = jitted.cache_info().currsize
    to_quality.forget_programs()
    assert before > jitted.cache_info().currsize == 0
    program = jitted(tripled, static=0, donated=())
    assert program._cache_size() == 0


def tripled(x):
    return 3 * x


def test_a_target_that_is_reached_and_compared(run, losses, forgotten):
    target = ("--target", losses[0], "--repeats", "2")
    code, out, err = run(*target, "-o", "a.json", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found == read_quality("a.json")
    assert found["schema"] == "jnst-bench-quality-1"
    assert [row["seed"] for row in found["rows"]] == [0, 1]
    assert len(forgotten) == 2
    assert found["reached"] and found["median_s"] > 0
    assert found["options"]["repeats"] == 2
    assert "seed 1: target reached after" in err
    write_json("fast.json", {**found, "median_s": 1e-9})
    code, out, err = run(*target, "--against", "fast.json")
    assert code == 1 and out.splitlines()[-1].endswith("slower"), err
    write_json("slow.json", {**found, "median_s": 1e9})
    code, out, err = run(*target, "--against", "slow.json")
    assert code == 0 and out.splitlines()[-1].endswith("faster"), err


def test_a_target_that_is_missed_is_an_exit_code_and_three_runs(run):
    code, out, err = run("--target", "1e-9", "-o", "a.json")
    assert code == 1
    assert "median infinite (missed) of 3 runs" in out
    assert err.count("target missed") == 3
    found = json.loads(Path("a.json").read_text())
    assert found["median_s"] is None and found["reached"] is False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "no target is known for 64 px with weights"),
        (("--target", "0"), "--target must be a loss above 0, got 0.0"),
        (("--target", "nan"), "--target must be a loss above 0, got nan"),
        (("--target", "1", "--dtypes", "bfloat16"), "leave out --dtypes"),
        (("--target", "1", "--csv", "a.csv"), "leave out --csv"),
        (("--target", "1", "--sizes", "32,48"), "one of --sizes, got '32,48'"),
        (("--target", "1", "--sizes", "0"), "size must be at least 1"),
        (("--target", "1", "--sizes", "8"), "needs at least 16 pixels"),
        (("--target", "1", "--recipe", "gatis"), "Did you mean 'gatys'"),
        (("--target", "1", "--set", "seed=1"), "it runs seeds 0, 1, 2"),
        (("--target", "1", "--set", "size_px=48"), "size_px: use --sizes"),
        (("--target", "1", "--against", "steps.json"), "has schema 'jnst-bench-1'"),
        (("--target", "1", "--against", "other.json"), "another task: target is 1.0"),
    ],
)
def test_bad_input_is_one_line_and_nothing_runs(run, arguments, message):
    Path("steps.json").write_text('{"schema": "jnst-bench-1"}')
    other = {"schema": "jnst-bench-quality-1", "pair": "demo", "size_px": SIZE_PX}
    write_json("other.json", {**other, "target": 2.0})
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert message in err and len(err.splitlines()) == 1


def test_a_target_alone_is_refused(capsys):
    assert main(["bench", "--target", "1"]) == 2
    assert "--target goes with --to-quality" in capsys.readouterr().err
