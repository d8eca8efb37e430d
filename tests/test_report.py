"""The report of a run: what is in it, that names are text, and runs of every kind."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pages import HOSTILE, Page
from tiny import picture

import jnst
from jnst.drivers.plan import Request, make_plan
from jnst.image import save_image
from jnst.recipes.table import RECIPES
from jnst.report import writer
from jnst.report.analysis import grams_of, is_tiled, losses_by_layer, pictures_of
from jnst.report.chart import Axis, Curve, chart, ticks
from jnst.report.facts import differences
from jnst.report.page import as_text
from jnst.report.report import spectrum
from jnst.report.writer import write_report
from jnst.watching.watcher import watched

pytestmark = pytest.mark.usefixtures("quicker_compile")

SHALLOW = {
    "style_layers": ("relu1_1", "relu2_1"),
    "style_layer_weights": (1.0, 0.5),
    "content_layers": ("relu2_1",),
    "style_loss": "gram",
    "style_weight": 1.0,
    "shift_px": 0,
    "scale_ratio": 1.0,
    "steps": 3,
}


def reported(path, content, style, weights, **changes):
    """Runs and writes a report; returns text, page and result."""
    with watched([write_report(path)]) as shows:
        told = {"on_start": shows.start, "on_progress": shows.update}
        given = {**SHALLOW, **told, **changes}
        result = jnst.stylize(content, style, weights=weights, **given)
        shows.finish(result)
    text = path.read_text(encoding="utf-8")
    return text, Page(text), result


@pytest.fixture(scope="module")
def run(tmp_path_factory, vgg19):
    """A report of hostile names, two styles and one size."""
    folder = tmp_path_factory.mktemp("report")
    names = [f"{HOSTILE}\x1b[2J\n.png".replace("/", ""), "‮gpj.png"]
    for n, name in enumerate(names):
        save_image(folder / name, picture(24, 26, n))
    styles = [folder / names[1], picture(20, 22, 5)]
    changes = {"blend": [0.75, 0.25], "diagnostics": True}
    path = folder / "report.html"
    return reported(path, folder / names[0], styles, vgg19, size_px=26, **changes)


def texts(page, tag):
    return [data for where, data in page.texts if where == tag]


def test_the_page_is_whole_and_names_are_text(run):
    text, page, _ = run
    assert page.open == []
    assert len(page.all("script")) == len(page.all("style")) == 1
    assert not any(k.startswith("on") for _, a in page.elements for k in a)
    assert not any("style" in a for _, a in page.elements)  # the policy forbids them
    [title] = texts(page, "title")
    assert (
        title == f"{HOSTILE}\\x1b[2J\\n.png in the style of \\u202egpj.png and an array"
    )
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f‪-‮]", text)


def test_nothing_comes_from_elsewhere(run):
    text, page, _ = run
    assert all(a["src"].startswith("data:image/jpeg;base64,") for a in page.all("img"))
    assert not page.all("link") and not page.all("a") and not page.all("iframe")
    assert not re.search(r"https?://", text)


def test_pictures_frames_and_shares_are_shown(run):
    _, page, _ = run
    alts = [a["alt"] for a in page.all("img")]
    assert alts[:2] == ["before: content", "after: the result"]
    assert alts[3] == "style: an array"
    assert [a for a in alts if a.startswith("step ")][-1].startswith("step 3, 26x24 px")
    assert any(text.endswith("75%") for text in texts(page, "figcaption"))


def test_every_term_has_a_curve_and_its_own_axis_for_diagnostics(run):
    _, page, result = run
    said = [a["aria-label"] for a in page.all("svg")]
    assert said[0] == "weighted loss over step: loss, content, style, tv"
    assert said[1].startswith("norm of the gradient over step: content")
    assert said[2].startswith("cosine of two gradients over step: content_style")
    assert {"gradient_norm_style", "cosine_style_tv"} < set(result.history)
    assert said[3].startswith(
        "relu1_1: eigenvalue over rank: style 1, style 2, content"
    )
    assert len(page.all("path")) == 4 + 3 + 3 + 2 * 4


def test_the_recipe_is_told_as_differences(run):
    _, page, result = run
    rows = differences(result.recipe, "jnst")
    assert ("steps", "None", "3") in rows
    before = repr(RECIPES["jnst"].style_layer_weights)
    assert ("style_layer_weights", before, "(1.0, 0.5)") in rows
    assert not any(name == "learning_rate" for name, *_ in rows)
    assert "(1.0, 0.5)" in texts(page, "td")
    assert differences(RECIPES["gatys"], "gatys") == []


def test_inputs_weights_device_and_versions_are_told(run):
    _, page, result = run
    cells = texts(page, "td")
    styles = result.inputs["styles"]
    for digest in (result.inputs["content"]["sha256"], styles[1]["sha256"]):
        assert digest in cells
    assert any(cell.startswith("cpu (") for cell in cells)
    assert f"{result.seconds:.2f}" in cells
    assert "jaxlib" in texts(page, "th") and jnst.__version__ in cells


def plan_of(vgg19, **changes):
    given = {**SHALLOW, **changes}
    pictures = picture(24, 26, 1), picture(20, 22, 2)
    size_px = given.pop("size_px", None)
    return make_plan(Request(*pictures, "jnst", size_px, vgg19), given)


def test_losses_by_layer_add_up_to_the_terms(vgg19):
    plan = plan_of(vgg19)
    [seen] = pictures_of(plan)
    image = picture(24, 26, 7)
    rows = losses_by_layer(plan, seen, [seen.first, image])
    pair = picture(24, 26, 1), picture(20, 22, 2)
    changes = {k: v for k, v in SHALLOW.items() if k != "steps"}
    objective = jnst.make_objective(*pair, weights=vgg19, **changes)
    for which, looked_at in ((0, seen.first), (1, image)):
        for name, value in objective.terms(looked_at).items():
            found = sum(r.weight * r.losses[which] for r in rows if r.term == name)
            np.testing.assert_allclose(found, value, rtol=2e-5, atol=1e-9)
    layers = [(row.term, row.layer) for row in rows]
    assert ("style", "relu2_1") in layers and ("tv", "image") in layers


def test_gram_matrices_are_those_of_the_definition(vgg19):
    plan = plan_of(vgg19)
    image = picture(24, 26, 7)
    [found] = grams_of(plan, [image])
    maps = np.asarray(plan.extract(jnp.asarray(image[None]), ["relu1_1"])["relu1_1"])
    flat = maps.reshape(-1, maps.shape[-1]).astype(np.float64)
    expected = flat.T @ flat / len(flat)
    np.testing.assert_allclose(found["relu1_1"], expected, rtol=1e-5)
    values = spectrum(found["relu1_1"])
    np.testing.assert_allclose(values.sum(), np.trace(expected), rtol=1e-5)
    assert (np.diff(values) <= 0).all() and (values >= 0).all()


def test_a_texture_is_held_against_its_first_image(tmp_path, vgg19):
    style = picture(20, 22, 3)
    changes = {"shape": (18, 20), "content_weight": 0.0}
    _, page, _ = reported(tmp_path / "r.html", None, style, vgg19, **changes)
    alts = [a["alt"] for a in page.all("img")]
    assert alts[0] == "before: first image"
    assert texts(page, "h1") == ["A texture like an array"]
    assert "content" not in texts(page, "th")[: texts(page, "th").index("relu1_1")]


def test_each_picture_of_a_batch_has_a_part_of_its_own(tmp_path, vgg19):
    contents = np.stack([picture(20, 22, n) for n in range(2)])
    style = picture(20, 22, 3)
    _, page, result = reported(tmp_path / "r.html", contents, style, vgg19)
    assert len(page.all("figure", **{"class": "compare small"})) == 2
    heads = texts(page, "h2")
    assert heads[:2] == ["Picture 1 of 2", "Picture 2 of 2"]
    assert result.inputs["content"]["sha256"] in texts(page, "td")


def test_own_features_and_functions_are_reported(tmp_path):
    def extract(image):
        return {"coarse": image[:, ::2, ::2], "fine": image}

    terms = (
        jnst.Term("style", "gram", ("coarse", "fine"), "balance"),
        jnst.Term("bright", lambda found: found["image"].mean(), ("fine", "image")),
    )
    recipe = jnst.Recipe(terms=terms, learning_rate=0.02, steps=2)
    given = {"extract": extract, "recipe": recipe}
    with watched([write_report(tmp_path / "r.html")]) as shows:
        told = {"on_start": shows.start, "on_progress": shows.update}
        pictures = picture(18, 20, 1), picture(16, 20, 2)
        result = jnst.stylize(*pictures, **given, **told)
        shows.finish(result)
    page = Page((tmp_path / "r.html").read_text())
    assert {"style", "bright"} <= set(texts(page, "th"))
    assert {"coarse", "all"} <= set(texts(page, "td"))
    assert any("without a name" in text for text in texts(page, "p"))
    style = result.recipe.objective.terms[0]  # weighed after the plan was told
    assert f"{style.weight * style.layer_weights[0]:.4g}" in texts(page, "td")


def test_a_run_that_ends_early_is_reported_as_far_as_it_came(tmp_path, vgg19):
    path = tmp_path / "r.html"
    pictures = picture(20, 22, 1)[None], picture(20, 22, 2)  # a batch of one

    def stop(progress):
        shows.update(progress)
        if progress.step == 2:
            raise KeyboardInterrupt("<b>")

    with pytest.raises(KeyboardInterrupt), watched([write_report(path)]) as shows:
        told = {"on_start": shows.start, "on_progress": stop, "save_every": 1}
        jnst.stylize(*pictures, weights=vgg19, **SHALLOW | told)
    page = Page(path.read_text())
    assert "Ended by KeyboardInterrupt <b> after step 2 of 3." in texts(page, "p")
    assert len(page.all("figure", **{"class": "compare small"})) == 1
    assert page.all("path")


def test_a_run_that_is_refused_leaves_no_report(tmp_path, vgg19):
    path = tmp_path / "r.html"
    with pytest.raises(ValueError, match="steps"):
        reported(path, picture(20, 20), picture(20, 20), vgg19, steps=0)
    assert not path.exists()


def test_large_pictures_are_not_looked_at_whole(tmp_path, vgg19, monkeypatch):
    assert is_tiled(plan_of(vgg19, size_px=70, tile_px=64))
    assert not is_tiled(plan_of(vgg19, size_px=64, tile_px=64))
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    assert "several processes" in writer.why_not(plan_of(vgg19))
    monkeypatch.undo()
    monkeypatch.setattr(writer, "is_tiled", lambda plan: True)
    pictures = picture(20, 22, 1)[None], picture(20, 22, 2)
    _, page, _ = reported(tmp_path / "r.html", *pictures, vgg19)
    assert any("tile_px" in text for text in texts(page, "p"))
    assert "at start" not in texts(page, "th") and page.all("path")


def test_text_keeps_letters_and_shows_the_rest_by_number():
    assert as_text("Möwe 鳥 <a>") == "Möwe 鳥 &lt;a&gt;"
    assert as_text("a\x00\x1b\n\udcff") == r"a\x00\x1b\n\udcff"
    assert as_text("'\"") == "&#x27;&quot;"


@pytest.mark.parametrize(
    ("low", "high", "log", "found"),
    [
        (0, 10, False, [0, 2, 4, 6, 8, 10]),
        (0.1, 1000, True, [0.1, 1, 10, 100, 1000]),
        (3, 30, True, [5, 10, 20]),
        (-1, 1, False, [-1, -0.5, 0, 0.5, 1]),
    ],
)
def test_ticks_are_round(low, high, log, found):
    np.testing.assert_allclose(ticks(low, high, log), found, atol=1e-12)


def paths_of(html):
    return [
        [tuple(map(float, point.split())) for point in a["d"][1:].split("L")]
        for a in Page(html).all("path")
    ]


def test_curves_lie_where_their_numbers_are():
    y = np.array([100.0, 10.0, 1.0])
    [points] = paths_of(
        chart([Curve("a", np.arange(3), y)], Axis("x"), Axis("y", True))
    )
    (x0, y0), (x1, y1), (x2, y2) = points
    assert x0 < x1 < x2 and y0 < y1 < y2  # larger values are higher up
    np.testing.assert_allclose([x1, y1], [(x0 + x2) / 2, (y0 + y2) / 2], atol=0.11)


def test_what_cannot_be_drawn_is_left_out():
    x = np.arange(4)
    bad = Curve("bad", x, np.array([np.nan, 0.0, -1.0, np.inf]))
    assert "nothing to draw" in chart([bad], Axis("x"), Axis("y", True))
    good = Curve("good", x, np.array([1.0, np.nan, 1.0, 1.0]))
    drawn = chart([bad, good], Axis("x"), Axis("y", True))
    assert [len(points) for points in paths_of(drawn)] == [3]
    assert "nan" not in drawn and "bad" in drawn
    long = Curve("long", np.arange(10_000), np.ones(10_000))
    [points] = paths_of(chart([long], Axis("x"), Axis("y", True)))
    assert len(points) == 600
