"""benchmarks/examine_all.py: what it keeps, and that the page says just that."""

import json
from pathlib import Path

import pytest

from jnst.examining.finding import LOOK, OK, WRONG, Finding, Report
from jnst.examining.table import PROBES
from jnst.files import as_json
from jnst.objective.term import TABLES

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
RESULTS = BENCHMARKS / "results" / "examine_cpu.json"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import examine_all

    return examine_all


def report(**findings):
    about = ("gram", "style", "Gatys", "correlations", {}, ("relu1_1",), 0, 64)
    return Report(*about, findings, dict.fromkeys(findings, 1.5))


def test_findings_of_a_probe_replace_the_older_and_leave_the_rest(script, tmp_path):
    document = script.read(tmp_path / "none.json")
    first = Finding(LOOK, "first", {"rows": [{"ratio": 2.0, "size_px": 128}]})
    script.add(document, report(costs=first, equality=Finding(OK, "zero")))
    script.add(document, report(costs=first._replace(verdict=OK, says="second")))
    found = document["losses"]["gram"]["findings"]
    assert list(found) == ["equality", "costs"]  # in the table's order
    assert found["costs"]["says"] == "second" and found["equality"]["says"] == "zero"
    assert found["costs"]["date"] and found["costs"]["device"]
    assert json.loads(json.dumps(as_json(document)))


def test_a_page_says_what_needs_a_look(script):
    document = {"losses": {}}
    cosines = {"cmd": [None, 0.1, 0.2], "mrf": [0.3, 0.4, 0.5]}
    findings = {
        "gradient": Finding(WRONG, "slopes differ"),
        "sizes": Finding(
            OK, "splendid", {"gradient_drift": 0.25, "beside_reference": 1}
        ),
        "resemblance": Finding(OK, "like mrf", {"cosines": cosines}),
    }
    script.add(document, report(**findings))
    page = script.page(document)
    assert "- `gram`, gradient: WRONG. slopes differ." in page
    assert "mrf 0.40" in page and "0.25" in page and "splendid" not in page
    assert "## Content" not in page


def test_every_loss_of_the_tables_was_examined_and_none_is_wrong():
    document = json.loads(RESULTS.read_text(encoding="utf-8"))
    known = [name for names in TABLES.values() for name in names]
    assert set(document["losses"]) == set(known)
    quick = [name for name, row in PROBES.items() if row.quick]
    for name, row in document["losses"].items():
        assert set(quick) <= set(row["findings"]), name
        for probe, found in row["findings"].items():
            assert found["verdict"] != WRONG, (name, probe, found["says"])
    assert document["device"] and document["versions"]["jax"]


def test_the_committed_page_is_what_the_results_make(script):
    document = json.loads(RESULTS.read_text(encoding="utf-8"))
    page = (BENCHMARKS / "examine.md").read_text(encoding="utf-8")
    assert page == script.page(document)
