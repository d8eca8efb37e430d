"""The form of a benchmark: what is written has it, what is wrong is named."""

import copy
import json
from importlib import resources
from pathlib import Path

import jsonschema
import pytest
from benched import TIGHT, document, row

from jnst.bench.measure import KEY
from jnst.bench.report import read_document
from jnst.bench.schema import SCHEMA, check_document, field_name
from jnst.files import write_json

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"
KEPT = [
    path
    for path in sorted(RESULTS.glob("*.json"))
    if json.loads(path.read_text()).get("schema") == SCHEMA
]


def shipped():
    """The schema as the package brings it."""
    return json.loads(resources.files("jnst.bench").joinpath("schema.json").read_text())


def test_the_schema_is_one_of_draft_2020_12():
    schema = shipped()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert jsonschema.validators.validator_for(schema) is (
        jsonschema.Draft202012Validator
    )
    assert schema["properties"]["schema"]["const"] == SCHEMA


def test_the_schema_types_every_field_that_names_a_case():
    assert set(KEY) <= set(shipped()["$defs"]["row"]["properties"])


def test_there_are_results_to_check():
    assert len(KEPT) >= 4


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.name)
def test_every_result_that_is_kept_has_the_form(path):
    assert read_document(path)["rows"]


def test_a_row_may_tell_more_and_a_failed_one_less():
    failed = row(TIGHT, error="out of memory", colour="red")
    for name in ("step_ms", "step_ms_deciles", "samples_ms"):
        del failed[name]
    told = row(TIGHT, device_ms=None, device_source="wall only", host={"load": 0.5})
    check_document(document(failed, told, room="attic"), where="here")


WRONG = {
    "no versions": ({"versions": None}, "versions: None is not of type 'object'"),
    "rows of text": ({"rows": ["fast"]}, "rows[0]: 'fast' is not of type 'object'"),
    "a time in words": ({"step_ms": "fast"}, "rows[0].step_ms: 'fast' is not of type"),
    "a size in halves": ({"size_px": 1.5}, "rows[0].size_px: 1.5 is not of type"),
    "no time": ({"step_ms": ...}, "rows[0]: 'step_ms' is a required property"),
    "a time of 0": ({"samples_ms": [1.0, 0]}, "rows[0].samples_ms[1]: 0 is less than"),
    "three deciles": ({"step_ms_deciles": [1, 2, 3]}, "rows[0].step_ms_deciles: "),
    "heat in words": ({"hbm_bytes": "many"}, "rows[0].hbm_bytes: 'many' is not of"),
    "unknown verdict": (
        {"against": [{"before_ms": 1, "now_ms": 1, "ratio": 1, "band": None}]},
        "against[0]: 'verdict' is a required property",
    ),
}


@pytest.mark.parametrize("changes, message", WRONG.values(), ids=WRONG)
def test_a_wrong_field_is_named_in_one_line(changes, message, tmp_path):
    wrong = document(row(TIGHT))
    for name, value in changes.items():
        place = wrong["rows"][0] if name in wrong["rows"][0] else wrong
        place = wrong["rows"][0] if name == "hbm_bytes" else place
        if value is ...:
            del place[name]
        else:
            place[name] = value
    write_json(tmp_path / "wrong.json", wrong)
    with pytest.raises(ValueError) as caught:
        read_document(tmp_path / "wrong.json")
    assert message in str(caught.value) and "wrong.json" in str(caught.value)
    assert "\n" not in str(caught.value) and "measure again" in str(caught.value)


def test_a_long_value_is_not_quoted_whole():
    wrong = document(row(TIGHT)) | {"rows": {"text": "x" * 10_000}}
    with pytest.raises(ValueError, match="rows: .*is not of type 'array'") as caught:
        check_document(wrong, where="long.json")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("text", ["[NaN]", "[" * 100_000, '{"a": ', ""])
def test_what_is_no_json_is_said_to_be_none(text, tmp_path):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match="'.*a.json' is not JSON"):
        read_document(tmp_path / "a.json")


def test_another_schema_is_refused_by_its_name():
    other = copy.deepcopy(document(row(TIGHT))) | {"schema": "jnst-bench-topology-1"}
    with pytest.raises(ValueError, match="has schema 'jnst-bench-topology-1'"):
        check_document(other, where="a.json")
    with pytest.raises(ValueError, match="has schema None"):
        check_document([], where="a.json")


def test_a_field_is_named_as_in_python():
    assert field_name(["rows", 3, "step_ms"]) == "rows[3].step_ms"
    assert field_name([]) == "the document"
