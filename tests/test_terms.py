"""Any sum of terms: several of a kind, functions, names for all their fields."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from tiny import picture

import jnst
from jnst.losses import ContentLoss
from jnst.network.vgg import extract
from jnst.objective.balance import first_member
from jnst.objective.features import make_network
from jnst.objective.fields import ObjectiveFields
from jnst.objective.making import Pictures
from jnst.recipes.settings import parse_term

pytestmark = pytest.mark.usefixtures("quick_compile")
CONTENT, STYLE, IMAGE = picture(24, 26, 1), picture(22, 20, 2), picture(24, 26, 3)
GRAM = jnst.Term("style", "gram", ("relu1_1", "relu2_1"))
HISTOGRAM = jnst.Term("histogram", "histogram", ("relu1_1",), 0.5)
HELD = jnst.Term("content", "mean_squared", ("relu2_2",), 2.0)


def objective_of(params, *terms, **changes):
    recipe = jnst.Recipe(terms=terms)
    return jnst.make_objective(CONTENT, STYLE, recipe, weights=params, **changes)


def test_two_style_losses_add_up(vgg19):
    both = objective_of(vgg19, HELD, GRAM, HISTOGRAM).terms(IMAGE)
    assert list(both) == ["content", "style", "histogram"]
    gram = objective_of(vgg19, HELD, GRAM).terms(IMAGE)
    alone = objective_of(vgg19, HISTOGRAM).terms(IMAGE)
    for name, value in (gram | alone).items():
        np.testing.assert_allclose(both[name], value, rtol=1e-5)


def test_two_priors_and_three_contents_add_up(vgg19):
    terms = [
        *(HELD, jnst.Term("edges", "half_sum", ("relu1_2",), 1e-3)),
        jnst.Term("colour", "mean_squared", ("image",), 3.0),
        *(jnst.Term("tv", "tv_mean_l2"), jnst.Term("range", "l_beta_norm", weight=0.1)),
    ]
    found = objective_of(vgg19, *terms).terms(IMAGE)
    assert list(found) == ["content", "edges", "colour", "tv", "range"]
    expected = 3.0 * np.mean((IMAGE - CONTENT) ** 2)
    np.testing.assert_allclose(found["colour"], expected, rtol=1e-5)
    prior = jnst.losses.compute("l_beta_norm", IMAGE)
    np.testing.assert_allclose(found["range"], 0.1 * prior, rtol=1e-5)


def test_a_run_records_every_term_by_its_name(vgg19):
    recipe = jnst.Recipe(terms=(HELD, GRAM, HISTOGRAM), steps=2)
    result = jnst.stylize(CONTENT, STYLE, recipe, weights=vgg19, diagnostics=True)
    names = {"loss", "content", "style", "histogram"}
    assert {k for k in result.history if "_" not in k} == names
    assert "cosine_style_histogram" in result.history
    assert "gradient_norm_histogram" in result.history


def test_every_field_of_a_term_has_a_name(vgg19):
    recipe = jnst.Recipe(terms=(HELD, GRAM, HISTOGRAM))
    changed = dataclasses.replace(recipe, histogram_weight=3, style_layers=["relu1_1"])
    assert changed.histogram_weight == 3.0 and changed.style_layers == ("relu1_1",)
    assert changed.terms[2] == dataclasses.replace(HISTOGRAM, weight=3.0)
    objective = objective_of(vgg19, HELD, GRAM, HISTOGRAM, histogram_weight=0)
    assert objective.names == ["content", "style"]
    with pytest.raises(ValueError, match="'histogran'. Did you mean 'histogram'"):
        objective_of(vgg19, HISTOGRAM, histogran_weight=1.0)
    with pytest.raises(AttributeError, match="no field 'histogram_wait'"):
        _ = recipe.histogram_wait


def test_a_function_of_features_is_a_loss(vgg19):
    def bright(features):
        return jnp.mean((features["image"] - 1.0) ** 2) + jnp.mean(features["relu1_1"])

    own = jnst.Term("bright", bright, ("image", "relu1_1"), 2.0)
    found = objective_of(vgg19, own).terms(IMAGE)["bright"]
    relu = jnst.features(IMAGE, "relu1_1", vgg19)["relu1_1"]
    expected = 2 * (np.mean((IMAGE - 1.0) ** 2) + np.mean(relu))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    result = jnst.stylize(
        CONTENT, STYLE, jnst.Recipe(terms=(own,)), steps=3, weights=vgg19
    )
    assert result.history["bright"][-1] < result.history["bright"][0]


def test_an_added_term_is_balanced_by_the_recipes_own_of_its_kind(vgg19):
    added = dataclasses.replace(HISTOGRAM, weight="balance")
    recipe = jnst.Recipe(terms=(HELD, GRAM, added), steps=1)
    result = jnst.stylize(CONTENT, STYLE, recipe, weights=vgg19)
    weight = result.recipe.histogram_weight
    assert weight != "balance" and np.isfinite(weight) and weight > 0
    assert result.recipe.style_weight == 1.0


def test_a_content_loss_has_a_pyramid_too(vgg19):
    plain, levels = (
        objective_of(vgg19, dataclasses.replace(HELD, pyramid=n)).terms(IMAGE)
        for n in (1, 2)
    )
    assert 0 < levels["content"] != plain["content"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: jnst.Term("a b", "gram", ("relu1_1",)), "must be a word"),
        (lambda: jnst.Term("loss", "gram", ("relu1_1",)), "not 'loss'"),
        (lambda: jnst.Term("x", "gran", ("relu1_1",)), "Did you mean 'gram'"),
        (lambda: jnst.Term("x", "gram"), "x_layers must not be empty"),
        (lambda: jnst.Term("x", "tv_beta", ("relu1_1",)), "x_layers must be empty"),
        (lambda: jnst.Term("x", sum, (), options=(("a", 1),)), "takes no options"),
        (lambda: jnst.Term("x", "gram", ("relu1_1",), "heavy"), "unknown x_weight"),
        (lambda: jnst.Recipe(terms=(GRAM, GRAM)), "two terms are called 'style'"),
        (lambda: jnst.Recipe(terms=("gram",)), "must be of jnst.Term, got str"),
        (lambda: jnst.Recipe(terms=()), "nothing to optimise"),
    ],
)
def test_a_term_that_cannot_run_is_refused_when_made(make, words):
    with pytest.raises(ValueError, match=words) as info:
        make()
    assert "\n" not in str(info.value)


def test_a_function_needs_layers_and_gives_a_scalar(vgg19):
    with pytest.raises(ValueError, match="'mine' is a function: name the layers"):
        objective_of(vgg19, jnst.Term("mine", lambda f: f["relu1_1"]))
    flat = jnst.Term("mine", lambda f: f["relu1_1"][0, 0], ("relu1_1",))
    with pytest.raises(ValueError, match="term 'mine' must be a scalar, got"):
        objective_of(vgg19, flat)(IMAGE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "histogram: histogram, layers=relu1_1;relu4_1, weight=2",
            jnst.Term("histogram", "histogram", ("relu1_1", "relu4_1"), 2.0),
        ),
        ("gram:, layers=relu1_1", jnst.Term("gram", "gram", ("relu1_1",))),
        (
            "smooth: tv_beta, options=beta=2.5;mode=crop, weight=1e-3",
            jnst.Term(
                *("smooth", "tv_beta"),
                weight=1e-3,
                options=(("beta", 2.5), ("mode", "crop")),
            ),
        ),
        (
            "more: nnfm, layers=relu3_1, weight=balance",
            jnst.Term("more", "nnfm", ("relu3_1",), "balance"),
        ),
    ],
)
def test_a_term_is_read_from_text(text, expected):
    assert parse_term(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x: gran, layers=relu1_1", "Did you mean 'gram'"),
        ("x: gram, layer=relu1_1", "not FIELD=VALUE with a field of"),
        ("x: gram, layers=relu1_1, weight=much", "x_weight must be a number or bal"),
        ("x: gram", "x_layers must not be empty"),
    ],
)
def test_a_term_that_cannot_be_read_is_refused(text, words):
    with pytest.raises(ValueError, match=words):
        parse_term(text)


def squares(ours, theirs):
    return jnp.mean((ours - theirs) ** 2)


def test_a_row_of_ones_own_without_a_key_is_called_without_one(vgg19, monkeypatch):
    monkeypatch.setitem(jnst.losses.CONTENT_LOSSES, "mine", ContentLoss(squares))
    found = objective_of(vgg19, jnst.Term("content", "mine", ("image",))).terms(IMAGE)
    expected = np.mean((IMAGE - CONTENT) ** 2)
    np.testing.assert_allclose(found["content"], expected, rtol=1e-5)


@pytest.mark.parametrize("field", ["distance", "target"])
def test_a_row_whose_function_is_none_is_refused(field, monkeypatch):
    row = ContentLoss(squares)._replace(**{field: 3})
    monkeypatch.setitem(jnst.losses.CONTENT_LOSSES, "mine", row)
    words = f"{field} of content loss 'mine' must be a function, got 3"
    with pytest.raises(ValueError, match=words):
        jnst.Term("content", "mine", ("image",))


@pytest.mark.parametrize("white", [255.0, 256.0])
def test_the_network_sees_white_as_the_recipe_says(vgg19, white):
    network = make_network(vgg19, ObjectiveFields(terms=(HELD,), white=white))
    image = jnp.asarray(IMAGE)[None]
    found = network(image, ["relu2_2"])["relu2_2"]
    expected = extract(vgg19, image * (white / 255), ["relu2_2"])["relu2_2"]
    largest = float(jnp.abs(expected).max())
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * largest)


def test_the_first_of_a_batch_is_taken_of_contents_and_styles():
    batch, one = np.zeros((3, 1, 8, 6, 3)), np.zeros((1, 5, 7, 3))
    shares = jnp.ones(1)
    for content, styles, shapes in (
        (batch, [one], [(1, 8, 6, 3), (1, 5, 7, 3)]),
        (one, [batch], [(1, 5, 7, 3), (1, 8, 6, 3)]),
    ):
        found = first_member(Pictures(content, styles, shares))
        assert [x.shape for x in (found.content, *found.styles)] == shapes
    assert first_member(Pictures(None, [batch], shares)).content is None
