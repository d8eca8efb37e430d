"""Hostile metadata of a picture given to `--like`, and hostile files of losses."""

import json
import os
import signal
import subprocess
import sys
import time
import zlib

import pytest
from bad_pictures import chunk, png
from refusals import one_line, refused
from test_cli import pictures, tiny_file  # noqa: F401

import jnst
from jnst.losses import STYLE_LOSSES
from jnst.recipes.recipe import Recipe
from jnst.recipes.settings import record

RUN = ("stylize", "content.png", "style.png", "-o", "out.png", "--size", "32")
ESCAPE = "\x1b]0;owned\x07\x1b[31m"


def with_text(text, kind=b"tEXt"):
    """A PNG of 64 x 64 that carries a text as jnst's metadata."""
    data = text if isinstance(text, bytes) else text.encode("latin-1")
    bodies = {
        b"tEXt": b"jnst\0" + data,
        b"zTXt": b"jnst\0\0" + zlib.compress(data, 9),
        b"iTXt": b"jnst\0\1\0\0\0" + zlib.compress(data, 9),
    }
    rows = zlib.compress(bytes(64 * (1 + 64 * 3)))
    return png(64, 64, data=rows, more=chunk(kind, bodies[kind]))


def changed(**fields):
    """A recipe's record with other fields."""
    return json.dumps({"recipe": {**record(Recipe()), **fields}})


def of_term(**fields):
    """A recipe's record whose first term has other fields."""
    term = {"name": "style", "loss": "gram", "layers": ["relu1_1"], **fields}
    return changed(terms=[term])


DEEP = 100_000
RECORDS = {
    # Name: (metadata, words of the line).
    "nothing": ("", "not JSON"),
    "no JSON": ("hello", "not JSON"),
    "half a JSON": ('{"recipe": {', "not JSON"),
    "a list": ("[]", "not an object"),
    "a number": ("7", "not an object"),
    "no recipe": ("{}", "no recipe"),
    "a recipe of text": ('{"recipe": "jnst"}', "no recipe"),
    "NaN": ('{"recipe": {"seed": NaN}}', "not JSON"),
    "infinity": ('{"recipe": {"learning_rate": 1e999}}', "learning_rate"),
    "a number of 10^5 digits": (
        '{"recipe": {"seed": ' + "9" * 10**5 + "}}",
        "not JSON",
    ),
    "deep lists": ("[" * DEEP + "]" * DEEP, "not JSON"),
    "deep objects": ('{"a":' * DEEP + "1" + "}" * DEEP, "not JSON"),
    "a field of deep lists": (
        '{"recipe": {"scale_steps": ' + "[" * 900 + "]" * 900 + "}}",
        "more than 50 deep",
    ),
    "an option of deep lists": (
        of_term(options=[["scale", json.loads("[" * 400 + "1" + "]" * 400)]]),
        "more than 50 deep",
    ),
    "more than a megabyte": ('{"a": "' + "x" * 2**20 + '"}', ""),
    "a field that is none": ('{"recipe": {"lerning_rate": 1}}', "'learning_rate'"),
    "a field's name of escapes": (json.dumps({"recipe": {ESCAPE: 1}}), "owned"),
    "a field's name of 500 kB": (json.dumps({"recipe": {"x" * 500_000: 1}}), "xxx"),
    "a value of escapes": (changed(resize=ESCAPE), "owned"),
    "a value of 500 kB": (changed(resize="x" * 500_000), "xxx"),
    "a value of lines": (changed(resize="a\nb\rc\u2028d"), "resize"),
    "a value turned round": (changed(resize="\u202eabc"), "resize"),
    "half a pair of surrogates": ('{"recipe": {"resize": "\\ud800"}}', "resize"),
    "an object for a number": (changed(learning_rate={"a": 1}), "learning_rate"),
    "null for a number": (changed(learning_rate=None), "learning_rate"),
    "text for a number": (changed(steps="many"), "steps"),
    "a bool for a number": (changed(seed=True), "seed"),
    "a number for text": (changed(resize=7), "resize"),
    "a huge number": (changed(seed=10**40), "seed"),
    "an object for a list": (changed(scale_steps={"a": 1}), "scale_steps"),
    "a list for all terms": (changed(terms=[1]), "term"),
    "a number for all terms": (changed(terms=7), ""),
    "text for all terms": (changed(terms="style"), ""),
    "no terms": (changed(terms=[]), "nothing to optimise"),
    "15,000 terms": (
        changed(terms=[{"name": f"t{n}", "loss": "tv_mean_l2"} for n in range(15_000)]),
        "at most 100, got 15000",
    ),
    "50,000 layers": (of_term(layers=["relu1_1"] * 50_000), "at most 1000, got 50000"),
    "a term without loss": (changed(terms=[{"name": "style"}]), "loss"),
    "a term of another field": (of_term(colour=1), "colour"),
    "a term's name of escapes": (of_term(name=ESCAPE), "owned"),
    "a term's name of 500 kB": (of_term(name="x" * 500_000, loss="gramm"), ""),
    "a term's loss of escapes": (of_term(loss=ESCAPE), "owned"),
    "a term's loss of lists": (of_term(loss=["gram"]), "loss"),
    "a term's layer of escapes": (of_term(layers=[ESCAPE]), "owned"),
    "a term's layers of numbers": (of_term(layers=[1]), "layers"),
    "a term's options of numbers": (of_term(options=[1, 2]), "options"),
    "an option of an object": (of_term(options=[["scale", {"a": 1}]]), "scale"),
    "an option of escapes": (of_term(options=[[ESCAPE, 1]]), "owned"),
    "a whole part": (changed(schedule=7), "schedule"),
    "an attribute": (changed(__class__="x"), "__class__"),
    "weights of another's": (changed(weights=["/etc/passwd"]), "/etc/passwd"),
    "an optimiser of code": (changed(optimizer="__import__('os')"), "optimizer"),
    "an inital picture": (changed(init="/etc/passwd"), "init"),
}


@pytest.mark.parametrize("name", RECORDS)
def test_metadata_is_refused(name, capsys, pictures):  # noqa: F811
    text, words = RECORDS[name]
    (pictures / "like.png").write_bytes(with_text(text))
    refused(capsys, pictures, (*RUN, "--like", "like.png"), words)


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt"])
def test_metadata_that_swells_is_refused(kind, capsys, pictures):  # noqa: F811
    content = with_text(b'{"a": "' + b"x" * 10**7 + b'"}', kind)
    assert len(content) < 200_000
    (pictures / "like.png").write_bytes(content)
    refused(capsys, pictures, (*RUN, "--like", "like.png"), "like.png")


def test_metadata_of_a_picture_that_is_no_recipe_does_no_harm_as_content(
    capsys,
    pictures,  # noqa: F811
):
    (pictures / "like.png").write_bytes(with_text(b"\xff" + b"[" * DEEP))
    run = ("stylize", "like.png", "none.png", "-o", "out.png")
    refused(capsys, pictures, run, "no image file 'none.png'")


OWN = {
    # Name: (a file for --losses-from, words of the line).
    "raises": ("raise RuntimeError('so it is')", "RuntimeError: so it is"),
    "raises many lines": ("raise ValueError('a\\nb\\x1b[31m')", "a b"),
    "raises nothing to read": ("raise Exception", "Exception"),
    "exits": ("import sys; sys.exit(0)", "SystemExit"),
    "exits with a word": ("raise SystemExit('bye')", "bye"),
    "raises no exception": ("class Odd(BaseException): pass\nraise Odd", "Odd"),
    "ends a generator": ("raise GeneratorExit", "GeneratorExit"),
    "is no Python": ("def (", "SyntaxError"),
    "is no text": ("\0", ""),
    "imports nothing": ("import no_such_module", "no_such_module"),
    "recurses": ("f = lambda: f()\nf()", "RecursionError"),
    "has no memory": ("raise MemoryError", "MemoryError"),
    "cannot be told": (
        "class Odd(Exception):\n  def __str__(self): raise KeyError\nraise Odd",
        "Odd",
    ),
}


@pytest.mark.parametrize("option", ["--losses-from", "--optimizer-from"])
@pytest.mark.parametrize("name", OWN)
def test_a_file_of_ones_own_is_refused(name, option, capsys, pictures):  # noqa: F811
    text, words = OWN[name]
    (pictures / "own.py").write_text(text)
    for _ in range(2):  # the second time it is no better
        refused(capsys, pictures, (*RUN, option, "own.py"), "'own.py'", words)


ROWS = {
    "a number": ("7", "tuple"),
    "a function": ("lambda x: x", "function"),
    "a tuple": ("(1, 2)", "tuple"),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_of_ones_own_is_refused(
    name,
    capsys,
    pictures,  # noqa: F811
    tiny_file,  # noqa: F811
    monkeypatch,
):
    monkeypatch.setitem(STYLE_LOSSES, "odd", None)
    text = (
        f"from jnst.losses import STYLE_LOSSES\nSTYLE_LOSSES['odd'] = {ROWS[name][0]}"
    )
    (pictures / f"own_{len(name)}.py").write_text(text)
    own = ("--losses-from", f"own_{len(name)}.py", "--set", "style_loss=odd")
    refused(capsys, pictures, (*RUN, *own, "--weights", tiny_file), "'odd'")


def test_a_file_that_loops_is_ended_by_an_interrupt(pictures):  # noqa: F811
    (pictures / "own.py").write_text("print('here', flush=True)\nwhile True: pass")
    command = (sys.executable, "-m", "jnst", *RUN, "--losses-from", "own.py")
    root = os.path.dirname(os.path.dirname(jnst.__file__))
    run = subprocess.Popen(
        command,
        cwd=pictures,
        env={**os.environ, "PYTHONPATH": root},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert run.stdout.readline() == "here\n"
    time.sleep(0.1)
    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=60)
    assert run.returncode == 130 and one_line(err) == "interrupted"
    assert not (pictures / "out.png").exists()
