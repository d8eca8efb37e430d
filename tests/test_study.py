"""Studies: every cell is the run it says; resumed, refused, judged, repeated."""

import json
import re

import numpy as np
import pandas
import pytest
from studied import BOLD, CONTENTS, METHODS, PLAIN, QUICK, STYLES, extract

import jnst
from jnst.image import load_image, read_metadata, save_image
from jnst.metrics import score
from jnst.studying import cells as making_cells
from jnst.studying import scores
from jnst.studying.budget import run_seconds, steps_within
from jnst.studying.methods import make_methods, of_losses
from jnst.studying.names import MOST_BYTES, distinct, safe
from jnst.studying.pictures import gather
from jnst.studying.repeating import arguments_of, check_pictures, read_asked

pytestmark = pytest.mark.usefixtures("quick_compile")


@pytest.fixture
def counted(monkeypatch):
    """Counts the runs that are really made."""
    runs = []
    real = making_cells.run

    def count(plan, *rest):
        runs.append(plan)
        return real(plan, *rest)

    monkeypatch.setattr(making_cells, "run", count)
    return runs


@pytest.fixture(scope="module")
def found():
    """A study in memory: 2 contents, 1 style, 2 methods, equal steps."""
    return jnst.study(CONTENTS, STYLES, METHODS, steps=6, **QUICK)


def test_a_cell_is_the_run_of_its_own(found):
    alone = jnst.stylize(
        CONTENTS["two"], STYLES["style"], PLAIN, steps=6, size_px=26, extract=extract,
        style_weight=100.0,
    )  # fmt: skip
    [record] = [
        r for r in found.records if (r["content"], r["method"]) == ("two", "bold")
    ]
    levels = np.rint(alone.image * 255) / 255
    image = found.images[record["name"]]
    np.testing.assert_allclose(image, levels, rtol=0, atol=1e-6)
    assert record["loss_last"] == pytest.approx(alone.history["loss"][-1], rel=1e-6)
    assert record["style_first"] == pytest.approx(alone.history["style"][0], rel=1e-6)
    assert record["steps"] == 6 and record["budget"] == "6 steps"
    expected = score(
        image, CONTENTS["two"], STYLES["style"], names=["ssim", "histogram"]
    )
    assert record["ssim"] == pytest.approx(expected["ssim"], abs=1e-6)
    assert record["histogram"] < 1


def test_records_are_read_by_pandas_in_the_order_given(found):
    frame = pandas.DataFrame(found.records)
    assert list(frame.content) == ["one", "one", "two", "two"]
    assert list(frame.method) == ["plain", "bold"] * 2
    assert frame.groupby("method").ssim.mean()["plain"] > 0
    assert [r["content"] for r in found.baseline] == ["one", "two"]
    assert found.baseline[0]["ssim"] > 0.99
    assert "bold" in found.table and "content as it was" in found.table


def test_each_recipe_has_its_own_steps_where_no_budget_is_given():
    longer = jnst.Method("longer", PLAIN, {"steps": 7})
    one = {"one": CONTENTS["one"]}
    found = jnst.study(one, STYLES, [METHODS[0], longer], **QUICK)
    assert [r["steps"] for r in found.records] == [4, 7]
    assert {r["budget"] for r in found.records} == {"own"}
    assert "One pair: no interval" in found.table


def test_equal_seconds_are_found_by_a_pilot_and_both_budgets_are_made(tmp_path):
    one = {"one": CONTENTS["one"]}
    options = {**QUICK, "folder": tmp_path / "out", "steps": 3, "seconds": 0.05}
    found = jnst.study(one, STYLES, METHODS, **options)
    budgets = [(r["method"], r["budget"]) for r in found.records]
    assert budgets == [
        (method, budget)
        for method in ("plain", "bold")
        for budget in ("3 steps", "0.05 seconds")
    ]
    for record in found.records[1::2]:
        step = float(record["pilot_step_seconds"])
        assert record["steps"] == max(1, int(0.05 / step * (1 + 1e-9)))
    pilots = json.loads((tmp_path / "out" / "pilots.json").read_text())
    assert len(pilots) == 2  # one a method


def test_steps_within_scales_the_whole_schedule():
    schedule = jnst.Recipe(scale_steps=(80, 40, 140), scale_ratio=2.0).schedule
    steps = steps_within(10.0, [0.01, 0.04, 0.16], schedule)
    assert run_seconds(steps, [0.01, 0.04, 0.16], schedule) <= 10.0
    assert run_seconds(steps + 1, [0.01, 0.04, 0.16], schedule) > 10.0
    # 80 : 40 : 140 of 260 steps take 0.8 + 1.6 + 22.4 = 24.8 s.
    assert steps == pytest.approx(260 * 10 / 24.8, abs=3)
    # Room for two steps of three sizes: the finest two have one each.
    assert steps_within(0.215, [0.01, 0.04, 0.16], schedule) == 3
    assert steps_within(0.2, [0.01, 0.04, 0.16], schedule) == 2
    assert steps_within(1e-9, [0.01, 0.04, 0.16], schedule) == 1


def test_a_study_goes_on_at_its_first_unfinished_cell(tmp_path, counted):
    options = {**QUICK, "folder": tmp_path / "out", "steps": 2}

    def stop(moment):
        if moment.number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        jnst.study(CONTENTS, STYLES, METHODS, on_progress=stop, **options)
    assert len(counted) == 3  # the third was not kept
    assert not (tmp_path / "out" / "study.html").exists()
    moments = []
    whole = jnst.study(CONTENTS, STYLES, METHODS, on_progress=moments.append, **options)
    assert len(counted) == 5
    assert [m.kept for m in moments if m.done == 1 and m.number < 2] == [True, True]
    memory = jnst.study(CONTENTS, STYLES, METHODS, steps=2, **QUICK)
    for ours, theirs in zip(whole.records, memory.records, strict=True):
        image = load_image(tmp_path / "out" / ours["picture"])
        np.testing.assert_allclose(image, memory.images[theirs["name"]], atol=1e-6)
        assert ours["ssim"] == pytest.approx(theirs["ssim"], abs=1e-6)
    again = len(counted)
    jnst.study(CONTENTS, STYLES, METHODS, **options)
    assert len(counted) == again


def test_other_metrics_are_added_without_a_run(tmp_path, counted, monkeypatch):
    one = {"one": CONTENTS["one"]}
    options = {**QUICK, "folder": tmp_path / "out", "steps": 2}
    jnst.study(one, STYLES, METHODS, **options)
    # 24 pixels are too few for ms_ssim's five sizes: said, and left out of all means.
    monkeypatch.setattr(scores, "DEFAULT_METRICS", ("ssim", "colour", "ms_ssim"))
    found = jnst.study(one, STYLES, METHODS, **{**options, "metrics": None})
    assert len(counted) == 2
    assert all(r["colour"] > 0 for r in found.records)
    assert all(r["ms_ssim"] is None for r in found.records)
    assert all("ms_ssim: " in r["left_out"] for r in found.records)
    assert found.lines[-1].metric == "ms_ssim" and found.lines[-1].mean is None


def test_a_warning_is_given_once(caplog):
    one = {"one": CONTENTS["one"]}
    jnst.study(one, STYLES, METHODS, steps=2, **QUICK, decay_rate=0.5, memory=3)
    assert caplog.text.count("memory=3 does nothing") == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"steps": 3}, "steps is 3 now, 2 then"),
        ({"style_weight": 5.0}, "methods plain .*style_weight"),
        ({"seed": 1}, "seed is 1 now, None then"),
    ],
)
def test_a_folder_of_another_study_is_refused(tmp_path, counted, change, words):
    one = {"one": CONTENTS["one"]}
    options = {**QUICK, "folder": tmp_path / "out", "steps": 2}
    jnst.study(one, STYLES, METHODS[:1], **options)
    before = len(counted)
    with pytest.raises(ValueError, match=f"holds another study: {words}"):
        jnst.study(one, STYLES, METHODS[:1], **{**options, **change})
    assert len(counted) == before
    jnst.study(one, STYLES, METHODS[:1], **{**options, **change}, overwrite=True)
    assert len(counted) == before + 1


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match="not empty and holds no study"):
        jnst.study(CONTENTS, STYLES, METHODS, folder=tmp_path, **QUICK)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_run_that_is_not_finite_is_told_and_the_others_go_on(tmp_path):
    wild = jnst.Method("wild", PLAIN, {"learning_rate": 1e30, "clip": False})
    # A black content has no gradient from which a style loss could be balanced.
    options = {**QUICK, "steps": 4, "folder": tmp_path / "out"}
    found = jnst.study(CONTENTS, STYLES, [METHODS[0], wild], **options)
    ours = [r for r in found.records if r["method"] == "wild"]
    assert all("learning_rate" in r["error"] for r in ours)
    assert all((tmp_path / "out" / r["picture"]).is_file() for r in ours)
    assert all(r["error"] == "" for r in found.records if r["method"] == "plain")
    [line] = [x for x in found.lines if (x.method, x.metric) == ("wild", "ssim")]
    assert line.mean is None and line.scored == 0 and not line.holds
    assert "2 of 2 failed" in found.table
    assert "stopped: " in (tmp_path / "out" / "study.html").read_text()


def test_a_loss_that_cannot_be_balanced_is_told():
    flat = jnst.Method("flat", PLAIN, {"style_loss": "gram", "style_weight": "balance"})
    same = np.full((24, 26, 3), 0.5, np.float32)
    found = jnst.study({"same": same}, {"same": same}, [flat], **QUICK)
    assert "balance" in found.records[0]["error"]
    np.testing.assert_allclose(
        found.images[found.records[0]["name"]], same, rtol=0, atol=1 / 255
    )


def test_everything_needed_to_repeat_it_is_in_one_file(tmp_path, counted):
    for kind, several in (("contents", CONTENTS), ("styles", STYLES)):
        (tmp_path / kind).mkdir()
        for name, image in several.items():
            save_image(tmp_path / kind / f"{name}.png", image)
    folders = tmp_path / "contents", tmp_path / "styles"
    methods = [METHODS[0], *of_losses(["mean_std"], recipe=PLAIN)]
    options = {k: QUICK[k] for k in ("metrics", "extract")}
    asked = {**options, "steps": 2, "size_px": 26, "seed": 3, "clip": True}
    first = jnst.study(*folders, methods, folder=tmp_path / "out", **asked)
    document = json.loads((tmp_path / "out" / "study.json").read_text())
    assert document["finished"] and document["asked"]["device"]
    assert document["asked"]["contents"][0]["file"] == "one.png"
    assert len(document["asked"]["styles"][0]["sha256"]) == 64
    assert document["asked"]["methods"][1]["recipe"]["clip"] is True
    assert document["statistics"]["resamples"] == 9999
    assert document["judges"]["metrics"]["ssim"]["better"] == "higher"
    known = read_asked(tmp_path / "out" / "study.json")
    check_pictures(known, "contents", gather("contents", folders[0]))
    again = jnst.study(*folders, **arguments_of(known), **options)
    for ours, theirs in zip(again.records, first.records, strict=True):
        assert ours["loss_last"] == pytest.approx(theirs["loss_last"], rel=1e-6)
        assert ours["name"] == theirs["name"]
    about = read_metadata(tmp_path / "out" / first.records[0]["picture"])
    assert about["content"]["name"] == "one.png"
    save_image(tmp_path / "contents" / "one.png", CONTENTS["one"][::-1])
    with pytest.raises(ValueError, match="contents lack a picture of that study: 'one"):
        check_pictures(known, "contents", gather("contents", folders[0]))


def test_names_are_safe_and_all_different(tmp_path):
    assert safe("a/b\\c:<script>", otherwise="x") == "a_b_c_script"
    assert safe("\x1b[31m..", otherwise="x") == "31m"
    assert safe("../..", otherwise="picture") == "picture"
    assert safe("__a__b__", otherwise="x") == "a_b"
    assert safe("Zürich 2", otherwise="x") == "Zürich_2"
    assert len(safe("ü" * 300, otherwise="x").encode()) <= MOST_BYTES
    assert distinct(["a", "A", "a-2", "a"]) == ["a", "A-2", "a-2-2", "a-3"]
    names = ["cat.png", "cat.jpg", "<b>x.png", "no.txt", ".hidden.png"]
    for n, name in enumerate(names):
        if name.endswith(".txt"):
            (tmp_path / name).write_text("no")
        else:
            save_image(tmp_path / name, np.full((8, 8, 3), n / 10, np.float32))
    found = gather("contents", tmp_path)
    assert [p.name for p in found] == ["b_x", "cat", "cat-2"]


TWICE = [CONTENTS["one"], CONTENTS["one"]]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"contents": []}, "contents must be at least one picture"),
        ({"contents": TWICE}, "same picture twice: 'content' and 'content-2'"),
        ({"contents": 3}, "contents must be a folder"),
        ({"methods": ["gaty"]}, "Did you mean 'gatys'"),
        ({"methods": []}, "methods must be names"),
        ({"methods": [PLAIN]}, "needs a name: jnst.Method"),
        ({"methods": [BOLD, BOLD]}, "two methods have the name 'bold'"),
        ({"methods": [("a", PLAIN)]}, "jnst.Method, got"),
        ({"metrics": ["sim"]}, "unknown metric 'sim'. Did you mean 'ssim'"),
        ({"metrics": ["ssim", "ssim"]}, "metric 'ssim' is there twice"),
        ({"metrics": ["ms_ssim"]}, "'ms_ssim' cannot be computed: a picture is 24x26"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"seconds": 0}, "seconds must be above 0, got 0"),
        ({"seconds": float("nan")}, "seconds must be"),
        ({"size_px": 0}, "size_px must be at least 1"),
        ({"style_wight": 1}, "Did you mean 'style_weight'"),
        ({"style_layers": ("deep",)}, "method plain: unknown layer.*'deep'"),
    ],
)
def test_bad_input_is_refused_before_any_work(counted, arguments, words):
    known = {"contents": CONTENTS, "styles": STYLES, "methods": METHODS, **QUICK}
    with pytest.raises(ValueError, match=words) as info:
        jnst.study(**{**known, **arguments})
    assert "\n" not in str(info.value)
    assert not counted


def test_bad_folders_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no pictures for contents in"):
        gather("contents", tmp_path)
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=re.escape("a.png")):
        gather("contents", tmp_path)
    with pytest.raises(FileNotFoundError, match="absent"):
        gather("contents", tmp_path / "absent.png")


def test_losses_are_methods_of_balanced_weight():
    found = make_methods(of_losses(["gram", "mean_std"], recipe="gatys"))
    assert [m.name for m in found] == ["gram", "mean_std"]
    assert all(m.changes["style_weight"] == "balance" for m in found)
    with pytest.raises(ValueError, match="Did you mean 'gram'"):
        of_losses(["grams"])
