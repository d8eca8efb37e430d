"""Recipes on the command line: more terms, another picture's recipe, own optimisers."""

import json

import numpy as np
import pytest
from test_cli import STYLIZE, error_line, pictures, run, tiny_file  # noqa: F401

import jnst
from jnst.image import load_image, read_metadata

pytestmark = pytest.mark.usefixtures("quicker_compile")
TERM = "histogram: histogram, layers=relu1_1;relu2_1, weight=balance"


def test_a_term_is_added_balanced_recorded_and_told(run, pictures):  # noqa: F811
    code, _, err = run(
        *STYLIZE, "--steps", 2, "--term", TERM, "--history", "h.json", "--plot", "p.png"
    )
    assert code == 0, err
    assert "balanced histogram: histogram_weight=" in err
    document = json.loads((pictures / "h.json").read_text())
    assert set(document["history"]) == {"loss", "content", "style", "tv", "histogram"}
    term = document["recipe"]["terms"][-1]
    assert term["layers"] == ["relu1_1", "relu2_1"] and term["weight"] > 0


def test_a_term_is_dropped_and_an_added_one_changed(run, pictures):  # noqa: F811
    changes = ("--set", "tv_weight=0", "--set", "histogram_weight=3")
    assert run(*STYLIZE, "--steps", 1, "--term", TERM, *changes)[0] == 0
    terms = {t["name"]: t for t in read_metadata("out.png")["recipe"]["terms"]}
    assert terms["histogram"]["weight"] == 3.0 and terms["tv"]["weight"] == 0.0


def test_like_makes_a_picture_by_the_recipe_of_another(run, pictures):  # noqa: F811
    first = (*STYLIZE, "--steps", 2, "--seed", 9, "--set", "init=noise", "--term", TERM)
    assert run(*first)[0] == 0
    again = ("stylize", "content.png", "style.png", "-o", "again.png")
    code, _, err = run(*again, "--like", "out.png")
    assert code == 0, err
    np.testing.assert_array_equal(load_image("again.png"), load_image("out.png"))


OWN_OPTIMIZER = """
import jnst, optax

jnst.OPTIMIZERS["mine"] = lambda learning_rate: optax.sign_sgd(learning_rate)
"""


def test_an_optimizer_of_a_users_own_file_is_used(run, pictures):  # noqa: F811
    (pictures / "own.py").write_text(OWN_OPTIMIZER)
    own = ("--optimizer-from", "own.py", "--set", "optimizer=mine")
    try:
        code, _, err = run(*STYLIZE, "--steps", 2, *own)
        assert code == 0, err
        assert read_metadata("out.png")["recipe"]["optimizer"] == "mine"
    finally:
        jnst.OPTIMIZERS.pop("mine", None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--term", "x: gran, layers=relu1_1"), "Did you mean 'gram'?"),
        (("--term", "style: gram, layers=relu1_1"), "two terms are called 'style'"),
        (("--set", "histogram_weight=1"), "unknown term, in 'histogram_weight'"),
        (("--set", "terms=gram"), "use --term"),
        (("--like", "content.png"), "carries no metadata of jnst"),
        (("--like", "none.png"), "no image file 'none.png'"),
        (("--like", "style.png", "--recipe", "gatys"), "leave --recipe out"),
        (("--optimizer-from", "none.py"), "no file of optimisers 'none.py'"),
    ],
)
def test_what_cannot_be_is_one_line(run, pictures, arguments, message):  # noqa: F811
    code, _, err = run(*STYLIZE, *arguments)
    assert code == 2
    assert message in error_line(err)
