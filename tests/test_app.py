"""What is behind the page: its fields, its one run at a time, its server's walls."""

import asyncio
import logging
import os
import stat
import time

import numpy as np
import pytest
from tiny import picture, tiny_params

import jnst
from jnst.app import asked, desk, serving, shown
from jnst.app.asked import Asked, plain, plan_of
from jnst.cli.main import main
from jnst.drivers import fits
from jnst.image import save_image
from jnst.image.peeking import pixels_of, thumbnail
from jnst.weights import save_weights

pytestmark = pytest.mark.usefixtures("quicker_compile")
SETTINGS = (
    "style_layers=relu1_1\nstyle_layer_weights=1\n\n# a note\ncontent_layers=relu2_1"
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_weights(tiny_params(), path, title="tiny VGG19 for tests", licence="MIT")
    return str(path)


@pytest.fixture
def form(tmp_path):
    """What a user fills in: a photograph of 24x32 and a style of 20x20, 6 steps."""
    paths = []
    for name, shape in (("photo", (24, 32)), ("style", (20, 20))):
        folder = tmp_path / "upload" / name
        folder.mkdir(parents=True)
        save_image(folder / f"{name}.png", picture(*shape))
        paths.append(str(folder / f"{name}.png"))
    numbers = {"size_px": "32", "steps": "6", "seed": ""}
    return Asked(paths[0], paths[1:], "", "jnst", SETTINGS, numbers, {"style": ""})


@pytest.fixture
def table(tmp_path):
    """A desk that is closed in the end."""
    found = desk.Desk(tmp_path / "upload")
    yield found
    assert found.close(30.0)


def wait_for(reached, seconds=60):
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.01)


def ended(job):
    wait_for(lambda: job.state in desk.ENDED)
    return job.state


def test_the_fields_of_the_page_are_fields_of_the_recipe(form, weights):
    losses = {"style": "covariance", "content": "", "tv": "tv_isotropic"}
    two = [form.styles[0], form.content]
    settings = SETTINGS + "\nlearning_rate=0.5\nmemory=3"
    numbers = {"size_px": " 40 ", "steps": "7", "seed": "3"}
    asks = Asked(form.content, two, "3, 1", "jnst", settings, numbers, losses)
    plan, notes = plan_of(asks, weights=weights)
    recipe = plan.recipe
    assert (recipe.style_loss, recipe.tv_loss) == ("covariance", "tv_isotropic")
    assert recipe.content_loss == jnst.RECIPES["jnst"].content_loss
    assert (recipe.learning_rate, recipe.seed, recipe.steps) == (0.5, 3, 7)
    assert recipe.style_layers == ("relu1_1",)
    assert plan.shares == [0.75, 0.25]
    assert notes == ["memory=3 does nothing: optimizer=adam does not take it"]
    assert max(plan.stages[-1].shape) == 40
    assert plan.inputs["content"]["name"] == "photo.png"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"content": None}, "no photograph yet"),
        ({"styles": []}, "no style yet"),
        ({"styles": ["x"] * 9}, "9 styles are too many: at most 8"),
        ({"settings": "learning_rate"}, "not of the form FIELD=VALUE"),
        ({"settings": "lr=1"}, "Did you mean 'learning_rate'?"),
        ({"settings": "learning_rate=fast"}, "learning_rate must be a number"),
        ({"settings": "steps=3"}, "steps is no advanced setting"),
        ({"settings": "clip=true\nclip=false"}, "clip stands twice"),
        ({"settings": "weights=/etc/passwd"}, "weights are chosen by"),
        ({"settings": "init=/etc/passwd"}, "init"),
        ({"numbers": {"size_px": "large"}}, "size_px must be a whole number"),
        ({"numbers": {"steps": "0"}}, "steps must be at least 1"),
        ({"recipe": "none"}, "unknown recipe 'none'"),
        ({"losses": {"style": "grams"}}, "Did you mean 'gram'?"),
    ],
)
def test_what_no_run_could_use_is_refused_in_a_line(form, weights, change, words):
    with pytest.raises(ValueError) as error:
        plan_of(form._replace(**change), weights=weights)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_blend_that_is_none_is_refused(form, weights):
    two = form._replace(styles=[form.content, form.styles[0]])
    for blend, words in (("a,b", "0.7, 0.3, got 'a,b'"), ("1", "1 weights for 2")):
        with pytest.raises(ValueError, match=words):
            plan_of(two._replace(blend=blend), weights=weights)


def test_a_picture_too_large_is_refused_before_it_is_read(form, monkeypatch):
    monkeypatch.setattr(asked, "MOST_PIXELS", 700)
    with pytest.raises(ValueError, match="'photo.png' has 32x24 pixels, more than"):
        asked.check_pictures(form.content, form.styles)
    monkeypatch.setattr(asked, "MOST_PIXELS", 24 * 32)
    asked.check_pictures(form.content, form.styles)
    monkeypatch.setattr(asked, "MOST_MB", 0)
    with pytest.raises(ValueError, match="'photo.png' has more than 0 MB"):
        asked.check_pictures(form.content, form.styles)


def test_messages_name_uploads_without_their_folders(form, weights, tmp_path):
    bad = tmp_path / "upload" / "f00" / "bad.png"
    bad.parent.mkdir()
    bad.write_text("no picture")
    with pytest.raises(ValueError) as error:
        plan_of(form._replace(styles=[str(bad)]), weights=weights)
    assert str(bad) in str(error.value)
    assert plain(error.value, tmp_path / "upload").startswith("'bad.png' is not an")
    assert plain(MemoryError(), tmp_path) == "there is not enough memory"


def test_a_stopped_run_goes_on_to_the_same_picture(form, weights, table):
    plan, _ = plan_of(form._replace(numbers={"size_px": "32", "steps": "400"}),
                   weights=weights)  # fmt: skip
    job = table.begin("tab", plan, notes=["<note>"])
    assert "&lt;note&gt;" in shown.status_of(job, 0)
    wait_for(lambda: job.latest is not None)
    table.stop("tab")
    assert ended(job) == desk.STOPPED
    stopped_at = job.latest.step
    assert 0 < stopped_at < 400
    assert table.go_on("tab") is job
    assert ended(job) == desk.DONE
    layers = {"style_layers": ("relu1_1",), "style_layer_weights": (1.0,)}
    whole = jnst.stylize(form.content, list(form.styles), steps=400, size_px=32,
                         weights=weights, content_layers=("relu2_1",),
                         **layers)  # fmt: skip
    np.testing.assert_array_equal(job.result.image, whole.image)
    np.testing.assert_array_equal(job.result.history["loss"], whole.history["loss"])
    assert job.result.recipe == whole.recipe
    drawn = shown.curves_of(job)
    assert all(f"{name}</span>" in drawn for name in ("loss", "content", "style", "tv"))
    assert job.events is None  # what it had on the device is free


def test_one_picture_is_made_at_a_time_and_others_wait(form, weights, table):
    long = form._replace(numbers={"size_px": "32", "steps": "100000"})
    first = table.begin("one", plan_of(long, weights=weights)[0])
    second = table.begin("two", plan_of(form, weights=weights)[0])
    third = table.begin("three", plan_of(form, weights=weights)[0])
    wait_for(lambda: first.latest is not None)
    assert [table.before(job) for job in (second, third)] == [1, 2]
    assert "1 picture comes before yours" in shown.status_of(second, 1)
    with pytest.raises(ValueError, match="stop it first"):
        table.begin("one", first.plan)
    with pytest.raises(ValueError, match="no stopped picture"):
        table.go_on("one")
    table.stop("three")
    assert (third.state, third.latest) == (desk.STOPPED, None)
    assert "Stopped before it began" in shown.status_of(third, 0)
    assert second.latest is None
    table.forget("one")  # the tab was closed
    assert ended(first) == desk.STOPPED and ended(second) == desk.DONE
    assert len(second.result.history["loss"]) == 6
    assert set(table.jobs) == {"two", "three"}


def test_what_fails_is_told_and_the_next_one_runs(form, weights, table, monkeypatch,
                                                  caplog):  # fmt: skip
    plan, _ = plan_of(form, weights=weights)
    with monkeypatch.context() as patch:
        patch.setattr(fits, "available_bytes", lambda: 1000)
        job = table.begin("tab", plan)
        assert ended(job) == desk.FAILED
    assert "size_px=" in job.message and "would fit" in job.message
    assert "force" not in job.message
    with monkeypatch.context() as patch:
        patch.setattr(desk, "weighed", lambda plan: {}["<missing>"])
        with caplog.at_level(logging.CRITICAL, "jnst"):
            job = table.begin("tab", plan)
            assert ended(job) == desk.FAILED
    assert job.message == "KeyError: '<missing>'"
    page = shown.status_of(job, 0)
    assert "&lt;missing&gt;" in page and "<missing>" not in page
    assert ended(table.begin("tab", plan)) == desk.DONE


def test_names_and_messages_are_no_code_on_the_page(form, tmp_path):
    hostile = tmp_path / "<img src=x onerror=alert(1)>.png"
    save_image(hostile, picture(8, 8))
    text = tmp_path / "<b>.png"
    text.write_text("no picture")
    page = shown.previews(str(hostile), [str(text), form.styles[0]])
    assert page.count("<img") == 2 and "<img src=x" not in page and "<b>" not in page
    assert "Style 2: style.png" in page and 'role="alert"' in page
    assert str(tmp_path) not in page
    assert "<b>" not in shown.failure("<b>")


def test_a_thumbnail_is_small_and_tells_nothing_of_the_rest(tmp_path):
    save_image(tmp_path / "a.jpg", picture(60, 90))
    small = thumbnail(tmp_path / "a.jpg", 30)
    assert small.shape == (20, 30, 3) and 0 <= small.min() and small.max() <= 1
    assert thumbnail(tmp_path / "a.jpg", 90).shape == (60, 90, 3)
    assert pixels_of(tmp_path / "a.jpg") == (60, 90)


def answer_to(path):
    """Status and headers that the guard sends, around an application that says 200."""
    sent = []

    async def inner(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message):
        sent.append(message)

    app = serving.guarded(inner)
    asyncio.run(app({"type": "http", "path": path}, None, send))
    return sent[0]["status"], dict(sent[0]["headers"])


def test_the_server_fetches_nothing_from_elsewhere():
    for path in ("/gradio_api/proxy=https://a/b", "/gradio_api/file=HTTP://a/b"):
        assert answer_to(path)[0] == 404
    status, headers = answer_to("/gradio_api/file=/tmp/x")
    assert status == 200
    assert b"default-src 'self'" in headers[b"content-security-policy"]


def test_the_folder_is_private_and_gone_in_the_end(monkeypatch):
    for name in (*serving.SETTINGS, "GRADIO_TEMP_DIR"):
        monkeypatch.setenv(name, "before")
    with serving.private_folder() as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert os.environ["GRADIO_TEMP_DIR"] == str(folder)
        assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"
        (folder / "upload").mkdir()
    assert not folder.exists()


def test_the_command_refuses_in_a_line_before_any_work(weights, monkeypatch, capsys):
    def line_of(*arguments):
        assert main(["app", "--no-browser", *arguments]) == 2
        out, err = capsys.readouterr()
        assert not out and len(err.splitlines()) == 1
        return err

    with serving.listen(None) as taken:
        port = str(taken.getsockname()[1])
        told = line_of("--weights", weights, "--port", port)
        assert f"port {port} of 127.0.0.1 cannot be had" in told
    assert "nowhere" in line_of("--weights", "nowhere.safetensors")
    monkeypatch.setattr(serving.importlib.util, "find_spec", lambda name: None)
    assert "pip install 'jnst[app]'" in line_of()
