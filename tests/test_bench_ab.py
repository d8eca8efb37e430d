"""`jnst bench --ab`: two versions in turn, and what their processes tell together.

The versions here are commits of a made-up jnst that prints made-up times.
"""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from benched import TIGHT, document, row, scaled

from jnst.bench import ab, checkouts
from jnst.bench.ab import compare_runs, make_ab, middle_row, order, rounds_band
from jnst.bench.against import MIN_SAMPLES, noise_band
from jnst.bench.report import read_document
from jnst.bench.schema import check_document
from jnst.cli.bench import bench
from jnst.cli.main import main
from jnst.image import load_image

MADE_UP = """
import json, pathlib, sys
here = pathlib.Path(__file__).parent
if "--sizes=8" in sys.argv:
    print("warming up\\njnst: error: image is too small", file=sys.stderr)
    sys.exit(2)
if "--sizes=9" in sys.argv:
    print("Aborted", file=sys.stderr)
    sys.exit(134)
made = json.loads((here / "made.json").read_text())
made["options"]["arguments"] = sys.argv[1:]
print(json.dumps(made))
"""


def git(folder, *arguments):
    name = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    command = ["git", "-C", str(folder), *name, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A jnst of two commits, of which the first (tag "old") is half as fast."""
    if shutil.which("git") is None:  # as on the machine of .ci/newest
        pytest.skip("needs git")
    root = tmp_path / "code"
    (root / "jnst").mkdir(parents=True)
    (root / "jnst" / "__init__.py").touch()
    (root / "jnst" / "__main__.py").write_text(MADE_UP)
    git(tmp_path, "init", "-q", str(root))
    for name, factor in (("old", 2.0), ("new", 1.0)):
        made = document(row(scaled(factor)), commit=name)
        (root / "jnst" / "made.json").write_text(json.dumps(made))
        git(root, "add", ".")
        git(root, "commit", "-qm", name)
        git(root, "tag", name)
    monkeypatch.setattr(checkouts, "own_root", lambda: root.resolve())
    return root


@pytest.fixture
def run(repository, capsys, tmp_path, monkeypatch):
    """Runs `jnst bench --ab`: code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        code = main(["bench", *map(str, arguments)])
        out, err = capsys.readouterr()
        return code, out, err

    return call


def worktrees(repository):
    return git(repository, "worktree", "list").splitlines()


def test_the_order_is_a_b_b_a_and_the_other_version_begins():
    assert list(order(3)) == ["before", "now", "now", "before", "before", "now"]


def test_a_commit_and_this_version_run_in_turn(run, repository):
    code, out, err = run("--ab", "old", "--sizes", "256", "-o", "a.json", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found == read_document("a.json")
    [compared] = found["ab"]["rows"]
    assert compared["ratio"] == pytest.approx(0.5) and compared["verdict"] == "faster"
    assert compared["rounds"] == 6 and compared["samples"] == [6 * len(TIGHT)] * 2
    assert found["ab"]["before"]["commit"] == "old" and found["commit"] == "new"
    assert found["rows"][0]["step_ms"] == 100
    handed = ["bench", "--sizes=256", "--json"]
    assert found["options"]["arguments"] == handed
    assert [line for line in err.splitlines() if "round" in line][:3] == [
        "round 1 of 6, old: 256 px float32 gram x1: 200 ms a step",
        "round 1 of 6, this version: 256 px float32 gram x1: 100 ms a step",
        "round 2 of 6, this version: 256 px float32 gram x1: 100 ms a step",
    ]
    assert len(worktrees(repository)) == 1


@pytest.mark.slow
def test_a_slower_version_gives_exit_code_1_and_a_table(run, repository):
    git(repository, "checkout", "-q", "old")
    code, out, err = run("--ab", "new", "--plot", "a.png", "--csv", "a.csv")
    assert code == 1, err
    assert "new (before) and this version (now) in turn, 6 rounds" in out
    assert "2.000" in out and out.splitlines()[-1].endswith("slower")
    assert load_image("a.png").shape[2] == 3
    assert run("--ab", "new", "--threshold", "2.5")[0] == 0


def test_few_rounds_decide_nothing(run, repository):
    git(repository, "checkout", "-q", "old")
    code, out, _ = run("--ab", "new", "--rounds", "2")
    assert code == 0 and "inconclusive: 2 rounds, 6 would do" in out


def test_the_default_of_rounds_is_enough_to_decide():
    [option] = [each for each in bench.params if each.name == "rounds"]
    assert option.default == MIN_SAMPLES


def test_options_are_handed_on_as_they_were_given(run):
    asked = ("--set", "steps=2", "--set", "pooling=max", "--blocks", "--repeats", "9")
    code, out, err = run("--ab", "old", *asked, "--rounds", "1", "--json")
    assert code == 0, err
    found = json.loads(out)["options"]["arguments"]
    handed = ["--set=steps=2", "--set=pooling=max", "--repeats=9", "--blocks"]
    assert sorted(found) == sorted(["bench", *handed, "--json"])


def test_an_interrupt_keeps_whole_rounds_and_leaves_no_worktree(
    run, repository, monkeypatch
):
    left, run_bench = [5], ab.run_bench

    def interrupted(version, arguments):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return run_bench(version, arguments)

    monkeypatch.setattr(ab, "run_bench", interrupted)
    code, out, err = run("--ab", "old", "-o", "a.json")
    assert code == 130 and "interrupted: 2 of 6 rounds" in err
    assert read_document("a.json")["ab"]["rounds"] == 2
    assert "inconclusive" in out and len(worktrees(repository)) == 1
    left[0] = 1
    code, out, err = run("--ab", "old", "-o", "b.json")
    assert (code, out) == (130, "") and not os.path.exists("b.json")
    assert len(worktrees(repository)) == 1


def make_venv(folder, script):
    """A folder that looks like a virtual environment, and a Python that is a script."""
    (folder / "bin").mkdir(parents=True)
    python = folder / "bin" / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    return folder


def test_a_virtual_environment_is_run_by_its_own_python(
    run, repository, tmp_path, monkeypatch
):
    other = repository.with_name("other")
    git(repository, "worktree", "add", "-q", str(other), "old")
    # What a user has on PYTHONPATH would come before the environment's own jnst.
    monkeypatch.setenv("PYTHONPATH", str(repository))
    script = f'PYTHONPATH="$PYTHONPATH:{other}" exec {sys.executable} "$@"'
    venv = make_venv(tmp_path / "venv", script)
    code, out, err = run("--ab", venv, "--rounds", "1", "--json")
    assert code == 0, err
    found = json.loads(out)["ab"]
    assert found["before"]["commit"] == "old"
    assert found["rows"][0]["ratio"] == pytest.approx(0.5)


def error_line(err):
    [line] = [line for line in err.splitlines() if "error" in line]
    return line.removeprefix("jnst: error: ")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--ab", "absent"), 2, "'absent' is no virtual environment"),
        (("--ab", "absent"), 2, "and no commit of"),
        (("--ab", "-q"), 2, "'-q' is no virtual environment"),
        (("--ab", "empty"), 2, "'empty' cannot be run: there is no jnst in it"),
        (("--ab", "broken"), 2, "'broken' cannot be run: no such thing"),
        (("--ab", "old", "--topology", "v5e:2x2"), 2, "leave out --topology"),
        (("--ab", "old", "--profile", "traces"), 2, "leave out --profile"),
        (("--ab", "old", "--peer", "torch"), 2, "leave out --peer"),
        (("--ab", "old", "--against", "a.json"), 2, "leave out --against"),
        (("--ab", "old", "--roofline", "r.png"), 2, "leave out --roofline"),
        (("--ab", "old", "--merge"), 2, "leave out --merge"),
        (("--ab", "old", "a.json"), 2, "leave out files"),
        (("--ab", "old", "--sizes", "8"), 2, "old: image is too small"),
        (("--ab", "old", "--sizes", "9"), 1, "old: Aborted (exit code 134)"),
        (("--ab", "old", "--threshold", "0.5"), 2, "threshold must be at least 1"),
        (("--rounds", "3"), 2, "--rounds goes with --ab"),
    ],
)
def test_what_cannot_be_run_is_told_in_one_line(
    run, repository, tmp_path, arguments, code, message
):
    make_venv(tmp_path / "empty", "echo")
    make_venv(tmp_path / "broken", "echo no such thing >&2; exit 1")
    found, out, err = run(*arguments)
    assert (found, out) == (code, "")
    assert message in error_line(err)
    assert len(worktrees(repository)) == 1


def test_outside_a_checkout_no_commit_can_be_had(run, monkeypatch, tmp_path):
    monkeypatch.setattr(checkouts, "own_root", lambda: tmp_path / "site-packages")
    code, _, err = run("--ab", "old")
    assert code == 2 and "in no git checkout; give a virtual environment" in err


def test_versions_without_a_case_in_common_are_refused():
    now, before = document(row(TIGHT)), document(row(TIGHT, size_px=512))
    with pytest.raises(ValueError, match="no case in common"):
        compare_runs([now], [before])


def test_the_document_has_the_form_and_a_row_is_that_of_a_process():
    now = [document(row(scaled(factor))) for factor in (1.0, 1.3, 1.1)]
    before = [document(row(TIGHT)) for _ in range(4)]
    made = make_ab(now, before, name="old", rounds=4)
    check_document(json.loads(json.dumps(made)), where="made")
    assert made["rows"] == [row(scaled(1.1))] and made["finished"] is False
    assert made["ab"]["rounds"] == 3
    assert middle_row([row([3.0]), row([1.0])])["step_ms"] == 1


def processes(rng, factor, rounds=6, calls=7, between=0.03, within=0.01):
    """Samples of processes that differ more than the calls of one."""
    means = factor * rng.lognormal(0, between, (rounds, 1))
    return [list(each) for each in means * rng.lognormal(0, within, (rounds, calls))]


@pytest.mark.slow
def test_the_band_knows_that_processes_differ(monkeypatch):
    monkeypatch.setattr(ab, "DRAWS", 200)
    rng, inside, pooled = np.random.default_rng(0), 0, 0
    for _ in range(100):
        now, before = processes(rng, 1.1), processes(rng, 1.0)
        low, high = rounds_band(now, before)
        inside += low <= 1.1 <= high
        low, high = noise_band(sum(now, []), sum(before, []))
        pooled += low <= 1.1 <= high
    assert inside >= 88  # 95, less what six rounds cost a bootstrap
    assert pooled < 80  # calls taken for independent would be far too sure


def test_a_drift_that_both_share_widens_the_band_less():
    drift = np.linspace(1, 1.5, 6)
    now = [scaled(1.1 * d) for d in drift]
    before = [scaled(d) for d in drift]
    low, high = rounds_band(now, before)
    apart = rounds_band(now, before[::-1])
    assert low <= 1.1 <= high and high - low < apart[1] - apart[0]
