"""`jnst bench --merge`: files of several devices or versions in one table."""

import csv
import json

import pytest
from benched import TIGHT, document, row, scaled

from jnst.bench.merging import merged_rows, read_documents, sources_of
from jnst.bench.plot import _series
from jnst.bench.schema import check_document
from jnst.cli.main import main
from jnst.files import write_json
from jnst.image import load_image

CHIP = {"device": "gpu (NVIDIA H200)", "device_kind": "NVIDIA H200"}


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Runs `jnst bench --merge` beside three files: code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    write_json("cpu.json", document(row(TIGHT), row(scaled(4.0), size_px=512)))
    write_json(
        "gpu.json", document(row(scaled(0.01, spread=0.01), size_px=512), **CHIP)
    )
    write_json("new.json", document(row(scaled(0.9)), commit="abcdef"))

    def call(*arguments):
        code = main(["bench", *map(str, arguments)])
        out, err = capsys.readouterr()
        return code, out, err

    return call


def named(*documents):
    """Documents as if read from files."""
    return [one | {"file": f"{n}.json"} for n, one in enumerate(documents)]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (({}, CHIP), ["cpu (x86_64, 2 cores)", "gpu (NVIDIA H200)"]),
        (({"cpu": "A"}, {"cpu": "B, AVX-512"}), ["A", "B, AVX-512"]),
        (({}, {"commit": "abcdef"}), ["commit 0123456789", "commit abcdef"]),
        (({}, {"versions": {"jax": "0.11"}}), ["jnst 0.1.0, JAX 0.10.2", "JAX 0.11"]),
        (({}, {"date": "2027-01-01"}), ["2026-11-29T12:00:00+00:00", "2027-01-01"]),
        (
            ({}, {**CHIP, "commit": "abc"}, {"commit": "abc"}),
            [
                "cpu (x86_64, 2 cores), commit 0123456789",
                "gpu (NVIDIA H200), commit abc",
                "cpu (x86_64, 2 cores), commit abc",
            ],
        ),
        (
            ({}, {}),
            [f"2026-11-29T12:00:00+00:00, {n}.json" for n in (0, 1)],
        ),
        (({},), ["2026-11-29T12:00:00+00:00"]),
    ],
)
def test_a_source_is_named_by_what_differs(changes, expected):
    assert sources_of(named(*(document(**each) for each in changes))) == expected


def test_what_nothing_tells_apart_has_a_number():
    names = sources_of([document() | {"file": "a.json"}] * 2)
    assert len(set(names)) == 2 and names[1].endswith("a.json (2)")


def test_rows_of_one_case_follow_each_other_and_keep_their_figures():
    one = document(row(TIGHT), row(TIGHT, size_px=512))
    other = document(row(scaled(2.0), size_px=512), row(scaled(3.0)), **CHIP)
    rows = merged_rows(named(one, other))
    assert [(r["size_px"], r["step_ms"]) for r in rows] == [
        *((256, 100), (256, 300), (512, 100), (512, 200))
    ]
    cpu, gpu = one["device"], CHIP["device"]
    assert [r["source"] for r in rows] == [cpu, gpu, cpu, gpu]
    assert set(_series(rows)) == {cpu, gpu}  # of the plot


def test_one_table_one_plot_one_file_and_one_csv(run):
    files = ("--csv", "all.csv", "--plot", "all.png", "-o", "all.json")
    code, out, err = run("--merge", "cpu.json", "gpu.json", *files)
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0] == (
        "cpu (x86_64, 2 cores): cpu.json, 2026-11-29T12:00:00+00:00, tiny"
    )
    assert lines[2].split()[:2] == ["from", "px"]
    assert [line.split()[0] for line in lines[4:]] == ["cpu", "cpu", "gpu"]
    assert load_image("all.png").shape[2] == 3
    with open("all.csv", newline="") as file:
        found = [(line["source"], line["size_px"]) for line in csv.DictReader(file)]
    assert found[2] == ("gpu (NVIDIA H200)", "512")
    assert all(f"wrote all.{kind}" in err for kind in ("csv", "png", "json"))


def test_a_merged_file_is_merged_again_and_loses_nothing(run):
    assert run("--merge", "cpu.json", "gpu.json", "-o", "two.json")[0] == 0
    code, out, err = run("--merge", "two.json", "new.json", "--json")
    assert code == 0, err
    found = json.loads(out)
    files = ["cpu.json", "gpu.json", "new.json"]
    assert [one["file"] for one in found["documents"]] == files
    for one in found["documents"]:
        check_document(one, where="merged")
    with open("gpu.json") as file:
        assert found["documents"][1] == json.load(file) | {"file": "gpu.json"}
    assert read_documents(["two.json"])[1]["rows"][0]["step_ms"] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--merge",), "--merge needs FILEs"),
        (("cpu.json",), "files such as 'cpu.json' go with --merge"),
        (("--merge", "cpu.json", "./cpu.json"), "'./cpu.json' is named twice"),
        (("--merge", "absent.json"), "'absent.json': No such file"),
        (("--merge", "cpu.json", "--sizes", "32"), "leave out --sizes"),
        (("--merge", "cpu.json", "--roofline", "r.png"), "leave out --roofline"),
        (("--merge", "cpu.json", "--against", "gpu.json"), "leave out --against"),
        (("--merge", "cpu.json", "--set", "steps=2"), "leave out --set"),
        (("--merge", "cpu.json", "--repeats", "7"), "leave out --repeats"),
        (("--merge", "cpu.json", "-o", "gpu.json"), "exists already"),
        (("--merge", "wrong.json"), "rows[0].step_ms"),
        (("--merge", "half.json"), "half.json, documents[1]' has schema None"),
        (("--merge", "none.json"), "documents is no list"),
        (("--merge", "list.json"), "has schema None"),
        (("--against", "half.json"), "has schema 'jnst-bench-merged-1'"),
    ],
)
def test_what_cannot_be_merged_is_told_in_one_line(run, arguments, message):
    merged = {"schema": "jnst-bench-merged-1"}
    write_json("wrong.json", document(row(TIGHT, step_ms="fast")))
    write_json("half.json", merged | {"documents": [document(), {}]})
    write_json("none.json", merged | {"documents": []})
    write_json("list.json", [])
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    [line] = err.splitlines()
    assert message in line
