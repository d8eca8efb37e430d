"""`jnst weights`: results on standard output, errors to the caller."""

import json

import click.testing
import pytest
from test_weights_search import cache as cache
from test_weights_search import tiny as tiny

from jnst.cli.weights_command import weights as command
from jnst.weights import SOURCES, convert_weights, read_provenance


def test_conversion_refuses_to_overwrite_before_any_work(tmp_path, tiny):
    output = tmp_path / "out.safetensors"
    output.write_text("precious")
    with pytest.raises(ValueError, match="exists already"):
        convert_weights("absent.h5", output)
    assert output.read_text() == "precious"
    convert_weights(tiny, output, overwrite=True)
    assert read_provenance(output)["title"] == "Tiny"
    with pytest.raises(ValueError, match=r"must end in one of \.safetensors"):
        convert_weights(tiny, tmp_path / "out.npz")


def run(*arguments):
    return click.testing.CliRunner().invoke(command, [str(a) for a in arguments])


def test_the_commands_print_results_on_standard_output(tmp_path, tiny):
    output = tmp_path / "out.safetensors"
    assert run("convert", tiny, "-o", output).stdout == f"{output}\n"
    assert run("path", output).stdout == f"{output}\n"
    report = json.loads(run("verify", output, "--json").stdout)
    assert report["title"] == "Tiny"
    assert report["parameters"] > 0
    assert "Tiny" in run("verify", output).stdout
    rows = json.loads(run("list", "--json").stdout)
    assert [row["name"] for row in rows] == list(SOURCES)
    lines = run("list").stdout.splitlines()
    assert lines[0].split() == [
        "name",
        "found",
        "MB",
        "sha256",
        "preprocessing",
        "licence",
    ]
    assert len(lines) == 2 + len(SOURCES)


def test_errors_of_the_commands_reach_the_caller_as_they_are(tmp_path):
    assert isinstance(run("path", "absent.h5").exception, FileNotFoundError)
    assert isinstance(run("fetch", "vgg").exception, ValueError)
