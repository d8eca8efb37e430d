"""The benchmarks themselves, on a tiny network: they run, and a page comes of them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jnst.bench.measure import KEY
from jnst.bench.report import read_document

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def run(*arguments, cwd=BENCHMARKS.parent):
    # Programs that run a few times need no optimising; whoever runs the tests with
    # pytest-xdist has no workers to lend.
    environment = {k: v for k, v in os.environ.items() if "XDIST" not in k}
    environment |= {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    environment |= {"PYTHONPATH": os.pathsep.join([str(BENCHMARKS.parent), *sys.path])}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
    )


def run_suite(path, *more):
    common = ("-m", "pytest", "-W", "error", "benchmarks/suite", "--tiny")
    return run(*common, "--results", path, *more)


@pytest.mark.slow
def test_the_suite_runs_and_its_results_become_a_page(tmp_path):
    results = tmp_path / "results"
    results.mkdir()
    # PyTorch, where it is installed, has tests of its own.
    done = run_suite(
        results / "tiny.json", "-k", "not (peer and torch)", "--note", "a test"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    document = read_document(results / "tiny.json")
    assert all(set(KEY) <= set(row) and row["step_ms"] > 0 for row in document["rows"])
    axes = "size dtype loss optimizer batch convolution backbone peer".split()
    assert {row["axis"] for row in document["rows"]} == set(axes)
    assert {row["backbone"] for row in document["rows"]} == {"vgg16", "vgg19"}
    assert {row["what"] for row in document["starts"]} >= {"first step", "import jnst"}
    assert document["limits"] and document["suite_s"] > 0
    page = tmp_path / "README.md"
    made = run(BENCHMARKS / "page.py", "--results", results, "--output", page)
    assert made.returncode == 0, made.stderr
    text = page.read_text()
    assert "**a test**" in text
    assert f"commit {document['commit'] or 'unknown'}" in text
    assert f"{document['rows'][0]['step_ms']:.4g}" in text
    for name in ("variants", "peers", "limit"):
        assert (tmp_path / "pictures" / f"suite_{name}.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--results", "absent/a.json"), "no existing folder"),
        (("--results", "a.txt"), "must end in one of .json"),
        (("--benchmark-disable",), "nothing to measure"),
    ],
)
def test_what_the_suite_cannot_do_is_said_before_it_runs(arguments, message):
    done = run("-m", "pytest", "benchmarks/suite", "--tiny", *arguments)
    assert done.returncode == 4
    assert message in done.stderr


def test_results_are_not_replaced_unasked(tmp_path):
    path = tmp_path / "there.json"
    path.write_text("{}")
    done = run_suite(path)
    assert done.returncode == 4 and "exists already" in done.stderr
    assert json.loads(path.read_text()) == {}
