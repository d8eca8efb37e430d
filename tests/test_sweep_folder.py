"""What a sweep keeps: it goes on after a kill, loses nothing, and makes one report."""

import csv
import json
import shutil

import numpy as np
import pandas
import pytest
from tiny import picture, tiny_params

import jnst
from jnst.cli.main import main
from jnst.image import load_image, save_image
from jnst.sweeping import running
from jnst.weights import save_weights

pytestmark = pytest.mark.usefixtures("quick_compile")

CONTENT, STYLE = picture(24, 26, seed=1), picture(22, 20, seed=2)
PARAMS = tiny_params()
FIELDS = {"style_layers": ("relu1_1",), "content_layers": ("relu1_1",), "steps": 3}
GRID = {"style_weight": [0.1, 1.0], "tv_weight": [0.0, 2.0]}
FILES = ["curves.png", "members", "sheet.png", "sweep.json", "table.csv", "table.tex"]
METRICS = ["ssim", "colour"]


def swept(folder, **options):
    known = {"grid": GRID, "metrics": METRICS} | FIELDS | options
    return jnst.sweep(CONTENT, STYLE, weights=PARAMS, folder=folder, **known)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder with a whole sweep, and its records."""
    folder = tmp_path_factory.mktemp("sweeps") / "whole"
    return folder, swept(folder)


@pytest.fixture
def again(whole, tmp_path):
    """A copy of that folder, to be spoilt."""
    return shutil.copytree(whole[0], tmp_path / "again")


def kept(folder):
    """Bytes and time of writing of every member's files."""
    paths = sorted((folder / "members").iterdir())
    return {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in paths}


def plain(records):
    spans = ("seconds", "compile_seconds", "image", "history")
    return [{k: v for k, v in r.items() if k not in spans} for r in records]


def test_a_folder_has_pictures_tables_sheet_and_curves(whole):
    folder, records = whole
    assert sorted(path.name for path in folder.iterdir()) == FILES
    for number, record in enumerate(records):
        path = folder / "members" / f"{number:03d}.png"
        shown = load_image(path)
        np.testing.assert_allclose(shown, record["image"], atol=0.51 / 255, rtol=0)
        recipe = jnst.Recipe.from_png(path)
        assert recipe.style_weight == record["style_weight"]
        assert recipe.tv_weight == record["tv_weight"]
    document = json.loads((folder / "sweep.json").read_text())
    assert document["schema"] == "jnst-sweep-1" and document["versions"]["jax"]
    assert document["asked"]["grid"] == GRID and "cpu" in document["device"]
    assert [r["ssim"] for r in document["records"]] == [r["ssim"] for r in records]


def test_records_are_read_by_pandas(whole):
    table = pandas.DataFrame(whole[1])
    assert list(table.columns[:3]) == ["member", "style_weight", "tv_weight"]
    assert table["style_weight"].tolist() == [0.1, 0.1, 1.0, 1.0]
    assert table["loss_tv"].isna().tolist() == [True, False, True, False]
    for _, row in table.iterrows():
        result = row["history"]
        assert row["loss"] == pytest.approx(result["loss"][-1], rel=1e-6)
        assert row["loss_style"] == pytest.approx(result["style"][-1], rel=1e-6)
    assert table.groupby("tv_weight")["colour"].mean().notna().all()


def test_scores_are_those_of_the_metrics(whole):
    for record in whole[1]:
        scores = jnst.metrics.score(record["image"], CONTENT, STYLE, names=METRICS)
        for name in METRICS:
            assert record[name] == pytest.approx(scores[name], rel=1e-5)


def test_the_csv_table_has_every_column(whole):
    folder, records = whole
    with (folder / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["ssim"]) for row in rows] == [r["ssim"] for r in records]
    assert [row["loss_tv"] == "" for row in rows] == [True, False, True, False]
    assert list(rows[0])[-1] == "error"


def test_a_sweep_that_was_killed_goes_on_at_the_first_unfinished_member(
    whole, tmp_path
):
    def stop(progress):
        if progress.done == 2:
            raise KeyboardInterrupt

    folder = tmp_path / "killed"
    with pytest.raises(KeyboardInterrupt):
        swept(folder, on_progress=stop)
    before = kept(folder)
    # groups run one after the other: the members without total variation are first
    assert sorted(before) == ["000.json", "000.png", "002.json", "002.png"]
    assert "sheet.png" in [path.name for path in folder.iterdir()]  # of those two
    told = []
    records = swept(folder, on_progress=told.append)
    assert [told[0].done, told[-1].done] == [2, 4] and told[0].share > 0
    after = kept(folder)
    assert {name: after[name] for name in before} == before
    assert plain(records) == plain(whole[1])
    for found, expected in zip(records, whole[1], strict=True):
        np.testing.assert_allclose(found["image"], expected["image"], atol=0.51 / 255)
        np.testing.assert_array_equal(
            found["history"]["loss"], expected["history"]["loss"]
        )


def test_a_finished_sweep_runs_nothing(again, whole, monkeypatch):
    monkeypatch.setattr(running, "run_members", None)
    (again / "sheet.png").unlink()
    before = kept(again)
    assert plain(swept(again)) == plain(whole[1])
    assert kept(again) == before and (again / "sheet.png").exists()


@pytest.mark.parametrize("damage", ["json", "picture", "metric"])
def test_a_member_that_is_broken_runs_again(again, whole, damage):
    path = again / "members" / ("001.png" if damage == "picture" else "001.json")
    if damage == "picture":
        path.write_bytes(path.read_bytes()[:100])
    elif damage == "json":
        path.write_text('{"member": 1, "hist')
    else:
        path.write_text(path.read_text().replace('"ssim":', '"ssim": "no", "x":'))
    before = kept(again)
    told = []
    records = swept(again, on_progress=told.append)
    assert [told[0].done, told[-1].done] == [3, 4]
    assert plain(records) == plain(whole[1])
    after = kept(again)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"001.json", "001.png"}


def test_other_metrics_judge_what_is_kept(again, whole, monkeypatch):
    monkeypatch.setattr(running, "run_members", None)
    records = swept(again, metrics=["histogram"])
    for found, before in zip(records, whole[1], strict=True):
        assert 0 <= found["histogram"] <= 1 and found["ssim"] == before["ssim"]
    monkeypatch.setattr(running, "judge", None)
    assert plain(swept(again, metrics=["histogram"])) == plain(records)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"grid": {"tv_weight": [0.0, 2.0]}}, "its grid is"),
        ({"steps": 4}, "its fields is"),
        ({"seeds": 2}, "its grid is"),
        ({"recipe": "gatys"}, "its recipe is 'jnst', not 'gatys'"),
    ],
)
def test_a_folder_of_another_sweep_is_refused(again, changes, words):
    before = kept(again)
    with pytest.raises(ValueError, match="use --overwrite or another folder") as caught:
        swept(again, **changes)
    assert words in str(caught.value)
    assert kept(again) == before


def test_other_pictures_or_weights_are_another_sweep(again):
    grid = {"grid": GRID, "folder": again, "metrics": METRICS, **FIELDS}
    with pytest.raises(ValueError, match="its content is"):
        jnst.sweep(CONTENT[::-1], STYLE, weights=PARAMS, **grid)
    with pytest.raises(ValueError, match="its weights is"):
        jnst.sweep(CONTENT, STYLE, weights=tiny_params(seed=1), **grid)


def test_overwriting_begins_again(again):
    (again / "members" / "note.txt").write_text("mine")
    records = swept(again, grid={"tv_weight": [0.0, 2.0]}, overwrite=True)
    assert len(records) == 2
    names = [path.name for path in sorted((again / "members").iterdir())]
    assert names == ["000.json", "000.png", "001.json", "001.png", "note.txt"]


def test_files_of_another_origin_are_left_alone(again, tmp_path):
    (again / "sweep.json").unlink()
    with pytest.raises(ValueError, match="exists already; use --overwrite"):
        swept(again)
    for path in again.iterdir():
        _ = path.is_dir() or path.unlink()
    with pytest.raises(ValueError, match="of a sweep whose sweep.json is gone"):
        swept(again)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "sweep.json").write_text("[1, 2]")
    with pytest.raises(ValueError, match="is no JSON document of jnst's"):
        swept(tmp_path / "own")
    assert (tmp_path / "own" / "sweep.json").read_text() == "[1, 2]"


def test_a_member_that_stopped_is_kept_and_not_run_again(tmp_path, monkeypatch):
    grid = {"learning_rate": [0.01, 1e30]}
    options = {"grid": grid, "optimizer": "sgd", "clip": False}
    records = swept(tmp_path, **options)
    assert not records[0]["error"] and records[1]["error"]
    assert (tmp_path / "sheet.png").exists() and (tmp_path / "curves.png").exists()
    assert "$^\\dagger$" in (tmp_path / "table.tex").read_text()
    monkeypatch.setattr(running, "run_members", None)
    again = swept(tmp_path, **options)
    assert [r["error"] for r in again] == [r["error"] for r in records]
    assert again[1]["steps"] == records[1]["steps"]
    loss = again[1]["history"]["loss"]
    assert not np.isfinite(loss[-1]) and np.isfinite(loss[:-1]).all()


def test_the_command_sweeps_and_goes_on(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_weights(PARAMS, tmp_path / "tiny.safetensors", title="tiny", licence="MIT")
    for name, pixels in (("c", CONTENT), ("s", STYLE)):
        save_image(tmp_path / f"{name}.png", pixels)
    fields = ["--set", "style_layers=relu1_1", "--set", "content_layers=relu1_1"]
    command = ["sweep", "c.png", "s.png", "-o", "out", "--size", "26", "--steps", "3"]
    command += ["--weights", "tiny.safetensors", "--metrics", "ssim", *fields]
    command += ["--grid", "style_weight=0.1,1", "--seeds", "2", "--init", "noise"]
    assert main(command) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].split()[:4] == ["member", "style_weight", "seed", "steps"]
    assert len(lines) == 2 + 4 + 5
    assert [line.split("/")[1] for line in lines[-5:]] == [
        "sweep.json",
        "sheet.png",
        "curves.png",
        "table.csv",
        "table.tex",
    ]
    assert "4 of 4 members done: 100%" in err
    assert main(command) == 0
    out, err = capsys.readouterr()
    assert "4 of 4 members are there already" in err
    assert [line.split()[:3] for line in out.splitlines()[2:6]] == [
        ["0", "0.1", "0"],
        ["1", "0.1", "1"],
        ["2", "1", "0"],
        ["3", "1", "1"],
    ]
    assert main([*command, "--seed", "1"]) == 2
    assert "'out' holds another sweep" in capsys.readouterr().err
    assert main([*command, "--overwrite", "--seed", "1"]) == 0
