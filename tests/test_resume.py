"""`jnst resume`, and `jnst stylize` called again: words, files, refusals."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from kept import make_inputs
from tiny import picture

from jnst.cli import transfer
from jnst.cli.main import main
from jnst.image import load_image, read_metadata, save_image
from jnst.keep import folder as kept
from jnst.keep.storage import read_checkpoint, write_checkpoint
from jnst.watching.watcher import Watcher

pytestmark = pytest.mark.usefixtures("quicker_compile")
FIELDS = {
    "style_layers": "relu1_1",
    "style_layer_weights": "1",
    "content_layers": "conv1_2",
    "scale_ratio": "9",
    "shift_px": "0",
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("resume")
    make_inputs(folder)
    return folder


@pytest.fixture
def run(tiny, tmp_path, monkeypatch, capsys):
    """Runs `jnst` in a folder of its own with copies of the inputs."""
    for path in tiny.iterdir():
        shutil.copy(path, tmp_path)
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        code = main([str(each) for each in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return call


def stylize(*more, output="o.png"):
    fields = [w for pair in FIELDS.items() for w in ("--set", "=".join(pair))]
    known = ["stylize", "content.png", "style.png", "-o", output, "--size", 24]
    files = ["--history", "h.json", "--weights", "t.safetensors", "--steps", 9]
    return [*known, *files, "--save-every", 3, *fields, *more]


@pytest.fixture
def stop(monkeypatch):
    """Interrupts the runs in this block at a step."""

    def at(step):
        usual = transfer.watchers_of

        def hear(now):
            if now.step >= step:
                raise KeyboardInterrupt

        def watchers(outputs):
            return [*usual(outputs), Watcher(update=hear)]

        context.setattr(transfer, "watchers_of", watchers)

    with monkeypatch.context() as context:
        at.over = context.undo
        yield at


def stopped(run, stop, *more, step=6):
    stop(step)
    code, _, err = run(*stylize(*more))
    stop.over()
    assert (
        code == 130 and f"a checkpoint of step {step} is in 'o.png.checkpoint'" in err
    )
    return err


def history(path="h.json"):
    with open(path) as file:
        return json.load(file)["history"]


def test_resume_needs_no_more_than_the_output(run, stop, tmp_path, monkeypatch):
    assert run(*stylize("--plot", "p.png"))[0] == 0
    expected, losses = load_image("o.png"), history()
    frames = {n: load_image(f"o_{n:06d}.png") for n in (3, 6, 9)}
    for name in ("o.png", "h.json", "p.png", *(f"o_{n:06d}.png" for n in frames)):
        os.remove(name)
    stopped(run, stop, "--plot", "p.png")
    assert os.path.exists("o.png") and not os.path.exists("h.json")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    code, out, err = run("resume", "../o.png")
    assert code == 0, err
    assert "goes on from step 6 of 9" in err and out.splitlines()[0] == "../o.png"
    monkeypatch.chdir(tmp_path)
    np.testing.assert_array_equal(load_image("o.png"), expected)
    assert history() == losses and os.path.exists("p.png")
    for number, frame in frames.items():
        np.testing.assert_array_equal(load_image(f"o_{number:06d}.png"), frame)
    assert read_metadata("o.png")["recipe"]["steps"] == 9
    assert not os.path.exists("o.png.checkpoint")
    code, _, err = run("resume", "o.png")
    assert code == 2 and "nothing to resume: no checkpoint in 'o.png.check" in err


def test_the_same_command_goes_on_and_others_do_not(run, stop):
    stopped(run, stop)
    code, _, err = run(*stylize("--set", "learning_rate=3"))
    assert code == 2 and err.count("\n") == 1
    assert "is of a run with other arguments: learning_rate is 3.0 now, 0.1" in err
    assert "--restart" in err and os.path.isdir("o.png.checkpoint")
    code, _, err = run(*stylize())
    assert code == 0 and "goes on from step 6 of 9" in err, err


def test_what_watched_the_run_goes_on_too(run, stop):
    """Also after SIGKILL, which leaves no picture."""
    watch = ("--frames", "f", "--frames-every", 3, "--tensorboard", "tb")
    stopped(run, stop, *watch)
    os.remove("o.png")
    first = [(path, path.read_bytes()) for path in sorted(Path("f").iterdir())]
    assert [path.name for path, _ in first] == ["frame_000003.png", "frame_000006.png"]
    Path("f/frame_000008.png").write_bytes(b"of a step that is taken anew")
    events = list(Path("tb").iterdir())
    assert len(events) == 1 and run("resume", "o.png")[0] == 0
    assert all(path.read_bytes() == before for path, before in first)
    names = [path.name for path in sorted(Path("f").iterdir())]
    assert names == [f"frame_{n:06d}.png" for n in (3, 6, 9)]
    assert len(list(Path("tb").iterdir())) == 2 and events[0].exists()


def test_restart_begins_anew(run, stop):
    stopped(run, stop)
    code, _, err = run(*stylize("--restart", "--set", "learning_rate=3"))
    assert code == 0 and "goes on" not in err, err
    assert len(history()["loss"]) == 9 and not os.path.exists("o.png.checkpoint")


def test_without_checkpoints_nothing_is_left(run, stop):
    stop(6)
    assert run(*stylize("--checkpoint-every", 0))[0] == 130
    stop.over()
    assert os.path.exists("o.png") and not os.path.exists("o.png.checkpoint")
    code, _, err = run(*stylize())
    assert code == 2 and "'o.png' exists already" in err
    assert run(*stylize("--checkpoint-every", -1))[0] == 2


def test_a_picture_that_changed_is_refused(run, stop):
    stopped(run, stop)
    save_image("style.png", picture(20, 26, 9))
    before = load_image("o.png")
    code, _, err = run("resume", "o.png")
    assert code == 2 and "style 'style.png' has changed" in err and err.count("\n") == 1
    np.testing.assert_array_equal(load_image("o.png"), before)
    os.remove("style.png")
    code, _, err = run("resume", "o.png")
    assert code == 2 and "style.png" in err


@pytest.mark.parametrize("name", ["o.png", "h.json", "o_000003.png"])
def test_a_file_of_somebody_else_is_never_replaced(run, stop, name):
    stopped(run, stop)
    with open(name, "wb") as file:
        file.write(b"somebody's")
    code, _, err = run("resume", "o.png")
    assert code == 2 and f"{name}' exists already; use --overwrite" in err
    with open(name, "rb") as file:
        assert file.read() == b"somebody's"
    assert run("resume", "o.png", "--overwrite")[0] == 0
    assert load_image("o.png").shape == (24, 20, 3)


OWN = """
from jnst.losses import IMAGE_LOSSES
from jnst.losses.smoothness import tv_mean_l2
IMAGE_LOSSES["own"] = IMAGE_LOSSES["tv_mean_l2"]
"""


def test_nothing_that_a_checkpoint_names_is_executed(run, stop, tmp_path, monkeypatch):
    from jnst.losses import IMAGE_LOSSES

    (tmp_path / "own.py").write_text(OWN)
    own = ["--losses-from", "own.py"]
    monkeypatch.setitem(IMAGE_LOSSES, "own", IMAGE_LOSSES["tv_mean_l2"])
    stopped(run, stop, *own, "--term", "own: own, weight=1")
    code, _, err = run("resume", "o.png")
    assert code == 2 and "needs --losses-from again, which was" in err
    code, _, err = run("resume", "o.png", *own)
    assert code == 0, err


def changed(change):
    """Writes all checkpoints anew, their digests right."""
    for path in kept.checkpoints(kept.folder_of("o.png")):
        arrays, document = read_checkpoint(path)
        change(document)
        write_checkpoint(path, arrays, document)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.update(output="other.png"), "is of 'other.png', not of 'o.png'"),
        (lambda d: d["command"].update(name="weights"), "by no command of jnst's"),
        (lambda d: d["command"].update(name=["x"]), "document is none of a run"),
        (lambda d: d["command"]["params"].update(evil=1), "has not: 'evil'"),
        (lambda d: d["command"]["params"].update(steps="x\x1b"), "option that is none"),
        (lambda d: d["command"]["params"].update(steps=11), "steps is 11 now"),
        (lambda d: d.update(command=[]), "document is none of a run"),
    ],
)
def test_edited_commands_are_refused_in_a_line(run, stop, change, words):
    stopped(run, stop)
    changed(change)
    code, out, err = run("resume", "o.png")
    assert (code, out) == (2, "") and words in err, err
    assert err.count("\n") == 1 and err.strip().isprintable() and "Trace" not in err


def test_a_checkpoint_cannot_replace_files_elsewhere(run, stop, tmp_path):
    (tmp_path / "far").mkdir()
    victim = tmp_path / "far" / "victim.json"
    victim.write_text("somebody's")
    stopped(run, stop, "--overwrite")
    change = {"history": str(victim), "overwrite": True}
    changed(lambda d: d["command"]["params"].update(change))
    code, _, err = run("resume", "o.png")
    assert code == 2 and "victim.json' exists already" in err, err
    assert victim.read_text() == "somebody's"


def test_a_full_disk_keeps_the_picture_that_was_there(run, stop, monkeypatch):
    stopped(run, stop)
    before = load_image("o.png")

    def full(path, *arguments, **options):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr("jnst.image.save_image", full)  # of frames, and of the last
        code, _, err = run("resume", "o.png")
    assert code in (1, 2) and "No space left" in err.splitlines()[-1], err
    np.testing.assert_array_equal(load_image("o.png"), before)
    assert not [name for name in os.listdir() if name.startswith(".jnst-")]
    code, _, err = run("resume", "o.png")
    assert code == 0 and "goes on from step 6" in err


def test_the_checkpoint_folder_may_be_a_file(run, tmp_path):
    (tmp_path / "o.png.checkpoint").write_text("mine")
    code, _, err = run(*stylize("--checkpoint-every", 0.001))
    assert code == 0 and err.count("warning: no checkpoint") <= 1
    assert (tmp_path / "o.png.checkpoint").read_text() == "mine"
