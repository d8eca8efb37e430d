"""The options for watching a run: what they write, and what is refused before it."""

import os
import pty
import subprocess
import sys
import termios
from pathlib import Path

import numpy as np
import pytest
from tiny import picture, tiny_params

import jnst
from jnst.cli.main import main
from jnst.image import load_image, save_image
from jnst.weights import save_weights

pytestmark = pytest.mark.usefixtures("quicker_compile")

FIELDS = {
    "style_layers": "relu1_1",
    "style_layer_weights": "1",
    "style_loss": "gram",
    "style_weight": "1",
    "content_layers": "relu1_1",
    "shift_px": "0",
    "scale_ratio": "1",
}
SHORT = ["--size", "24", "--steps", "4"]
SHORT += [word for pair in FIELDS.items() for word in ("--set", "=".join(pair))]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with content.png, style.png and weights, made current."""
    monkeypatch.chdir(tmp_path)
    save_image("content.png", picture(20, 24, 1))
    save_image("style.png", picture(20, 22, 2))
    save_weights(tiny_params(), "t.safetensors", title="tiny", licence="MIT")
    return tmp_path


@pytest.fixture
def run(folder, capsys):
    """Runs `jnst stylize` in this process: code, stdout, stderr."""

    def call(*more, output="out.png"):
        words = ["stylize", "content.png", "style.png", "-o", output, *SHORT]
        code = main([*words, "--weights", "t.safetensors", *map(str, more)])
        return code, *capsys.readouterr()

    return call


ALL = "--report --frames f --animation a.webp --tensorboard tb --frames-every 2".split()


def test_all_are_written_and_named_and_never_overwritten(run, folder):
    code, out, err = run(*ALL)
    assert code == 0, err
    assert out.split() == ["out.png", "report.html", "f", "a.webp", "tb"]
    assert (
        "<h1>content.png in the style of style.png</h1>"
        in (folder / "report.html").read_text()
    )
    names = sorted(path.name for path in (folder / "f").iterdir())
    assert names == ["frame_000002.png", "frame_000004.png"]
    np.testing.assert_array_equal(
        load_image("f/frame_000004.png"), load_image("out.png")
    )
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for options in (["--report"], ALL[1:3], ALL[3:5], ALL[5:7]):
        code, _, err = run(*options, output="other.png")
        assert code == 2 and "--overwrite" in err and err.count("\n") == 1
    after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert after == before
    assert run(*ALL, "--overwrite")[0] == 0


def test_save_every_and_frames_every_do_not_disturb_each_other(run, folder):
    every = ("--save-every", 3, "--frames", "f", "--frames-every", 2)
    assert run(*every)[0] == 0
    assert [path.name for path in folder.glob("out_*.png")] == ["out_000003.png"]
    names = sorted(path.name for path in (folder / "f").iterdir())
    assert names == ["frame_000002.png", "frame_000004.png"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--report", "r.txt"], ".html"),
        (["--report", "no/r.html"], "no existing folder"),
        (["--animation", "a.avi"], ".gif, .webp, .mp4"),
        (["--animation", "a.gif", "--report", "./a.gif"], ".html"),
        (["--animation", "out.webp"], "different files"),
        (["--frames", "content.png"], "is a file"),
        (["--frames", "no/where"], "no existing folder"),
        (["--tensorboard", "t.safetensors"], "is a file"),
        (["--frames-every", "2"], "use --frames, --animation or --tensorboard"),
        (["--frames", "f", "--frames-every", "0"], "--frames-every"),
        (["--frames", "f", "--frames-every", "x"], "--frames-every"),
    ],
)
def test_what_could_not_be_written_is_refused_before_any_work(
    run, folder, options, message
):
    before = sorted(folder.rglob("*"))
    output = "out.webp" if "out.webp" in options else "out.png"
    code, out, err = run(*options, output=output)
    assert code == 2 and out == ""
    assert err.startswith("jnst: error: ") and err.count("\n") == 1
    assert message in err
    assert sorted(folder.rglob("*")) == before


def test_a_report_without_a_name_lies_beside_the_picture(run, folder):
    (folder / "sub").mkdir()
    assert run("--report", "--steps", 1, output="sub/out.png")[0] == 0
    assert sorted(p.name for p in (folder / "sub").iterdir()) == [
        "out.png",
        "report.html",
    ]


def test_preview_on_a_pipe_is_a_line_and_no_more(run):
    code, out, err = run("--preview")
    assert code == 0 and out.split() == ["out.png"]
    assert "jnst: warning: no preview: standard error is no terminal" in err
    assert "▀" not in err


def test_preview_draws_on_a_terminal(folder):
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    words = ["content.png", "style.png", "-o", "out.png", *SHORT, "--preview"]
    environment = {**os.environ, "TERM": "xterm", "COLORTERM": "truecolor"}
    environment["PYTHONPATH"] = str(Path(jnst.__file__).parents[1])
    environment.pop("NO_COLOR", None)
    run = subprocess.Popen(
        [sys.executable, "-m", "jnst", "stylize", *words, "--weights", "t.safetensors"],
        stdout=subprocess.PIPE, stderr=theirs, env=environment,
    )  # fmt: skip
    os.close(theirs)
    seen = b""
    try:
        while part := os.read(ours, 65536):
            seen += part
    except OSError:  # what Linux says when the other end has closed
        pass
    os.close(ours)
    assert run.communicate()[0].split() == [b"out.png"] and run.returncode == 0
    text = seen.decode()
    assert "▀" in text and "\x1b[38;2;" in text and "4/4" in text
