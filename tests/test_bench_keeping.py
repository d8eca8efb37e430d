"""Rows of `jnst bench` are written as they come, and checks come before the work.

Nothing is measured here: a case's times are made up.
"""

import csv
import json

import pytest
from benched import TIGHT, document, row
from tiny import tiny_params

from jnst.bench import networks, session
from jnst.bench.measure import describe
from jnst.bench.report import read_document
from jnst.cli.main import main
from jnst.files import write_json

EIGHT = ("--sizes", "16,32,48,64", "--losses", "gram,mean_std")
TIMES = ("step_ms", "step_ms_deciles", "samples_ms")


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Runs `jnst bench`: code, stdout, stderr; `run.stop` cases are measured."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(networks, "random_params", lambda backbone: tiny_params())

    def measure(case, params, **how):
        if call.measured == call.stop:
            raise KeyboardInterrupt
        call.measured += 1
        made = row(TIGHT)
        told = describe(case, params) | {name: made[name] for name in TIMES}
        return told | {"first_loss": 1.0, "mpx_steps_per_s": 1.0}

    def call(*arguments):
        call.measured = 0
        code = main(["bench", "--weights", "random", *map(str, arguments)])
        out, err = capsys.readouterr()
        return code, out, err

    call.stop = None
    monkeypatch.setattr(session, "measure", measure)
    return call


def test_an_interrupt_after_five_of_eight_keeps_five(run):
    run.stop = 5
    code, out, err = run(*EIGHT, "-o", "a.json", "--csv", "a.csv")
    assert code == 130
    assert "interrupted: 5 of 8 cases are measured" in err.splitlines()[-1]
    kept = read_document("a.json")
    sizes = [row["size_px"] for row in kept["rows"]]
    assert sizes == [16, 32, 48, 64, 16] and kept["finished"] is False
    with open("a.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == 5
    lines = out.splitlines()
    assert [line.split()[0] for line in lines[3:]] == list(map(str, sizes))


def test_an_interrupt_prints_one_json_document_too(run):
    run.stop = 5
    code, out, _ = run(*EIGHT, "--json")
    assert code == 130 and len(json.loads(out)["rows"]) == 5


def test_each_row_is_in_the_file_before_the_next_is_measured(run, monkeypatch):
    found, measure = [], session.measure

    def look(*arguments, **how):
        if run.measured:
            kept = read_document("a.json")
            assert kept["finished"] is False
            found.append(len(kept["rows"]))
            with open("a.csv", newline="") as file:
                assert len(list(csv.DictReader(file))) == found[-1]
        return measure(*arguments, **how)

    monkeypatch.setattr(session, "measure", look)
    assert run(*EIGHT, "-o", "a.json", "--csv", "a.csv")[0] == 0
    assert found == [1, 2, 3, 4, 5, 6, 7]
    assert read_document("a.json")["finished"] is True


def test_a_failure_keeps_what_came_before_it(run, monkeypatch):
    measure = session.measure

    def fail(*arguments, **how):
        if run.measured == 2:
            raise FloatingPointError("losses differ")
        return measure(*arguments, **how)

    monkeypatch.setattr(session, "measure", fail)
    code, _, err = run(*EIGHT, "-o", "a.json")
    assert code == 1 and "losses differ" in err
    assert len(read_document("a.json")["rows"]) == 2


def test_an_interrupt_before_the_first_row_leaves_an_old_file(run):
    write_json("a.json", {"old": True})
    assert run("-o", "a.json")[0] == 2 and run.measured == 0
    run.stop = 0
    code, out, err = run("-o", "a.json", "--overwrite")
    assert (code, out) == (130, "") and "interrupted" in err
    with open("a.json") as file:
        assert json.load(file) == {"old": True}
    run.stop = 1
    assert run("-o", "a.json", "--overwrite")[0] == 130
    assert len(read_document("a.json")["rows"]) == 1


def measured_here(run, *arguments):
    """A document of this machine, as made up."""
    code, out, err = run("--sizes", "16,32", "--json", *arguments)
    assert code == 0, err
    return json.loads(out)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"device_kind": "NVIDIA H200"}, "of another device, 'NVIDIA H200'"),
        ({"weights": {"title": "VGG19, another"}}, "other weights, 'VGG19, another'"),
        ({"rows": [row(TIGHT, label="gatys")]}, "the nearest has"),
        ({"rows": [{"size_px": "big"}]}, "rows[0]"),
        ({"versions": 3}, "versions: 3 is not of type 'object'"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_the_work(run, changes, message):
    write_json("b.json", measured_here(run) | changes)
    code, out, err = run("--sizes", "16,32", "--against", "b.json", "-o", "a.json")
    assert (code, out, run.measured) == (2, "", 0)
    [line] = err.splitlines()
    assert message in line and "b.json" in line


def test_a_case_that_an_earlier_file_lacks_is_a_warning(run):
    write_json("b.json", measured_here(run))
    code, out, err = run("--sizes", "16,64", "--against", "b.json", "--json")
    assert code == 0, err
    assert "b.json has nothing to compare 64 px float32 gram x1 with" in err
    found = json.loads(out)["against"]
    assert [(x["size_px"], x["verdict"]) for x in found] == [(16, "within noise")]


def test_an_interrupted_run_is_compared_as_far_as_it_got(run):
    write_json("b.json", measured_here(run))
    run.stop = 1
    code, out, _ = run("--sizes", "16,32", "--against", "b.json")
    assert code == 130 and "against the earlier run" in out
    code, out, _ = run("--sizes", "64,16", "--against", "b.json")
    assert code == 130 and "against the earlier run" not in out


def test_what_is_written_has_the_form_that_is_shipped(run):
    write_json("b.json", measured_here(run))
    assert run("--sizes", "16", "--against", "b.json", "-o", "a.json")[0] == 0
    assert read_document("a.json")["against"]
    assert document()["schema"] == read_document("a.json")["schema"]
