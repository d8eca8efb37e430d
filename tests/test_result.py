"""What comes out of a run, as a library hands it over: files, notebooks, pandas."""

import json

import numpy as np
import pytest
from PIL import Image
from tiny import picture

import jnst
from jnst.image import load_image, read_metadata, save_image

pytestmark = pytest.mark.usefixtures("quick_compile")
SHALLOW = {
    "style_layers": ("relu1_1", "relu2_1"),
    "content_layers": ("relu2_2",),
    "steps": 2,
}


@pytest.fixture(scope="module")
def result(vgg19):
    pair = picture(24, 26, 1), picture(22, 20, 2)
    return jnst.stylize(*pair, weights=vgg19, seed=4, **SHALLOW)


def test_a_saved_picture_tells_how_it_was_made(result, tmp_path):
    result.save(tmp_path / "out.png")
    about = read_metadata(tmp_path / "out.png")
    assert about["recipe_name"] == "jnst" and about["recipe"]["seed"] == 4
    assert len(about["content"]["sha256"]) == 64 and about["content"]["name"] is None
    assert set(about) >= {"styles", "weights", "versions", "device", "final_loss"}
    np.testing.assert_allclose(
        load_image(tmp_path / "out.png"), result.image, rtol=0, atol=0.5 / 255 + 1e-6
    )
    assert jnst.Recipe.from_png(tmp_path / "out.png") == result.recipe


def test_a_recipe_of_a_picture_makes_the_picture_again(vgg19, tmp_path):
    pair = picture(24, 26, 1), picture(22, 20, 2)
    added = jnst.Term("histogram", "histogram", ("relu1_1",), 0.5)
    terms = (*jnst.RECIPES["jnst"].terms, added)
    first = jnst.stylize(*pair, weights=vgg19, terms=terms, init="noise", **SHALLOW)
    first.save(tmp_path / "first.png")
    recipe = jnst.Recipe.from_png(tmp_path / "first.png")
    assert recipe.histogram_weight == 0.5
    # The first image is named by the recipe, not drawn from the content.
    again = jnst.stylize(*pair, recipe, weights=vgg19)
    np.testing.assert_array_equal(again.image, first.image)


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ({"other": 1}, "carries no recipe of jnst's"),
        ({"recipe": {"style": 1}}, "unknown recipe field 'style'"),
        ({"recipe": {"learning_rate": -1}}, "learning_rate must be above 0"),
        ({"recipe": {"terms": [{"name": "a", "colour": 1}]}}, "holds no terms"),
    ],
)
def test_a_hostile_record_is_refused(about, words, tmp_path):
    save_image(tmp_path / "bad.png", picture(4, 4), metadata=about)
    with pytest.raises(ValueError, match=words):
        jnst.Recipe.from_png(tmp_path / "bad.png")


def test_a_notebook_shows_the_picture(result, tmp_path):
    (tmp_path / "shown.png").write_bytes(result._repr_png_())
    shown = load_image(tmp_path / "shown.png")
    np.testing.assert_allclose(shown, result.image, rtol=0, atol=0.5 / 255 + 1e-6)
    assert repr(result).startswith("Result(24x26, 2 steps, ")
    assert len(repr(result)) < 80


def test_pandas_reads_a_history(result):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(result.history)
    assert set(table.columns) == {"loss", "content", "style", "tv"}
    assert len(table) == 2


def test_a_batch_is_saved_picture_by_picture(vgg19, tmp_path):
    contents = np.stack([picture(24, 26, seed) for seed in (1, 2)])
    batch = jnst.stylize(contents, picture(22, 20, 2), weights=vgg19, **SHALLOW)
    assert "2 pictures of 24x26" in repr(batch)
    with pytest.raises(ValueError, match="save each of result.each()"):
        batch.save(tmp_path / "both.png")
    for n, one in enumerate(batch.each()):
        one.save(tmp_path / f"{n}.png")
    assert load_image(tmp_path / "1.png").shape == (24, 26, 3)
    (tmp_path / "row.png").write_bytes(batch._repr_png_())
    assert load_image(tmp_path / "row.png").shape == (24, 52, 3)


def test_a_pillow_image_is_what_its_file_is(vgg19, tmp_path):
    save_image(tmp_path / "a.png", picture(40, 30, 1))
    with Image.open(tmp_path / "a.png") as content:
        changes = {"weights": vgg19, "size_px": 24, **SHALLOW}
        one = jnst.stylize(content, picture(22, 20, 2), **changes)
    two = jnst.stylize(tmp_path / "a.png", picture(22, 20, 2), **changes)
    assert one.image.shape == (24, 18, 3)
    np.testing.assert_array_equal(one.image, two.image)


def test_stylize_leaves_jaxs_configuration_alone(vgg19):
    import jax

    before = {k: v for k, v in jax.config.values.items()}
    jnst.stylize(picture(24, 26, 1), picture(22, 20, 2), weights=vgg19, **SHALLOW)
    assert {k: v for k, v in jax.config.values.items()} == before


MISSPELT = """
import jnst
jnst.stylize("a.jpg", "b.jpg", learning_rate=0.1)
jnst.stylize("a.jpg", "b.jpg", learnin_rate=0.1)
jnst.make_objective("a.jpg", "b.jpg", style_weigth=2.0)
jnst.Recipe(style_weight=2.0, stepz=3)
"""


@pytest.mark.slow
def test_a_type_checker_finds_a_misspelt_keyword(tmp_path):
    import subprocess
    import sys

    (tmp_path / "user.py").write_text(MISSPELT)
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath",
         sys.executable, str(tmp_path / "user.py")],
        capture_output=True,
        text=True,
    )  # fmt: skip
    found = json.loads(done.stdout)["generalDiagnostics"]
    lines = [each["range"]["start"]["line"] for each in found]
    assert lines == [3, 4, 5], found
