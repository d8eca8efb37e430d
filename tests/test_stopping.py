"""SIGTERM and SIGINT: what a command keeps, its exit code, signals that are lost."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import PROGRAMS
from tiny import picture, tiny_params

from jnst.cli import progress, stopping, transfer
from jnst.cli.main import main
from jnst.image import load_image, save_image
from jnst.watching.watcher import Watcher
from jnst.weights import save_weights

pytestmark = pytest.mark.usefixtures("quicker_compile")
FIELDS = ["style_layers=relu1_1", "content_layers=conv1_2", "style_layer_weights=1"]
SECONDS = 120


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A folder with two pictures and a tiny network."""
    folder = tmp_path_factory.mktemp("stopping")
    save_weights(tiny_params(), folder / "t.safetensors", title="tiny", licence="MIT")
    save_image(folder / "content.png", picture(24, 20, 1))
    save_image(folder / "style.png", picture(20, 26, 2))
    return folder


@pytest.fixture
def pictures(tiny, tmp_path, monkeypatch):
    """An empty folder, and the arguments that name the inputs."""
    monkeypatch.chdir(tmp_path)
    return [str(tiny / "content.png"), str(tiny / "style.png")]


def common(tiny, *more):
    fields = [word for field in FIELDS for word in ("--set", field)]
    options = ["--weights", tiny / "t.safetensors", "--size", 24, "--set"]
    return [str(each) for each in [*options, "scale_ratio=9", *fields, *more]]


def signalled(monkeypatch, number, *, after):
    """Sends this process a signal at the n-th event of a run."""
    events, usual = [], transfer.watchers_of

    def hear(now):
        events.append(now)
        if len(events) == after:
            signal.raise_signal(number)

    def watchers(outputs):
        return [*usual(outputs), Watcher(update=hear)]

    monkeypatch.setattr(transfer, "watchers_of", watchers)
    return events


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGTERM, 143, "terminated"), (signal.SIGINT, 130, "interrupted")],
)
def test_a_signal_keeps_the_picture_so_far(
    tiny, pictures, monkeypatch, capsys, number, code, word
):
    events = signalled(monkeypatch, number, after=2)
    command = ["stylize", *pictures, "-o", "o.png", "--steps", "1000000"]
    assert main([*command, *common(tiny)]) == code
    err = capsys.readouterr().err
    assert f"jnst: error: {word}" in err.splitlines()[-1]
    np.testing.assert_allclose(load_image("o.png"), events[-1].image, atol=0.51 / 255)
    assert signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler)


def test_a_second_signal_does_not_break_the_writing(
    tiny, pictures, monkeypatch, capsys
):
    _, save = progress.keep_alpha(None)

    def slow(*arguments, **options):
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        time.sleep(1.2)  # longer than a signal that is lost waits to be raised again
        save(*arguments, **options)

    monkeypatch.setattr(progress, "keep_alpha", lambda path: (Watcher(), slow))
    signalled(monkeypatch, signal.SIGTERM, after=1)
    command = ["stylize", *pictures, "-o", "o.png", "--steps", "1000000"]
    assert main([*command, *common(tiny)]) == 143
    assert load_image("o.png").shape == (24, 20, 3)


class Deaf:
    """Sends a signal where Python drops what it raises."""

    def __del__(self):
        signal.raise_signal(signal.SIGTERM)


def test_a_signal_that_nobody_heard_is_raised_again():
    with stopping.listening():
        Deaf()
        with pytest.raises(stopping.Terminated):
            time.sleep(5)
        assert stopping.end() == ("terminated", 143)
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_a_signal_waits_for_an_event_but_not_for_long(monkeypatch):
    monkeypatch.setattr(stopping, "PATIENCE_S", 0.2)
    with stopping.listening(), stopping.at_events(lambda: True):
        signal.raise_signal(signal.SIGTERM)  # nothing is raised here
        with pytest.raises(stopping.Terminated):
            stopping.check()
    with stopping.listening(), stopping.at_events(lambda: True):
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(stopping.Terminated):
            time.sleep(5)
    with stopping.listening(), stopping.at_events(lambda: False):
        with pytest.raises(stopping.Terminated):
            signal.raise_signal(signal.SIGTERM)
    with stopping.listening():
        stopping.check()  # another command's signal is forgotten


def test_what_was_to_be_ignored_stays_so():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with stopping.listening():
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_sweep_keeps_its_members(tiny, pictures, monkeypatch, capsys):
    from jnst.cli import sweep

    show = sweep._Bar.show

    def hear(self, now):
        show(self, now)
        if now.done == 1:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(sweep._Bar, "show", hear)
    grid = ["--grid", "learning_rate=0.01,0.02", "--steps", "2", "--metrics", "none"]
    command = ["sweep", *pictures, "-o", "swept", *grid, *common(tiny)]
    assert main(command) == 143
    err = capsys.readouterr().err
    assert "1 of 2 members are kept in swept; the same command goes on" in err
    assert os.path.exists("swept/members/000.json") and os.path.exists(
        "swept/sheet.png"
    )


def test_the_process_ends_soon_with_143(tiny, tmp_path):
    """By the command itself: what is left of XLA's work does not end it by another."""
    command = ["stylize", str(tiny / "content.png"), str(tiny / "style.png")]
    command += ["-o", str(tmp_path / "o.png"), "--steps", "1000000", "--save-every"]
    environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": os.environ[PROGRAMS]}
    environment |= {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "jnst", *command, "10", *common(tiny)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    until = time.monotonic() + SECONDS
    while not list(tmp_path.glob("o_*")) and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    started = time.monotonic()
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 143, err
    assert time.monotonic() - started < 20, "seconds, on a machine that is busy too"
    assert "jnst: error: terminated" in err and "Traceback" not in err
    assert load_image(tmp_path / "o.png").shape == (24, 20, 3)


def test_a_benchmark_tells_how_it_was_ended(monkeypatch, capsys, tmp_path):
    from benched import TIGHT, row

    from jnst.bench import networks, session
    from jnst.bench.measure import describe

    monkeypatch.setattr(networks, "random_params", lambda backbone: tiny_params())
    done = []

    def measure(case, params, **how):
        if len(done) == 1:
            signal.raise_signal(signal.SIGTERM)
        done.append(case)
        made = row(TIGHT)
        times = {k: made[k] for k in ("step_ms", "step_ms_deciles", "samples_ms")}
        told = {"first_loss": 1.0, "mpx_steps_per_s": 1.0}
        return describe(case, params) | times | told

    monkeypatch.setattr(session, "measure", measure)
    output = str(tmp_path / "a.json")
    command = ["bench", "--weights", "random", "--sizes", "16,32", "-o", output]
    assert main(command) == 143
    assert "terminated: 1 of 2 cases are measured" in capsys.readouterr().err
    with open(output) as file:
        assert len(json.load(file)["rows"]) == 1
