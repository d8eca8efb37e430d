"""What somebody meant who typed a name that is none: fields, options, commands."""

import pytest
from tiny import picture

import jnst
from jnst.cli.main import COMMANDS, main
from jnst.guesses import ARGUMENTS, FIELDS
from jnst.guesses import COMMANDS as OTHER_COMMANDS
from jnst.recipes.recipe import HOMES, usual_fields

PLAIN = ("stylize", "a.png", "b.png", "-o", "c.png")


def complaint(capsys, *arguments):
    """The one line of a command that is refused."""
    assert main([*arguments]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


@pytest.mark.parametrize(
    ("option", "meant"),
    [
        ("--style-loss", "--set style_loss=VALUE"),
        ("--lr", "--set learning_rate=VALUE"),
        ("--learning_rate", "--set learning_rate=VALUE"),
        ("--optimiser", "--set optimizer=VALUE"),
        ("--content-weight", "--set content_weight=VALUE"),
        ("--iterations", "--steps"),
        ("--size-px", "--size"),
        ("--out", "--output"),
        ("--save_every", "--save-every"),
        ("--stepz", "--steps"),
    ],
)
def test_a_mistyped_option_gets_a_guess(capsys, option, meant):
    for text in (option, f"{option}=3"):
        line = complaint(capsys, *PLAIN, text)
        assert f"Did you mean '{meant}'?" in line
        assert option in line


@pytest.mark.parametrize("option", ["--qqq", "-q"])
def test_an_option_like_no_other_points_to_the_help(capsys, option):
    line = complaint(capsys, *PLAIN, option)
    assert f"no such option '{option}'." in line and "stylize --help" in line


@pytest.mark.parametrize(
    ("command", "meant"),
    [("stylise", "stylize"), ("style", "stylize"), ("textures", "texture"),
     ("benchmark", "bench"), ("fetch", "weights")],
)  # fmt: skip
def test_a_mistyped_command_gets_a_guess(capsys, command, meant):
    line = complaint(capsys, command, "a.png")
    assert f"no such command {command!r}. Did you mean {meant!r}?" in line


def test_a_command_like_no_other_lists_all(capsys):
    line = complaint(capsys, "qqq")
    assert "Did you mean" not in line and ", ".join(COMMANDS) in line


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("lr", "learning_rate"),
        ("size", "size_px"),
        ("style_wieght", "style_weight"),
        ("iterations", "steps"),
        ("eps", "epsilon"),
        ("save_evry", "save_every"),
    ],
)
def test_a_mistyped_keyword_gets_a_guess(capsys, vgg19, name, meant):
    pair = picture(32, 33, 1), picture(32, 33, 2)
    with pytest.raises(ValueError, match=f"{name!r}. Did you mean {meant!r}"):
        jnst.stylize(*pair, weights=vgg19, **{name: 1})
    line = complaint(capsys, *PLAIN, "--set", f"{name}=1")
    assert f"Did you mean {meant!r}?" in line


@pytest.mark.parametrize(
    ("name", "meant"), [("stylise", "stylize"), ("Recipes", "Recipe"), ("iterat", "i")]
)
def test_a_mistyped_attribute_gets_a_guess(name, meant):
    with pytest.raises(AttributeError, match=f"{name!r}. Did you mean '{meant}"):
        getattr(jnst, name)


def test_synonyms_mean_names_that_there_are():
    known = {*HOMES, *usual_fields(), *ARGUMENTS}
    assert {*FIELDS.values()} <= known
    assert not {*FIELDS} & known  # or they would never be looked up
    assert {*OTHER_COMMANDS.values()} <= {*COMMANDS}
    assert not {*OTHER_COMMANDS} & {*COMMANDS}
