"""All metrics of a result at once, metrics as terms, and the command `jnst score`."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from tiny import picture, tiny_lpips

import jnst
from jnst import metrics
from jnst.cli.main import main
from jnst.image import resize_image, save_image
from jnst.metrics import scoring
from jnst.metrics.features import input_scale
from jnst.metrics.table import METRICS
from jnst.weights import search

pytestmark = pytest.mark.usefixtures("quick_compile")
CONTENT, STYLE = picture(24, 22, 1), picture(20, 26, 2)
RESULT = np.float32(0.5) * (CONTENT + picture(24, 22, 3))
PIXELS = ["ssim", "histogram", "colour"]
LEARNED = [name for name, row in METRICS.items() if row.load]
LAYERED = [name for name, row in METRICS.items() if row.layers]


def test_every_metric_is_there_and_says_what_it_is():
    names = "lpips_alex lpips_vgg lpips_grey dists cfsd histogram ssim ms_ssim frechet"
    names += " sliced_wasserstein gram colour artfid_content"
    assert set(METRICS) == set(names.split())
    for name, row in METRICS.items():
        assert row.better in ("lower", "higher") and row.reference in (
            "content",
            "style",
        ), name
        assert row.takes in ("images", "maps")
        for words in (row.source, row.range, row.captures, row.blind):
            assert len(words) > 5, name


def missing():
    raise FileNotFoundError("not installed")


@pytest.fixture
def no_packages(monkeypatch):
    for name in LEARNED:
        row = METRICS[name]._replace(load=missing)
        monkeypatch.setitem(METRICS, name, row)


@pytest.mark.slow
def test_what_cannot_be_computed_is_left_out_with_its_reason(no_packages, vgg19):
    done = []
    how = {"weights": vgg19, "on_metric": done.append}
    found = metrics.scores_and_reasons(RESULT, CONTENT, STYLE, **how)
    assert set(found.left_out) == {*LEARNED, "ms_ssim"}
    assert found.left_out["lpips_vgg"] == "not installed"
    assert "24x22" in found.left_out["ms_ssim"] and "161" in found.left_out["ms_ssim"]
    assert "31 pixels" in found.left_out["lpips_alex"]  # too small, before all else
    expected = {*PIXELS, "cfsd", "frechet", "gram", "sliced_wasserstein"}
    assert set(found.values) == set(done) == expected
    assert metrics.score(RESULT, CONTENT, STYLE, weights=vgg19) == found.values
    for name in ("gram", "sliced_wasserstein"):
        value = metrics.compute(name, RESULT, STYLE, weights=vgg19)
        np.testing.assert_allclose(found.values[name], value, rtol=1e-4)
    for name in PIXELS:
        reference = CONTENT if METRICS[name].reference == "content" else STYLE
        value = metrics.compute(name, RESULT, reference)
        np.testing.assert_allclose(found.values[name], value, rtol=1e-5)
    for name, reference in (("cfsd", CONTENT), ("frechet", STYLE)):
        (layer,) = METRICS[name].layers
        maps = [
            jnst.features(each, layer, vgg19)[layer] for each in (RESULT, reference)
        ]
        value = metrics.compute(name, *(each[0] / input_scale(vgg19) for each in maps))
        np.testing.assert_allclose(found.values[name], value, rtol=1e-4)


def test_without_a_network_pixels_are_still_judged(no_packages, monkeypatch):
    monkeypatch.delenv("JNST_WEIGHTS", raising=False)
    rows = [{"name": "vgg19", "found": None}]
    monkeypatch.setattr(search, "list_weights", lambda: rows)
    scoring._named_network.cache_clear()
    found = metrics.scores_and_reasons(RESULT, CONTENT, STYLE)
    assert set(found.values) == set(PIXELS)
    assert "install the extra 'weights'" in found.left_out["gram"]


def test_a_metric_asked_for_by_name_must_be_possible():
    done = []
    with pytest.raises(ValueError, match="'ms_ssim' cannot be computed: result is 24x"):
        metrics.scores_and_reasons(
            *(RESULT, CONTENT, STYLE),
            names=["ssim", "ms_ssim"],
            strict=True,
            on_metric=done.append,
        )
    assert not done  # before any work
    with pytest.raises(ValueError, match="'ms_ssim' cannot be computed"):
        metrics.score(RESULT, CONTENT, STYLE, names=["ms_ssim"])


def test_the_content_is_resized_to_the_result():
    larger = resize_image(CONTENT, (48, 44))
    found = metrics.score(RESULT, larger, STYLE, names=["ssim"])
    expected = metrics.compute("ssim", RESULT, resize_image(larger, (24, 22)))
    np.testing.assert_allclose(found["ssim"], expected, rtol=1e-5)


def test_a_batch_is_scored_by_the_mean_over_its_pictures():
    several = np.stack([RESULT, CONTENT])
    alone = [metrics.score(each, CONTENT, STYLE, names=PIXELS) for each in several]
    both = metrics.score(several, CONTENT, STYLE, names=PIXELS)
    pairs = metrics.score(
        several, np.stack([CONTENT] * 2), np.stack([STYLE] * 2), names=PIXELS
    )
    for name in PIXELS:
        expected = np.mean([each[name] for each in alone])
        np.testing.assert_allclose([both[name], pairs[name]], expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("pictures", "names", "words"),
    [
        (
            (RESULT, CONTENT, STYLE),
            ["sim"],
            "unknown metric 'sim'. Did you mean 'ssim'",
        ),
        ((255 * RESULT, CONTENT, STYLE), ["ssim"], r"result must be in \[0, 1\], got"),
        ((RESULT, CONTENT[..., 0], STYLE), ["ssim"], "content must be"),
        ((RESULT, CONTENT, np.full_like(STYLE, np.nan)), ["colour"], "not finite"),
        (
            (RESULT, CONTENT, np.stack([STYLE] * 2)),
            ["colour"],
            "style must be one image",
        ),
        ((np.uint8(255 * RESULT), CONTENT, STYLE), ["ssim"], "divide 8-bit by 255"),
    ],
)
def test_bad_pictures_are_a_line(pictures, names, words):
    with pytest.raises(ValueError, match=words):
        metrics.score(*pictures, names=names)


@pytest.mark.parametrize(
    ("name", "arrays", "options", "words"),
    [
        ("sim", (RESULT, CONTENT), {}, "unknown metric 'sim'"),
        ("ssim", (RESULT, CONTENT), {"bins": 3}, "'ssim' takes no options, got 'bins'"),
        ("histogram", (RESULT, CONTENT), {"bin": 3}, "Did you mean 'bins'"),
        ("histogram", (RESULT, CONTENT), {"bins": 2.5}, "bins of metric 'histogram'"),
        ("histogram", (RESULT, CONTENT), {"bins": 0}, "must be above 0"),
        ("ms_ssim", (RESULT, CONTENT), {"odd": "zero"}, "Did you mean 'zeros'"),
        ("ms_ssim", (RESULT, CONTENT), {}, "at least 161 pixels"),
        ("ssim", (RESULT[:9], CONTENT[:9]), {}, "at least 11 pixels"),
        ("ssim", (RESULT, STYLE), {}, "must have the same shape"),
        ("cfsd", (RESULT, STYLE), {}, "must have the same shape"),
        ("frechet", (RESULT[:1, :1], STYLE), {}, "needs two positions"),
        ("frechet", (RESULT[..., :2], STYLE), {}, "channels of result and reference"),
        ("ssim", (RESULT[..., :2], CONTENT), {}, "result must be floats"),
        ("ssim", (RESULT, np.uint8(255 * CONTENT)), {}, "reference must be floats"),
        ("ssim", (RESULT, CONTENT), {"weights": {}}, "of no use"),
        ("ssim", (RESULT[None][[0, 0]], CONTENT[None][[0, 0, 0]]), {}, "of 2 and 3"),
    ],
)
def test_bad_arrays_and_options_are_a_line(name, arrays, options, words):
    with pytest.raises(ValueError, match=words):
        metrics.compute(name, *arrays, **options)


def test_similarities_and_distances_are_terms_of_an_objective(vgg19):
    larger, style = picture(36, 33, 1), picture(32, 34, 2)
    (layer,) = METRICS["cfsd"].layers
    maps = jnst.features(larger, layer, vgg19)[layer]
    weights = tiny_lpips()
    losses = {
        "ssim": (metrics.as_loss("ssim", larger), "image"),
        "lpips": (metrics.as_loss("lpips_alex", larger, weights=weights), "image"),
        "kept": (metrics.as_loss("cfsd", maps), layer),
        "colours": (metrics.as_loss("colour", style, count=8), "image"),
    }
    terms = tuple(jnst.Term(k, loss, (at,)) for k, (loss, at) in losses.items())
    recipe = jnst.Recipe(terms=terms, steps=3, init="noise")
    objective = jnst.make_objective(larger, style, recipe, weights=vgg19)
    found = objective.terms(jnp.asarray(larger))
    np.testing.assert_allclose(
        [found["ssim"], found["lpips"], found["kept"]], 0, atol=1e-4
    )
    other = picture(36, 33, 5)
    found = objective.terms(jnp.asarray(other))
    value = metrics.compute("ssim", other, larger)
    np.testing.assert_allclose(found["ssim"], 1 - value, rtol=1e-4)
    value = metrics.compute("colour", other, style, count=8)
    np.testing.assert_allclose(found["colours"], value, rtol=1e-4)
    state = jnst.init(objective)
    for _ in range(3):
        state, losses = jnst.step(objective, state)
        assert all(np.isfinite(value) for value in losses.values())


@pytest.fixture
def files(tmp_path):
    """Files of a content, a style, a result and the same one smaller."""
    images = {"content": CONTENT, "style": STYLE, "result": RESULT}
    images["square"] = resize_image(RESULT, (16, 16))
    for name, image in images.items():
        save_image(tmp_path / f"{name}.png", image)
    return {name: str(tmp_path / f"{name}.png") for name in images}


def test_the_command_prints_a_row_a_result(files, capsys):
    arguments = ["score", *files.values(), "--names", "ssim,colour,histogram"]
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert "ssim ↑" in out and "colour ↓" in out and "histogram ↓" in out
    assert out.count("result.png") == out.count("square.png") == 2  # two tables
    assert "stretched" in err and "square.png 16x16" in err


def test_the_command_writes_one_json_document(files, capsys):
    three = [files[name] for name in ("content", "style", "result")]
    assert main(["score", *three, "--names", "ssim,colour", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["device"] and document["versions"]["jax"]
    assert document["content"]["name"] == "content.png"
    about = document["metrics"]["ssim"]
    assert about["better"] == "higher" and "2004" in about["source"]
    (result,) = document["results"]
    loaded = [jnst.image.load_image(path) for path in three]
    expected = metrics.score(loaded[2], *loaded[:2], names=["ssim", "colour"])
    assert result["scores"] == pytest.approx(expected, rel=1e-6)
    assert result["shape"] == [24, 22] and result["left_out"] == {}


def test_the_command_lists_metrics(no_packages, capsys):
    assert main(["score", "--list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == list(METRICS)
    assert {row["name"] for row in rows if row["missing"]} == set(LEARNED)
    assert main(["score", "--list", "--names", "ssim,dists"]) == 0
    out, err = capsys.readouterr()
    assert "higher" in out and "dists cannot be computed: not installed" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{content}", "{style}"], "needs CONTENT, STYLE and one RESULT"),
        (["{content}", "{style}", "nope.png"], "no image file 'nope.png'"),
        (["{content}", "{style}", "{result}", "--names", "sim"], "mean 'ssim'"),
        (["{content}", "{style}", "{result}", "--names", "ms_ssim"], "161 pixels"),
        (
            [
                "{content}",
                "{style}",
                "{result}",
                "--names",
                "gram",
                "--weights",
                "a.npz",
            ],
            "'a.npz' not found",
        ),
    ],
)
def test_bad_input_of_the_command_is_a_line(arguments, words, files, capsys):
    assert main(["score", *(each.format(**files) for each in arguments)]) == 2
    out, err = capsys.readouterr()
    assert not out and words in err and err.count("\n") == 1
