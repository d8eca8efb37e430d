"""`jnst study` as a user meets it: files, table, resuming, errors, exit codes."""

import json

import numpy as np
import pytest
from tiny import picture, tiny_params

from jnst.cli import study as command
from jnst.cli.main import main
from jnst.image import save_image
from jnst.studying import driver, making
from jnst.weights import save_weights

pytestmark = pytest.mark.usefixtures("quick_compile")
WRITTEN = ["study.html", "study.csv", "cells.csv", "study.tex", "study.json"]
FIELDS = {
    "style_layers": "relu1_1",
    "style_layer_weights": "1",
    "content_layers": "relu1_2",
}
STUDY = ["study", "contents", "styles", "--size", "32", "--metrics", "ssim"]
STUDY += [word for pair in FIELDS.items() for word in ("--set", "=".join(pair))]
RECIPES = ["--recipes", "tf-tutorial,tf-eager", "--steps", "2"]


@pytest.fixture(scope="module")
def tiny_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_weights(tiny_params(), path, title="tiny VGG19 for tests", licence="MIT")
    return str(path)


@pytest.fixture
def run(tiny_file, capsys, tmp_path, monkeypatch):
    """Runs `jnst` in a folder with two contents and a style: code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    for folder, count in (("contents", 2), ("styles", 1)):
        (tmp_path / folder).mkdir()
        for n in range(count):
            name = tmp_path / folder / f"{folder[0]}{n}.png"
            save_image(name, np.clip(picture(24, 32, n + count), 0, 1))

    def call(*arguments):
        code = main([*map(str, arguments), "--weights", tiny_file])
        out, err = capsys.readouterr()
        return code, out, err

    return call


def error_line(err):
    lines = [line for line in err.splitlines() if line.strip()]
    assert len(lines) == 1, err
    assert lines[0].startswith("jnst: error: ")
    return lines[0].removeprefix("jnst: error: ")


def test_a_study_is_stopped_gone_on_with_and_repeated(run, tmp_path, monkeypatch):
    real, made = making.make_cell, []

    def stop(cell, *rest):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(cell.name)
        return real(cell, *rest)

    monkeypatch.setattr(making, "make_cell", stop)
    code, out, err = run(*STUDY, *RECIPES, "-o", "out")
    assert code == 130 and out == ""
    assert "2 of 4 cells are kept in out; the same command goes on" in err
    monkeypatch.setattr(making, "make_cell", lambda *a: made.append(1) or real(*a))
    code, out, err = run(*STUDY, *RECIPES, "-o", "out")
    assert code == 0, err
    assert len(made) == 4
    assert out.splitlines()[-5:] == [f"out/{name}" for name in WRITTEN]
    assert "tf-eager" in out and "2 pairs are too few" in out
    known = {"cells", *WRITTEN}
    assert {path.name for path in (tmp_path / "out").iterdir()} == known
    names = sorted(path.name for path in (tmp_path / "out" / "cells").glob("*.png"))
    assert names[0] == "c0__s0__tf-eager__2-steps.png" and len(names) == 4
    document = json.loads((tmp_path / "out" / "study.json").read_text())
    assert document["asked"]["weights"]["tf-eager"]["title"] == "tiny VGG19 for tests"
    assert document["command"].split()[0] == "jnst"
    code, out, err = run(
        *STUDY[:3], "--metrics", "ssim", "--like", "out/study.json", "-o", "again"
    )
    assert code == 0 and "not as in" not in err, err
    again = json.loads((tmp_path / "again" / "study.json").read_text())
    for ours, theirs in zip(again["records"], document["records"], strict=True):
        assert ours["picture_sha256"] == theirs["picture_sha256"] or ours[
            "loss_last"
        ] == pytest.approx(theirs["loss_last"], rel=1e-5)
        assert ours["loss_last"] == pytest.approx(theirs["loss_last"], rel=1e-5)
    code, out, err = run(*STUDY, *RECIPES[:-1], "3", "-o", "out")
    assert code == 2 and "steps is 3 now, 2 then" in error_line(err)
    like = ("--like", "out/study.json", "--seed", "1", "-o", "third")
    code, out, err = run(*STUDY[:3], *like)
    assert code == 2 and "leave --seed out" in error_line(err)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((*STUDY, "-o", "out"), "a study needs methods"),
        ((*STUDY, "--recipes", "jnst,gaty", "-o", "out"), "Did you mean 'gatys'"),
        ((*STUDY, *RECIPES, "--losses", "grams", "-o", "out"), "Did you mean 'gram'"),
        ((*STUDY, *RECIPES[:-1], "0", "-o", "out"), "steps must be at least 1"),
        ((*STUDY, *RECIPES, "--seconds", "0", "-o", "out"), "seconds must be above 0"),
        ((*STUDY, *RECIPES, "-o", "no/where/out"), "which is no folder"),
        ((*STUDY, *RECIPES, "-o", "contents"), "not empty and holds no study"),
        ((*STUDY, *RECIPES, "--metrics", "sim", "-o", "out"), "Did you mean 'ssim'"),
        (("study", "none", "styles", *RECIPES, "-o", "out"), "none"),
        ((*STUDY, "--like", "contents/c0.png", "-o", "out"), "leave --size"),
        (
            ("study", "contents", "styles", "--like", "contents/c0.png", "-o", "o"),
            "is no study.json",
        ),
    ],
)
def test_bad_input_is_one_line(run, tmp_path, arguments, words):
    code, out, err = run(*arguments)
    assert code == 2 and out == ""
    assert words in error_line(err)
    assert not (tmp_path / "out").exists()


def test_losses_are_methods_on_the_first_recipe():
    recipe, loss = command.chosen_methods("gatys, jnst", "nnfm")[::2]
    assert recipe == "gatys" and (loss.name, loss.recipe) == ("nnfm", "gatys")
    assert loss.changes == {"style_loss": "nnfm", "style_weight": "balance"}
    assert command.chosen_methods(None, "nnfm")[0].recipe == "jnst"


def test_the_size_of_the_help_is_the_librarys():
    assert command.SIZE_PX == driver.SIZE_PX
