"""Options, fields and outputs that no run could use, through the command line."""

import os
import stat

import pytest
from refusals import refused
from test_cli import pictures, tiny_file  # noqa: F401

from jnst.bounds import Choice
from jnst.fitting import item_of, members
from jnst.objective.term import TERM_FIELDS
from jnst.recipes.recipe import flat_types

PAIR = ("content.png", "style.png")
RUN = ("stylize", *PAIR, "-o", "out.png", "--size", "32", "--steps", "1")


def kinds(kind):
    """The types, with bounds, of what a field holds one or several of."""
    item = item_of(members(kind)[0][0])
    return [m for m in members(item or kind)]


TYPES = flat_types() | {f"style_{k}": v for k, v in TERM_FIELDS.items()}
NUMBERS = {
    name: kinds(kind)
    for name, kind in TYPES.items()
    if {int, float} & {base for base, _ in kinds(kind)}
}
"""Every field of a recipe that holds a number, or several, with its bounds."""
BAD = {
    "NaN": "nan",
    "infinity": "inf",
    "negative infinity": "-inf",
    "negative": "-1",
    "huge": "1" + "0" * 40,
    "huge and whole": "9" * 5000,
    "text": "much",
    "bool": "true",
    "empty": "",
    "an expression": "1+1",
    "a list": "[1]",
    "a line more": "1\n2",
    "an escape": "\x1b[31m7",
}


def may_be(found, text):
    """Whether a text is a value that a field may hold."""
    for base, rule in found:
        if isinstance(rule, Choice) and text in rule.options:
            return True
        if base in (int, float):
            try:
                value = base(text)
            except ValueError:
                continue
            if rule is not None and rule.holds(value):
                return True
    return False


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_of_a_field_is_refused(name, bad, capsys, pictures):  # noqa: F811
    text = BAD[bad]
    several = item_of(members(TYPES[name])[0][0]) is not None
    if may_be(NUMBERS[name], text) or (several and not text):
        pytest.skip("a value that the field may hold")
    arguments = ["--set", f"{name}={text}"]
    if name == "scale_steps":
        arguments = [*arguments, "--set", "steps=none"]
    refused(capsys, pictures, (*RUN[:5], *arguments), name)


def test_every_part_of_a_recipe_has_numbers_to_try():
    some = {"learning_rate", "steps", "size_px", "seed", "style_weight", "shift_px"}
    assert some | {"style_layer_weights", "scale_steps", "tile_px"} <= {*NUMBERS}
    assert len(NUMBERS) >= 25


GRAM = ("--set", "style_loss=gram")
OPTIONS = {
    # Name: (arguments after the usual ones, words of the line).
    "size of none": (("--size", "0"), ("size_px", "0")),
    "size below none": (("--size", "-3"), ("size_px", "-3")),
    "size of text": (("--size", "big"), ("big",)),
    "size of a fraction": (("--size", "1.5"), ("1.5",)),
    "size too small for layers": (("--size", "9"), ("9", "larger size_px")),
    "size beyond any picture": (("--size", "999999999"), ("999999999", "65535")),
    "size beyond the memory": (("--size", "60000"), ("--force",)),
    "steps below none": (("--steps", "-1"), ("steps", "-1")),
    "steps of text": (("--steps", "nan"), ("nan",)),
    "steps without end": (("--steps", "9" * 30), ("steps", "at most")),
    "seed below none": (("--seed", "-1"), ("seed", "-1")),
    "seed too large": (("--seed", "4294967296"), ("seed", "4294967295")),
    "seed of text": (("--seed", "x"), ("x",)),
    "save-every below none": (("--save-every", "-1"), ("-1",)),
    "save-every of text": (("--save-every", "often"), ("often",)),
    "save-every beyond counting": (("--save-every", "9" * 30), ("at most",)),
    "tiles of text": (("--tile-px", "many"), ("tile_px", "many")),
    "tiles of few pixels": (("--tile-px", "3"), ("tile_px", "64")),
    "devices of text": (("--devices", "many"), ("devices", "many")),
    "devices below none": (("--devices", "-1"), ("devices", "-1")),
    "more devices than there are": (("--devices", "4096"), ("devices", "4096")),
    "blend of text": (("--blend", "half"), ("--blend", "half")),
    "blend of NaN": (("--blend", "nan"), ("blend", "nan")),
    "blend of infinity": (("--blend", "inf"), ("blend", "inf")),
    "blend below none": (("--blend", "-1"), ("blend", "-1")),
    "blend of nothing": (("--blend", "0"), ("blend", "above 0")),
    "blend of too many": (("--blend", "1,2,3"), ("3 weights for 1 style",)),
    "blend of no number": (("--blend", ""), ("--blend", "''")),
    "processes alone": (("--processes", "2"), ("--coordinator",)),
    "a name for a recipe": (("--recipe", "gatis"), ("'gatys'",)),
    "no recipe": (("--recipe", ""), ("recipe",)),
    "a name for a field": (("--set", "style_wieght=1"), ("'style_weight'",)),
    "a name for a loss": (("--set", "style_loss=gramm"), ("'gram'",)),
    "a name for an optimiser": (("--set", "optimizer=addam"), ("'adam'",)),
    "a name for a layer": (("--set", "style_layers=relu1_11"), ("relu1_11",)),
    "a name for a pooling": (("--set", "pooling=maxx"), ("'max'",)),
    "a name for a resize": (("--set", "resize=lanczoz"), ("'lanczos'",)),
    "a name for a type": (("--set", "dtype=float23"), ("'float32'",)),
    "a name for a first image": (("--init", "contents"), ("'content'",)),
    "a name for weights": (("--weights", "vgg91"), ("'vgg19'",)),
    "a name for an option": (("--stepps", "1"), ("'--steps'",)),
    "an option of a loss": ((*GRAM, "--set", "style_options=scael=hw"), ("scael",)),
    "a value of an option": ((*GRAM, "--set", "style_options=scale=7"), ("scale", "7")),
    "a field without value": (("--set", "clip"), ("FIELD=VALUE",)),
    "a field without name": (("--set", "=1"), ("''",)),
    "a name of a megabyte": (("--set", "x" * 1_000_000 + "=1"), ("xxx",)),
    "a value of a megabyte": (("--set", "clip=" + "x" * 1_000_000), ("clip",)),
    "a loss of a megabyte": (("--set", "style_loss=" + "x" * 10**6), ("xxx",)),
    "a recipe of a megabyte": (("--recipe", "x" * 1_000_000), ("xxx",)),
    "a name with an escape": (("--set", "\x1b[31mclip=1"), ("x1b",)),
    "a term of no loss": (("--term", "x: gran, layers=relu1_1"), ("'gram'",)),
    "a term twice": (("--term", "style: gram, layers=relu1_1"), ("'style'",)),
    "a term of no field": (("--term", "x: gram, layrs=relu1_1"), ("layrs",)),
    "a term of NaN": (("--term", "x: gram, layers=relu1_1, weight=nan"), ("nan",)),
    "a term of no layers": (("--term", "x: gram"), ("x_layers",)),
    "a term with an escape": (("--term", "\x1b[31m: gram"), ("x1b",)),
    "nothing to optimise": (
        [w for k in ("style", "content", "tv") for w in ("--set", f"{k}_weight=0")],
        ("all weights are 0",),
    ),
    "history of another ending": (("--history", "h.txt"), (".json",)),
    "history in no folder": (("--history", "no/h.json"), ("no existing folder",)),
    "history that is there": (("--history", "h.json"), ("--overwrite",)),
    "history that is a folder": (("--history", "d.json"), ("folder",)),
    "plot of another ending": (("--plot", "p.doc"), (".png",)),
    "plot that is the picture": (("--plot", "out.png"), ("different files",)),
    "plot that is the style": (("--plot", "style.png", "--overwrite"), ("style",)),
    "init that is a folder": (("--init", "d.json"), ("d.json",)),
    "init that is no picture": (("--init", "h.json"), ("h.json",)),
    "like that is a folder": (("--like", "d.json"), ("folder",)),
    "like that is missing": (("--like", "none.png"), ("none.png",)),
    "like that is no PNG": (("--like", "h.json"), ("PNG",)),
    "like without a recipe": (("--like", "content.png"), ("no metadata",)),
    "losses from no file": (("--losses-from", "none.py"), ("none.py",)),
    "losses from a folder": (("--losses-from", "d.json"), ("d.json",)),
    "losses from JSON": (("--losses-from", "h.json"), (".py",)),
}


@pytest.fixture
def folder(pictures):  # noqa: F811
    """Two pictures, a file of JSON and a folder called like one."""
    (pictures / "h.json").write_text("{}")
    (pictures / "d.json").mkdir()
    return pictures


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_is_refused(name, capsys, folder, tiny_file):  # noqa: F811
    arguments, words = OPTIONS[name]
    usual = ("--size", "32", "--steps", "1")
    kept = [p for n in (0, 2) for p in usual[n : n + 2] if usual[n] not in arguments]
    weights = () if "--weights" in arguments else ("--weights", tiny_file)
    refused(capsys, folder, (*RUN[:5], *kept, *weights, *arguments), *words)


def device(path, number):
    """A node of one's own: what is not refused replaces it, as root even in /dev."""
    try:
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, number))
    except OSError:
        pytest.skip("no device may be made here")


OUTPUTS = {
    # Name: (what is there, the output, words of the line).
    "no folder": (None, "no/out.png", "no existing folder"),
    "a file for a folder": (None, "content.png/out.png", "no existing folder"),
    "a folder": (lambda here: (here / "d.png").mkdir(), "d.png", "folder"),
    "no ending": (None, "out", "must end in"),
    "an ending of no picture": (None, "out.gif2", "must end in"),
    "nothing": (None, "", "must end in"),
    "this folder": (None, ".", "must end in"),
    "a hidden file alone": (None, ".png", "must end in"),
    "the content": (None, "content.png", "content"),
    "the content by another way": (None, "./../{}/content.png", "content"),
    "the style": (None, "style.png", "style"),
    "the content by a link": (
        lambda here: (here / "l.png").symlink_to("content.png"),
        "l.png",
        "content",
    ),
    "the content by a hard link": (
        lambda here: os.link(here / "content.png", here / "l.png"),
        "l.png",
        "content",
    ),
    "the void": (None, "/dev/null", "must end in"),
    "a device": (lambda here: device(here / "n.png", 3), "n.png", "device"),
    "a full device": (lambda here: device(here / "f.png", 7), "f.png", "device"),
    "a link to a device": (
        lambda here: (device(here / "n", 3), (here / "n.png").symlink_to("n")),
        "n.png",
        "device",
    ),
    "a pipe": (lambda here: os.mkfifo(here / "p.png"), "p.png", "pipe"),
    "a link to itself": (
        lambda here: (here / "s.png").symlink_to("s.png"),
        "s.png",
        "",
    ),
    "a link into no folder": (
        lambda here: (here / "b.png").symlink_to("no/b.png"),
        "b.png",
        "no existing folder",
    ),
    "a name too long": (None, "x" * 300 + ".png", "oo long"),
    "a null in the name": (None, "a\0.png", "null"),
    "a folder of the system": (None, "/proc/out.png", "/proc"),
    "an escape": (None, "\x1b[31m/out.png", "x1b"),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_an_output_is_refused(name, capsys, pictures, tiny_file):  # noqa: F811
    make, output, words = OUTPUTS[name]
    if make:
        make(pictures)
    path = output.replace("{}", pictures.name)
    usual = (*RUN[:4], path, *RUN[5:], "--weights", tiny_file, "--overwrite")
    refused(capsys, pictures, usual, words)
