"""Who shows a run while it goes on: TensorBoard, a terminal, a notebook."""

import io
import re
import struct
import sys

import numpy as np
import pytest
from PIL import Image
from watched import flat, plan_of

import jnst
from jnst.drivers.result import Progress
from jnst.recipes.schedule import Source, Stage
from jnst.watching.preview import cannot_preview, half_blocks, show_preview
from jnst.watching.tensorboard import EVENTS, check_tensorboard, log_events


def look(step, *, size=(10, 12), steps=10, names=("loss", "style")):
    """A look after every two steps; the losses count the steps."""
    history = {k: np.arange(step - 2, step, dtype=np.float32) for k in names}
    losses = {k: float(v[-1]) for k, v in history.items()}
    return Progress(step, steps, size, losses, flat(*size, step / 10), 0.1, history)


def gatys():
    """The plan that is watched."""
    return plan_of(
        "gatys",
        [Stage(12, (10, 12), 10)],
        weights={"title": "tiny"},
        content=Source(flat(1500, 20, 0.5), False, about={"name": "c", "sha256": "0"}),
        styles=[Source(flat(9, 9, 0.25), False, about={"name": "s", "sha256": "1"})],
    )


def events_of(folder):
    """Every value of a folder's events: (tag, step, value), read as TFRecords are."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for path in folder.glob(EVENTS):
        data = path.read_bytes()
        while data:  # length, its checksum, the event, its checksum
            (length,) = struct.unpack_from("<Q", data)
            event = Event.FromString(data[12 : 12 + length])
            data = data[16 + length :]
            found += [(v.tag, event.step, v) for v in event.summary.value]
    return found


def logged(folder, **options):
    watcher = log_events(folder, **options)
    watcher.start(gatys())
    for step in (2, 4, 6, 8, 10):
        watcher.update(look(step))
    watcher.close(None)
    return events_of(folder)


def test_tensorboard_has_every_term_at_every_step(tmp_path):
    found = logged(tmp_path / "tb")
    for name in ("loss", "style"):
        values = [(s, v.simple_value) for tag, s, v in found if tag == f"loss/{name}"]
        assert values == [(n, float(n)) for n in range(10)]


def test_tensorboard_has_pictures_and_the_recipe(tmp_path):
    found = logged(tmp_path / "tb", every=4)
    pictures = {(tag, step): v.image for tag, step, v in found if v.HasField("image")}
    given = {("given/content", 0), ("given/style_1", 0)}
    assert set(pictures) == {*given, ("image", 4), ("image", 8), ("image", 10)}
    with Image.open(io.BytesIO(pictures["image", 4].encoded_image_string)) as image:
        assert image.size == (12, 10) and image.getpixel((0, 0)) == (102, 102, 102)
    assert pictures["given/content", 0].height == 1024  # reduced
    [text] = [v.tensor.string_val[0] for tag, _, v in found if tag.startswith("recipe")]
    assert b'"lbfgs' in text and b"content_weight" not in text
    assert re.search(rb"^    \{", text)  # a block of code


def test_events_of_an_earlier_run_go_and_a_stopped_run_is_whole(tmp_path):
    logged(tmp_path)
    (tmp_path / "mine").write_text("x")
    watcher = log_events(tmp_path)
    watcher.start(gatys())
    watcher.update(look(2))
    watcher.close(KeyboardInterrupt())
    found = [step for tag, step, _ in events_of(tmp_path) if tag == "loss/loss"]
    assert found == [0, 1]
    assert (tmp_path / "mine").exists()


def test_a_missing_writer_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ValueError, match=r"jnst\[tensorboard\]"):
        check_tensorboard()


CELL = re.compile(r"\x1b\[38;2;(\d+);(\d+);(\d+);48;2;(\d+);(\d+);(\d+)m▀")


def test_a_character_is_two_pixels():
    image = np.zeros((4, 3, 3), np.float32)
    image[0, 0], image[1, 0], image[3, 2] = (1, 0, 0), (0, 1, 0), (0, 0, 1)
    lines = half_blocks(image, 3, 2)
    cells = [[tuple(map(int, c)) for c in CELL.findall(line)] for line in lines]
    assert [len(row) for row in cells] == [3, 3]
    assert cells[0][0] == (255, 0, 0, 0, 255, 0)
    assert cells[1][2] == (0, 0, 0, 0, 0, 255)
    assert all(line.endswith("\x1b[0m") for line in lines)


@pytest.mark.parametrize(
    ("height", "width", "columns", "rows", "drawn"),
    [
        (100, 200, 80, 24, (80, 20)),
        (200, 100, 80, 24, (24, 24)),
        (1, 4000, 80, 24, (80, 1)),
        (4000, 1, 80, 24, (1, 24)),
        (10, 10, 0, 24, (0, 0)),
        (10, 10, 80, -2, (0, 0)),
    ],
)
def test_the_preview_fits_the_terminal(height, width, columns, rows, drawn):
    lines = half_blocks(flat(height, width, 0.5), columns, rows)
    found = len(CELL.findall(lines[0])) if lines else 0
    assert (found, len(lines)) == drawn


@pytest.mark.parametrize(
    ("level", "index"),
    [(0, 16), (47 / 255, 16), (48 / 255, 59), (135 / 255, 102), (1, 231)],
)
def test_fewer_colours_are_the_nearest(level, index):
    [line] = half_blocks(flat(2, 1, level), 1, 1, true=False)
    assert line == f"\x1b[38;5;{index};48;5;{index}m▀\x1b[0m"


def test_each_preview_is_drawn_over_the_one_before(monkeypatch):
    clock, written = [0.0], []
    monkeypatch.setattr("jnst.watching.preview.time.monotonic", lambda: clock[0])
    watcher = show_preview(written.append, lambda: (80, 9), True)
    for now, step in ((5.0, 2), (5.1, 4), (6.0, 6), (6.1, 10)):
        clock[0] = now
        watcher.update(look(step))
    assert len(written) == 3  # the second came too soon, the last never does
    assert not written[0].startswith("\x1b[") or "F" not in written[0][:6]
    assert written[0].count("\n") == 6  # nine rows, of which the bar has three
    assert all(text.startswith("\x1b[6F\x1b[J") for text in written[1:])


@pytest.mark.parametrize(
    ("terminal", "environment", "why"),
    [
        (True, {"TERM": "xterm"}, ""),
        (False, {"TERM": "xterm"}, "no terminal"),
        (True, {"TERM": "dumb"}, "TERM"),
        (True, {}, "TERM"),
        (True, {"TERM": "xterm", "NO_COLOR": "1"}, "NO_COLOR"),
    ],
)
def test_where_no_preview_can_be_drawn_it_is_said(terminal, environment, why):
    found = cannot_preview(terminal, environment)
    assert bool(found) == bool(why) and why in found


@pytest.fixture
def notebook(monkeypatch):
    """IPython as a notebook runs it: what is displayed, (what, id, whether again)."""
    IPython = pytest.importorskip("IPython")
    from IPython.core.interactiveshell import InteractiveShell

    shown = []

    class Publisher(IPython.core.displaypub.DisplayPublisher):
        def publish(self, data, metadata=None, *, transient=None, update=False, **more):
            shown.append((data, (transient or {}).get("display_id"), update))

    monkeypatch.setattr(InteractiveShell, "display_pub_class", Publisher, raising=False)
    shell = InteractiveShell.instance()
    shell.display_pub = Publisher(parent=shell)
    yield shown
    shell.history_manager.end_session()
    InteractiveShell.clear_instance()


def test_a_picture_grows_in_place_in_a_notebook(notebook):
    show = jnst.show_progress()
    for step in (2, 10, 4):  # the last is of another run
        show(look(step, names=("loss", "<b>")))
    (first, one, _), (second, two, again), (_, three, anew) = notebook
    assert one == two != three and again and not anew
    assert first["text/html"].startswith('<figure><img loading="lazy" width="12"')
    assert "&lt;b&gt; 1" in first["text/html"] and "<b>" not in first["text/html"]
    assert first["text/plain"] == "step 2 of 10, 12x10 px, 0.1 s: loss 1, <b> 1"
    assert first["text/html"] != second["text/html"]


def test_without_a_notebook_the_error_says_what_would_do(monkeypatch):
    pytest.importorskip("IPython")
    with pytest.raises(ValueError, match="none is running; use on_progress=print"):
        jnst.show_progress()
    monkeypatch.setitem(sys.modules, "IPython.display", None)
    with pytest.raises(ValueError, match="needs IPython"):
        jnst.show_progress()
