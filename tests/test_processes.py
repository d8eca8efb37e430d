"""A run in two processes on this host: the same picture, and what a lost one ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import PROGRAMS
from tiny import picture, tiny_params

from jnst.cli.main import main
from jnst.image import load_image, save_image
from jnst.scale.processes import Team, check_team
from jnst.weights import save_weights

LAYERS = "style_layers=relu1_1", "content_layers=conv1_2", "style_layer_weights=1.0"
FIELDS = *LAYERS, "scale_ratio=9.0", "shift_px=0", "convolution=xla", "epsilon=1e-4"
SECONDS = 300


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where pictures and weights are."""
    found = tmp_path_factory.mktemp("processes")
    save_weights(tiny_params(), found / "t.safetensors", title="tiny", licence="MIT")
    save_image(found / "content.png", picture(24, 20, 1))
    save_image(found / "style.png", picture(20, 26, 2))
    return found


def command(folder, output, *more):
    """Arguments of `jnst` for a short run."""
    pictures = folder / "content.png", folder / "style.png"
    fields = [part for field in FIELDS for part in ("--set", field)]
    options = ["--weights", folder / "t.safetensors", "--size", 24, "--init", "noise"]
    known = ["stylize", *pictures, "-o", folder / output, *fields, *options, *more]
    return [str(each) for each in known]


def start(folder, output, port, number, *more):
    """Starts one of two processes."""
    team = "--coordinator", f"127.0.0.1:{port}", "--processes", 2
    arguments = command(folder, output, *team, "--process-id", number, *more)
    environment = os.environ | {
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "JAX_COMPILATION_CACHE_DIR": os.environ[PROGRAMS],
    }
    return subprocess.Popen(
        [sys.executable, "-m", "jnst", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


@pytest.mark.slow
def test_two_processes_make_the_picture_of_one(folder, quick_compile, capsys):
    alone = command(folder, "one.png", "--steps", 4, "--history", folder / "one.json")
    assert main(alone) == 0, capsys.readouterr().err
    more = "--steps", 4, "--history", folder / "two.json"
    port = free_port()
    both = [start(folder, "two.png", port, number, *more) for number in (0, 1)]
    said = [each.communicate(timeout=SECONDS) for each in both]
    assert [each.returncode for each in both] == [0, 0], said
    assert "two.png" in said[0][0] and said[1][0] == ""  # the first alone tells
    one, two = (load_image(folder / f"{name}.png") for name in ("one", "two"))
    np.testing.assert_allclose(two, one, rtol=0, atol=1.01 / 255)
    histories = [json.loads((folder / f"{n}.json").read_text()) for n in ("one", "two")]
    losses = [each["history"]["loss"] for each in histories]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)


@pytest.mark.slow
def test_a_lost_process_ends_the_run_in_one_line_and_leaves_the_files(folder):
    more, port = ("--steps", 1_000_000, "--save-every", 20), free_port()
    first, other = (start(folder, "lost.png", port, n, *more) for n in (0, 1))
    until = time.monotonic() + SECONDS
    while not list(folder.glob("lost_*")) and time.monotonic() < until:
        time.sleep(0.1)
    other.send_signal(signal.SIGKILL)
    _, said = first.communicate(timeout=SECONDS)
    other.communicate()
    assert first.returncode == 1, said
    assert "jnst: error: process 0 of 2 stopped" in said.splitlines()[-1]
    assert "Traceback" not in said and not (folder / "lost.png").exists()
    for saved in folder.glob("lost_*.png"):
        assert load_image(saved).shape == (24, 20, 3)


@pytest.mark.slow
def test_a_process_that_is_terminated_ends_and_so_does_the_other(folder):
    more, port = ("--steps", 1_000_000, "--save-every", 20), free_port()
    first, other = (start(folder, "term.png", port, n, *more) for n in (0, 1))
    until = time.monotonic() + SECONDS
    while not list(folder.glob("term_*")) and time.monotonic() < until:
        time.sleep(0.1)
    other.send_signal(signal.SIGTERM)
    _, said = other.communicate(timeout=SECONDS)
    assert other.returncode == 143 and "jnst: error: terminated" in said, said
    _, said = first.communicate(timeout=SECONDS)
    assert first.returncode == 1 and "Traceback" not in said, said


@pytest.mark.slow
def test_processes_that_are_all_terminated_keep_the_picture(folder):
    more, port = ("--steps", 1_000_000, "--save-every", 20), free_port()
    both = [start(folder, "all.png", port, n, *more) for n in (0, 1)]
    until = time.monotonic() + SECONDS
    while not list(folder.glob("all_*")) and time.monotonic() < until:
        time.sleep(0.1)
    for each in both:
        each.send_signal(signal.SIGTERM)
    said = [each.communicate(timeout=SECONDS)[1] for each in both]
    assert [each.returncode for each in both] == [143, 143], said
    assert load_image(folder / "all.png").shape == (24, 20, 3)


@pytest.mark.parametrize(
    ("team", "message"),
    [
        (Team("here"), "must be HOST:PORT such as .* or auto, got 'here'"),
        (Team("here:80"), "needs --processes and --process-id"),
        (Team("here:80", 2, 2), "--process-id must be 0 to 1 for --processes 2, got 2"),
    ],
)
def test_processes_that_cannot_be_are_refused(team, message):
    with pytest.raises(ValueError, match=message):
        check_team(team)


def test_a_number_of_processes_needs_a_coordinator(folder, capsys):
    code = main(command(folder, "o.png", "--processes", 2))
    assert code == 2 and "need --coordinator" in capsys.readouterr().err
