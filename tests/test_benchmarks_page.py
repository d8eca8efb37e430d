"""benchmarks/page.py: what the page says, and that the committed one says just that."""

import json
import re
from pathlib import Path

import pytest

from jnst.bench.report import SCHEMA
from jnst.cli.bench_topology import SCHEMA as TOPOLOGY_SCHEMA

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture(autouse=True)
def beside(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def row(size_px, step_ms, **more):
    usual = {"batch": 1, "dtype": "float32", "loss": "gram", "optimizer": "adam"}
    usual |= {"convolution": "auto", "backbone": "vgg19", "label": "objective"}
    usual |= {"size_px": size_px, "step_ms": step_ms, "axis": "size", "compile_s": 3.0}
    usual |= {"step_ms_deciles": [0.9 * step_ms, 1.2 * step_ms], "peak_mib": 40.0}
    usual |= {"samples_ms": [step_ms], "peak_source": "program", "gflop_per_step": 50.0}
    usual |= {"mpx_steps_per_s": size_px**2 / step_ms / 1e3, "tflop_per_s": 0.05}
    usual |= {"flops_counted": "network, style loss", "peak_tflop_per_s": None}
    return usual | more


def write(folder, name, rows, **more):
    document = {"schema": SCHEMA, "date": "2026-01-02T03:04:05+00:00", "commit": "abc"}
    document |= {"device": "cpu (x, 2 cores)", "cpu": "Fast, AVX2", "harness": "p 1"}
    document |= {"versions": {"jax": "0.10.2"}, "rows": rows, "note": None}
    path = folder / f"{name}.json"
    path.write_text(json.dumps(document | more))


@pytest.fixture
def results(tmp_path):
    """Two runs on one machine, one on another, and a file of something else."""
    folder = tmp_path / "results"
    folder.mkdir()
    limit = {"by": "xla", "dtype": "float32", "side": 64, "ms": 1.0}
    start = {"what": "first step", "s": 3.5, "cache": "warm", "shape": [48, 64]}
    peer = {"peer": "torch", "ratio": 0.5, "peer_step_ms": 400.0, "axis": "peer"}
    peer |= {"peer_peak_rss_mib": 500.0, "jnst_peak_rss_mib": 450.0}
    later = [row(128, 100.0), row(256, 300.0), row(256, 200.0, **peer)]
    out = {**row(512, 1.0), "step_ms": None, "error": "out of memory"}
    write(folder, "a", [row(128, 150.0)])
    write(
        *(folder, "b", [*later, out]),
        date="2026-01-03T00:00:00+00:00",
        commit="def",
        limits=[limit | {"tflop_per_s": 0.02}, limit | {"tflop_per_s": 0.1}],
        starts=[start | {"phases": {"import_s": 0.7}}],
    )
    write(folder, "c", [row(128, 2.0, peak_tflop_per_s=0.25)], device="gpu (Big)")
    chip = {"topology": "v9:1x1", "device_kind": "TPU v9", "size_px": 512, "chunk": 10}
    chip |= {"label": "objective"}
    chip |= {"dtype": "bfloat16", "loss": "gram", "compile_s": 60.0, "flops": 4e11}
    chip |= {"flops_ratio": 1.05, "bytes_accessed": 7e9, "temp_mib": 300.0}
    chip |= {"peak_mib": 400.0, "fits": True}
    versions = {"jax": "0.10.2", "libtpu": "0.1"}
    about = {"schema": TOPOLOGY_SCHEMA, "versions": versions, "topology": "v9:1x1"}
    write(folder, "tpu", [chip], **about)
    write(folder, "tpu2", [chip | {"label": "jnst"}], **about)
    (folder / "other.json").write_text('{"rows": [{"size_px": 1}]}')
    return folder


def section(page, title):
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", page, re.M | re.S)[1]


def cells(text):
    """Rows of all tables in some text, stripped."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_section_says_what_the_files_hold(results):
    from page import make_page

    page = make_page(results)
    assert ["size", "128", "1"] in [
        line[:3] for line in cells(section(page, "One step"))
    ]
    history = cells(section(page, "History"))
    assert history[0][1:] == ["2026-01-02 abc", "2026-01-03 def", "last / first"]
    # 256 px has no first run; 128 px has two, and 100 / 150 of its time.
    assert history[2:] == [["128 px", "150", "100", "0.67"]]
    peers = cells(section(page, "Peers"))
    assert peers[2][-3:] == ["200", "400", "0.50"]
    shares = {
        line[0]: line[-2:] for line in cells(section(page, "Distance to the limit"))
    }
    assert shares["256"] == ["50%", "measured: 64 x 64 matmul, xla"]  # of the faster
    assert shares["128"] == ["20%", "published peak"]  # of the last table, the GPU's
    assert "| " in section(page, "Memory") and "500" in section(page, "Memory")
    assert ["first step", "warm", "64 x 48", "3.50", "0.70"] in cells(
        section(page, "Cold start")
    )
    topology = cells(section(page, "TPU, compiled ahead of time"))
    line = "512 bfloat16 gram 10 60 400.0 1.050 7.00 300 400 yes"
    assert [topology[n] for n in (2, 5)] == [line.split()] * 2  # one for each recipe
    assert "Did not run: 512 px: out of memory." in section(page, "One step")


def test_runs_of_two_machines_never_meet_in_one_table(results):
    from page import make_page

    steps = section(make_page(results), "One step")
    machines = re.split(r"^### ", steps, flags=re.M)[1:]
    assert [m.splitlines()[0] for m in machines] == [
        "cpu (x, 2 cores), Fast, AVX2",
        "gpu (Big), Fast, AVX2",
    ]
    assert "`results/b.json`" in machines[0] and "`results/a.json`" not in steps
    assert [len(cells(m)) for m in machines] == [2 + 2, 2 + 1]


def test_several_runs_of_one_commit_and_day_count_as_their_median(results):
    from page_tables import read_runs, series

    write(results, "a2", [row(128, 170.0)])
    write(results, "a3", [row(128, 400.0)])
    runs = [run for run in read_runs(results)[0] if run.commit == "abc"]
    found = series([run for run in runs if run.machine.startswith("cpu")])
    assert list(found.values()) == [{"2026-01-02 abc": 170.0}]


def test_a_commit_that_is_not_known_is_called_so(results):
    from page import make_page

    write(results, "d", [row(128, 90.0)], commit=None, date="2026-01-04T00:00:00+00:00")
    page = make_page(results)
    assert "`results/d.json`: 2026-01-04, commit unknown, JAX" in page
    assert "2026-01-04 unknown" in cells(section(page, "History"))[0]


def test_quoted_figures_are_derived_and_marked(results):
    from page import make_page
    from quoted import load_quoted, mpx_steps

    rows = {(r["source"].split(",")[0], r["hardware"]): r for r in load_quoted()}
    m3 = rows["anishathalye/neural-style", "M3 MacBook Pro"]
    assert m3["mpx_steps_per_s"] == pytest.approx(512 * 512 * 1000 / 90 / 1e6)
    # peers.md: 10 scales of crowsonkb's schedule are 6,291 megapixel-steps.
    big = rows["crowsonkb/style-transfer-pytorch", "RTX 3090"]
    assert mpx_steps(big) == pytest.approx(6291, abs=1)
    lines = cells(section(make_page(results), "Published figures"))[2:]
    ours = [line for line in lines if line[1] == "**us**"]
    assert {line[1] for line in lines} == {"quoted", "**us**"}
    assert len(lines) - len(ours) == len(load_quoted())
    assert ["8.2", "**us**", "jnst"] in [line[:3] for line in ours]
    rates = [float(line[0]) for line in lines if line[0]]
    assert rates == sorted(rates, reverse=True)


def test_the_pictures_of_the_page_are_those_it_draws(results, tmp_path):
    from page import main

    out = tmp_path / "README.md"
    assert main(["--results", str(results), "--output", str(out)]) == 0
    named = set(re.findall(r"\(pictures/(\w+\.png)\)", out.read_text()))
    assert named == {path.name for path in (tmp_path / "pictures").iterdir()}
    assert len(named) == 5
    assert main(["--results", str(results), "--output", str(out), "--check"]) == 0
    write(results, "d", [row(128, 90.0)])
    assert main(["--results", str(results), "--output", str(out), "--check"]) == 1


def test_the_committed_page_is_what_the_committed_results_make():
    from page import make_page

    page = (BENCHMARKS / "README.md").read_text(encoding="utf-8")
    assert page == make_page(BENCHMARKS / "results"), "run benchmarks/page.py"
    for name in re.findall(r"\(pictures/(\w+\.png)\)", page):
        assert (BENCHMARKS / "pictures" / name).exists()


def test_every_script_has_its_line_on_the_page():
    page = (BENCHMARKS / "README.md").read_text(encoding="utf-8")
    for path in BENCHMARKS.glob("*.py"):
        assert f"`{path.name}`" in page
