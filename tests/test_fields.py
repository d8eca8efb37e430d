"""Every field of every recipe, whatever it is given: one clear line, or a run.

All is generated from the fields, so that a new one is covered. Nothing is compiled but
in the last test: what is accepted goes as far as a plan.
"""

import json
import logging

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tiny import picture, tiny_params

import jnst
from jnst.cli.main import main
from jnst.drivers import transfer
from jnst.drivers.plan import Request, make_plan
from jnst.image import save_image
from jnst.loop.optimizers import NUMBERS
from jnst.recipes.changing import resolve
from jnst.recipes.recipe import HOMES, PARTS, Recipe
from jnst.recipes.settings import field_types, parse_setting, read_record, record
from jnst.weights import save_weights

CONTENT, STYLE = picture(32, 34, 1), picture(33, 32, 2)
FIELDS = [*field_types(Recipe()), "terms", *PARTS]
NAN, INF = float("nan"), float("inf")
VALUES = {
    "none": None,
    "true": True,
    "empty text": "",
    "text": "banana",
    "number as text": "0.1",
    "nan as text": "nan",
    "bytes": b"x",
    "zero": 0,
    "negative": -1,
    "one": 1,
    "several": 3,
    "fraction": 2.5,
    "half": 0.5,
    "nan": NAN,
    "infinite": INF,
    "minus infinite": -INF,
    "huge": 10**400,
    "huge negative": -(10**30),
    "2^63": 2**63,
    "beyond float32": 1e39,
    "below float32": 1e-50,
    "complex": 1j,
    "empty tuple": (),
    "empty list": [],
    "list": [1.0, 2.0],
    "list of nan": [1.0, NAN, 1.0, 1.0, 1.0],
    "mixed list": [1, "x", None],
    "nested": ((1, 2), (3, 4)),
    "dict": {"a": 1},
    "empty dict": {},
    "array": np.ones((2, 2)),
    "empty array": np.zeros(0),
    "numpy number": np.float32(2),
    "jax number": jnp.float32(2),
    "object": object(),
    "function": max,
    "class": int,
    "factory": optax.adamw,
    "transformation": optax.adamw(0.1),
    "schedule": optax.linear_schedule(1.0, 0.1, 10),
    "term": jnst.Term("more", "gram", ("relu1_1",)),
    "terms": (jnst.Term("one", "gram", ("relu1_1",)),),
    "options with an array": {"scale": np.ones(3)},
    "layer": "relu1_1",
    "layers": ["relu1_1", "relu9_9"],
}
TEXTS = ["", "banana", "none", "true", "0", "-1", "1", "2.5", "0.5", "nan", "inf"]
TEXTS += ["-inf", "1e400", "1e-50", "9" * 30, "9" * 5000, "1,2", "1,nan,1,1,1", "a=1"]
TEXTS += ["=", ",", "é", "[1]", "relu1_1", "content"]


def in_one_line(error, *names):
    message = str(error)
    assert message and "\n" not in message and len(message) < 700
    assert not names or any(name in message for name in names), message


def outcome(recipe, field, value):
    """The recipe with a field changed, or None where it is refused in one line."""
    try:
        changed = resolve(recipe, {field: value})
    except ValueError as error:
        # A field of a term is named whole, or by the loss that will not have it.
        in_one_line(error, field, field.split("_")[-1].removesuffix("s"), "weights")
        return None
    return changed


@pytest.fixture(scope="module")
def accepted():
    """{(recipe, field, name of the value): recipe}, quietly."""
    logging.disable(logging.WARNING)
    found = {}
    for at, name in enumerate(jnst.RECIPES):
        shared = list(VALUES.items())[at::13]  # among the recipes, to be quick
        for field in FIELDS:
            for key, value in VALUES.items() if name == "jnst" else shared:
                changed = outcome(name, field, value)
                if changed is not None:
                    found[name, field, key] = changed
    logging.disable(logging.NOTSET)
    return found


def test_every_value_is_refused_in_one_line_or_makes_a_recipe(accepted):
    of_default = [key for key in accepted if key[0] == "jnst"]
    fields = {field for _, field, _ in of_default}
    words = {name for name in FIELDS if isinstance(getattr(Recipe(), name), str)}
    parts = {"objective", "optimization", "schedule", "run"}
    assert fields >= {*FIELDS} - words - parts - {"init", "content_loss", "tv_loss"} - {
        "tv_layers", "tv_pyramid", "aspect", "style_aspect", "scale_steps",
    }  # fmt: skip
    assert len(of_default) < 0.4 * len(FIELDS) * len(VALUES)


def test_what_is_accepted_is_of_the_fields_type_and_hashable(accepted):
    for (_, field, value), recipe in accepted.items():
        hash(recipe)
        kept = getattr(recipe, field)
        numbers = [x for x in jax.tree.leaves(kept) if isinstance(x, float)]
        assert np.isfinite(np.asarray(numbers)).all(), (field, value)
        if field in (*NUMBERS, "white", "pixel_scale"):
            assert type(kept) is float and np.isfinite(np.float32(kept))
        if field == "optimizer" or callable(kept) or "function" in value:
            continue
        if not isinstance(recipe.optimizer, str):
            continue
        document = json.loads(json.dumps(record(recipe)))
        if all(isinstance(term.loss, str) for term in recipe.terms):
            assert read_record(document) == recipe, (field, value)


def test_what_is_accepted_makes_a_plan_or_is_refused_in_one_line(accepted, vgg19):
    logging.disable(logging.WARNING)
    plans = 0
    for recipe in {
        recipe for (name, _, _), recipe in accepted.items() if name == "jnst"
    }:
        for content in (CONTENT, None):
            request = Request(content, STYLE, recipe, weights=vgg19)
            try:
                plan = make_plan(request, {})
            except ValueError as error:
                in_one_line(error)
                continue
            assert plan.stages and sum(stage.steps for stage in plan.stages) >= 1
            assert plan.recipe.seed == recipe.seed
            plans += 1
    logging.disable(logging.NOTSET)
    assert plans > 50


ARGUMENTS = {
    "recipe": "jnst", "size_px": None, "weights": None, "init": None, "blend": None,
    "shape": None,
}  # fmt: skip


@pytest.mark.parametrize("argument", ARGUMENTS)
@pytest.mark.parametrize("texture", [False, True])
def test_arguments_of_a_run_are_refused_in_one_line_too(vgg19, argument, texture):
    plain = {"weights": vgg19, **({"size_px": 40} if argument != "shape" else {})}
    for key, value in VALUES.items():
        given = {**plain, argument: value}
        content = None if texture else CONTENT
        request = Request(content, STYLE, given.pop("recipe", "jnst"), **given)
        try:
            plan = make_plan(request, {})
        except (ValueError, FileNotFoundError) as error:
            in_one_line(error, argument, argument.removesuffix("s"), "content image")
            continue
        assert plan.stages, key


@pytest.mark.parametrize("what", ["content", "style"])
def test_pictures_are_refused_in_one_line_too(vgg19, what):
    for key, value in VALUES.items():
        if key == "none" and what == "content":
            continue
        pair = {"content": CONTENT, "style": STYLE, what: value}
        with pytest.raises((ValueError, FileNotFoundError)) as info:
            make_plan(Request(**pair, recipe="jnst", weights=vgg19), {})
        in_one_line(info.value)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with two pictures and weights."""
    found = tmp_path_factory.mktemp("fields")
    save_image(found / "content.png", CONTENT)
    save_image(found / "style.png", STYLE)
    save_weights(tiny_params(), found / "tiny.safetensors", title="tiny", licence="MIT")
    return found


@pytest.fixture
def jnst_command(folder, monkeypatch, capsys):
    """Runs a command up to its plan; returns its exit code and its last line."""

    def stop(plan):
        raise FloatingPointError("planned")  # the one error with a code of its own

    monkeypatch.setattr(transfer, "weighed", stop)
    monkeypatch.chdir(folder)
    pictures = ("content.png", "style.png", "-o", "out.png")

    def call(*arguments, weights=True):
        known = ("--weights", "tiny.safetensors") if weights else ()
        code = main(["stylize", *pictures, *known, *map(str, arguments)])
        lines = [s for s in capsys.readouterr().err.splitlines() if "jnst: " in s]
        assert len(lines) == 1 and lines[0].startswith("jnst: error: "), lines
        assert "Traceback" not in lines[0]
        assert (code, "planned" in lines[0]) in ((2, False), (1, True)), lines
        return code, lines[0].removeprefix("jnst: error: ")

    return call


@pytest.mark.slow
def test_every_field_on_the_command_line(jnst_command):
    """What `parse_setting` and `resolve` let through goes the whole way."""
    logging.disable(logging.WARNING)
    for field in field_types(Recipe()):
        planned = 0
        for text in TEXTS:
            try:
                resolve("jnst", dict([parse_setting(f"{field}={text}")]))
            except ValueError as error:
                in_one_line(error)
                continue
            planned += 1
            if planned < 4:
                jnst_command("--set", f"{field}={text}", weights=field != "weights")
        code, message = jnst_command("--set", f"{field}=é\n")
        assert code == 2 or HOMES.get(field) == "run", message
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("option", ["--steps", "--seed", "--size", "--save-every"])
@pytest.mark.parametrize("text", TEXTS)
def test_options_that_are_numbers(jnst_command, option, text):
    code, message = jnst_command(option, text)
    whole = text.lstrip("-").isdigit() and text.isascii()
    assert code == 2 or whole, message


@pytest.mark.parametrize(
    "setting", ["seed=3", "steps=2", "size_px=40", "init=noise", "weights=tiny.sa"]
)
def test_arguments_of_stylize_can_be_set_as_fields(jnst_command, setting):
    given = setting.replace("tiny.sa", "tiny.safetensors")
    weights = not given.startswith("weights")
    code, message = jnst_command("--set", given, weights=weights)
    assert (code, message) == (1, "planned")


def test_numbers_that_are_accepted_run_and_compile_nothing(vgg19, quick_compile):
    """Each at its extremes: the end is an image, or one line on a loss not finite."""
    small = {"style_layers": "relu1_1", "content_layers": "relu1_1", "steps": 2}
    given = {"weights": vgg19, "clip": False, **small}
    pair = picture(16, 17, 1), picture(16, 15, 2)
    jnst.stylize(*pair, "tf-tutorial", **given)
    names = [*NUMBERS, "style_weight", "content_weight"]
    ends = (1e-30, 0.5, 1.0, 3e5, 1e18, 3e38, 0, 2**32 - 1)
    runs = 0
    for field in names:
        for value in ends:
            if outcome("tf-tutorial", field, value) is None:
                continue
            if field.endswith("_weight") and not value:
                continue  # the term is left out, which is another program
            runs += 1
            try:
                result = jnst.stylize(*pair, "tf-tutorial", **given, **{field: value})
            except jnst.NonFiniteLossError as error:
                in_one_line(error)
                continue
            assert np.isfinite(result.image).all()
            assert result.compile_seconds < 0.5, (field, value)
    assert runs > 40
