"""Recipes as data: checks when made, fields from text, records as JSON."""

import dataclasses
import inspect
import json

import optax
import pytest

from jnst.objective.fields import TERMS, ObjectiveFields
from jnst.objective.term import TERM_FIELDS, Term
from jnst.recipes import RECIPES, Recipe
from jnst.recipes.changes import Changes, RecipeChanges, RunChanges
from jnst.recipes.changing import resolve
from jnst.recipes.recipe import HOMES, PARTS, check_field, flat_types
from jnst.recipes.settings import field_types, parse_setting, read_record, record


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("style_weight=1e3", ("style_weight", 1000.0)),
        ("learning_rate=1", ("learning_rate", 1.0)),
        ("steps=20", ("steps", 20)),
        ("steps=none", ("steps", None)),
        ("clip=False", ("clip", False)),
        ("pooling_ceil=true", ("pooling_ceil", True)),
        ("pooling=average", ("pooling", "average")),
        ("style_layers=relu1_1,relu2_1", ("style_layers", ("relu1_1", "relu2_1"))),
        ("style_layer_weights=1,0.5", ("style_layer_weights", (1.0, 0.5))),
        ("style_layer_weights=", ("style_layer_weights", ())),
        ("aspect=3,4", ("aspect", (3, 4))),
        ("style_options=scale=chw", ("style_options", (("scale", "chw"),))),
        (
            "tv_options=beta=2.5,mode=crop",
            ("tv_options", (("beta", 2.5), ("mode", "crop"))),
        ),
        ("optimizer=sgd", ("optimizer", "sgd")),
        ("source=a=b", ("source", "a=b")),
    ],
)
def test_a_setting_is_read_as_its_fields_type(text, expected):
    name, value = parse_setting(text)
    assert (name, value) == expected
    assert type(value) is type(expected[1])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("style_weight", "setting 'style_weight' is not of the form FIELD=VALUE"),
        (
            "style_wieght=1",
            "unknown recipe field 'style_wieght'. Did you mean 'style_w",
        ),
        ("steps=many", "steps must be .*, got 'many'"),
        ("steps=1.5", "steps must be .*, got '1.5'"),
        ("clip=yes", "clip must be true or false, got 'yes'"),
        ("style_weight=heavy", "style_weight must be a number or balance, got 'heavy'"),
        ("style_layer_weights=1,x", "style_layer_weights must be .*, got '1,x'"),
    ],
)
def test_a_wrong_setting_is_refused_in_one_line(text, words):
    with pytest.raises(ValueError, match=words) as info:
        parse_setting(text)
    assert "\n" not in str(info.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"style_loss": "grams"}, "unknown style loss 'grams'. Did you mean 'gram'"),
        ({"content_loss": "means"}, "unknown content loss 'means'"),
        ({"tv_loss": "tv"}, "unknown image loss 'tv'"),
        (
            {"style_options": (("scal", "hw"),)},
            "unknown option of loss 'gram' 'scal'. ",
        ),
        ({"content_options": (("a", 1),)}, "loss 'mean_squared' takes no options, got"),
        ({"style_options": (("image_size", 1),)}, "image_size is set by the loop"),
        ({"optimizer": "adamw"}, "unknown optimizer 'adamw'. Did you mean 'adam'"),
        ({"pooling": "avg"}, "unknown pooling 'avg'"),
        ({"padding": "mirror"}, "unknown padding 'mirror'"),
        ({"init": "contents"}, "unknown init 'contents'. Did you mean 'content'"),
        ({"returns": "first"}, "unknown returns 'first'"),
        ({"dtype": "float16"}, "unknown dtype 'float16'"),
        ({"resize": "cubic"}, "unknown resize 'cubic'. Did you mean 'bicubic'"),
        ({"style_layers": ()}, "style_layers must not be empty"),
        ({"style_layer_weights": (1.0,)}, "style_layer_weights has 1 values for 5 lay"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0, got 0.0"),
        ({"learning_rate": float("nan")}, "learning_rate must be above 0, got nan"),
        ({"style_weight": -1.0}, "style_weight must be at least 0, got -1.0"),
        ({"tv_weight": float("inf")}, "tv_weight must be .*, got inf"),
        ({"content_weight": float("nan")}, "content_weight must be .*, got nan"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"scale_steps": (100, 0)}, "steps must be at least 1, got 0"),
        ({"scale_ratio": 0.5}, "scale_ratio must be at least 1, got 0.5"),
        ({"ema": 1.0}, r"ema must be in \[0, 1\), got 1.0"),
        ({"cooldown": 1.5}, r"cooldown must be in \[0, 1\], got 1.5"),
        ({"cooldown": 0.5, "optimizer": "lbfgs"}, "set cooldown=0"),
        ({"moments": "rescale"}, "Did you mean 'rescaled'"),
        ({"beta1": -0.1}, r"beta1 must be in \[0, 1\), got -0.1"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"size_px": 0}, "size_px must be at least 1, got 0"),
        ({"aspect": (1,)}, "aspect must be two numbers above 0"),
        ({"aspect": (0, 2)}, "aspect must be two numbers above 0"),
        (
            {"style_loss": "covariance", "style_blend": "statistics"},
            "statistics of 'covariance' do not blend; set style_blend=losses",
        ),
        (
            {"style_weight": 0.0, "content_weight": 0.0, "tv_weight": 0.0},
            "all weights are 0: nothing to optimise",
        ),
    ],
)
def test_a_recipe_that_cannot_run_is_refused_when_made(changes, words):
    with pytest.raises(ValueError, match=words) as info:
        Recipe(**changes)
    assert "\n" not in str(info.value)


@pytest.mark.parametrize("name", RECIPES)
def test_the_record_is_json_and_makes_the_same_recipe_again(name):
    document = json.loads(json.dumps(record(RECIPES[name])))
    assert list(document) == list(flat_types())
    assert read_record(document) == RECIPES[name]


def test_the_record_of_an_own_optimizer_is_json_too():
    document = record(Recipe(optimizer=optax.adam(0.1)))
    assert isinstance(json.loads(json.dumps(document))["optimizer"], str)


def test_every_field_is_documented():
    for kind in (*PARTS.values(), Term, Recipe):
        documented = inspect.cleandoc(kind.__doc__)
        for field in dataclasses.fields(kind):
            assert f"\n  {field.name}: " in documented, field.name


def test_every_field_has_one_flat_name():
    recipe = RECIPES["jnst"]
    for name in field_types(recipe):
        home = HOMES.get(name)
        term, _, field = name.partition("_")
        if home:
            assert getattr(recipe, name) == getattr(getattr(recipe, home), name)
        else:
            [found] = [t for t in recipe.terms if t.name == term]
            assert getattr(recipe, name) == getattr(found, field)
    assert len(field_types(recipe)) == len(HOMES) - 1 + 3 * len(TERM_FIELDS)


def test_type_checkers_know_every_keyword():
    """`Changes` is typed by hand for them; its names are those of the fields."""
    names = {*field_types(Recipe()), "terms", *PARTS}
    assert set(RecipeChanges.__annotations__) == names
    of_stylize = {"steps", "init", "seed", "size_px", "weights", *PARTS}
    assert set(Changes.__annotations__) == names - of_stylize
    assert set(RunChanges.__annotations__) == names - {"size_px", "weights", *PARTS}


def test_an_unknown_field_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="'learning'. Did you mean 'learning_rate'"):
        check_field("learning")


def test_changes_may_be_lists_and_dicts():
    changes = {"style_layers": ["relu1_1"], "style_options": {"scale": "chw"}}
    recipe = resolve("tf-eager", changes)
    assert recipe.style_layers == ("relu1_1",)
    assert recipe.style_options == (("scale", "chw"),)
    assert hash(recipe)


def test_an_unknown_recipe_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="unknown recipe 'gaty'. Did you mean 'gatys'"):
        resolve("gaty", {})


def test_a_whole_number_is_taken_where_a_float_is_meant():
    recipe = Recipe(tv_weight=1, style_weight=2)
    assert isinstance(recipe.tv_weight, float)
    assert recipe == Recipe(tv_weight=1.0, style_weight=2.0)
    assert [term["weight"] for term in record(recipe)["terms"]] == [1.0, 2.0, 1.0]


def test_a_loss_that_is_none_is_called_by_its_field():
    with pytest.raises(ValueError, match="^style_loss must be the name of a loss or a"):
        Recipe(style_loss=3)


def test_fields_are_given_by_name():
    with pytest.raises(TypeError, match="positional"):
        ObjectiveFields(TERMS)  # type: ignore
