"""The page as a user meets it: headless Chromium against `jnst app` in a process.

One server for the whole file; each test is a tab of its own.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import numpy as np
import pytest
from tiny import picture, tiny_params

import jnst
from jnst.app.asked import MOST_MB
from jnst.files import sha256_of
from jnst.image import load_image, read_metadata, save_image
from jnst.weights import save_weights

pytestmark = pytest.mark.browser
FOREVER = "1000000"
# Few layers, which compile fast, as advanced settings.
SHALLOW = "style_layers=relu1_1\nstyle_layer_weights=1\ncontent_layers=relu2_1"
QUICK = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1", "JAX_PLATFORMS": "cpu"}
WAIT_MS = 120_000


class Server:
    """`jnst app` in a process of its own, and where its files are."""

    def __init__(self, root):
        weights, self.temporary = root / "tiny.safetensors", root / "temporary"
        save_weights(tiny_params(), weights, title="tiny VGG19", licence="MIT")
        self.temporary.mkdir()
        own = {"TMPDIR": str(self.temporary), "XDG_CACHE_HOME": str(root / "cache")}
        command = [sys.executable, "-m", "jnst", "app", "--no-browser", "--weights"]
        self.process = subprocess.Popen(
            [*command, str(weights)],
            env=os.environ | QUICK | own,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.address = self.process.stdout.readline().strip()

    def open(self, path, data=None, **headers):
        """Ask for an address without a browser."""
        request = urllib.request.Request(self.address + path, data, headers)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        return opener.open(request, timeout=20)

    def status(self, path, data=None, **headers):
        """Return the HTTP status of an address."""
        try:
            with self.open(path, data, **headers) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code


@pytest.fixture(scope="module")
def server(chromium, tmp_path_factory):
    found = Server(tmp_path_factory.mktemp("app"))
    yield found
    found.process.kill()
    found.process.communicate()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """photo.png (48x64), style.png (40x40) and ugly.png, which is none."""
    folder = tmp_path_factory.mktemp("pictures")
    save_image(folder / "photo.png", picture(48, 64))
    save_image(folder / "style.png", picture(40, 40, seed=1))
    (folder / "ugly.png").write_text("no picture")
    return folder


class Tab:
    """A tab with the page, and what a user does in it."""

    def __init__(self, browser, server):
        self.context = browser.new_context()
        self.asked = []
        self.context.on("request", lambda request: self.asked.append(request.url))
        self.page = self.context.new_page()
        self.page.set_default_timeout(WAIT_MS)
        self.page.goto(server.address)
        self.page.wait_for_selector("#start")

    def choose(self, field, *paths):
        names = [str(path) for path in paths]
        self.page.set_input_files(f"#{field} input[type=file]", names)
        for path in paths:
            self.page.wait_for_selector(f"#previews figure:has-text('{path.name}')")

    def fill(self, **texts):
        for name, text in texts.items():
            self.page.fill(f"#{name} :is(input, textarea)", text)

    def start(self, pictures, steps):
        self.choose("content", pictures / "photo.png")
        self.choose("styles", pictures / "style.png")
        self.page.click("text=Advanced")
        self.fill(**{"size-px": "64", "steps": steps, "settings": SHALLOW})
        self.page.click("#start")

    def status(self, words):
        found = self.page.locator("#status", has_text=words)
        found.wait_for()
        return found.inner_text()

    def close(self):
        self.context.close()


@pytest.fixture
def tab(chromium, server):
    """Makes tabs, and closes them."""
    tabs = []

    def make():
        tabs.append(Tab(chromium, server))
        return tabs[-1]

    yield make
    for each in tabs:
        each.close()


def steps_in(text):
    return int(re.search(r"(\d+) of", text)[1])


def test_from_upload_to_a_picture_with_its_recipe(tab, server, pictures, tmp_path):
    first = tab()
    first.start(pictures, "30")
    done = first.status("Done")
    assert "Done: 30 steps at 64 x 48 px" in done
    assert first.page.locator("#picture img").count() == 1
    assert first.page.locator("#curves svg").count() == 1
    with first.page.expect_download() as download:
        first.page.click("#download")
    assert download.value.suggested_filename == "photo-jnst.png"
    download.value.save_as(tmp_path / "out.png")
    about = read_metadata(tmp_path / "out.png")
    assert about["recipe_name"] == "jnst"
    assert about["content"]["name"] == "photo.png"
    assert about["content"]["sha256"] == sha256_of(pictures / "photo.png")
    assert about["styles"][0]["sha256"] == sha256_of(pictures / "style.png")
    recipe = jnst.Recipe.from_png(tmp_path / "out.png")
    assert (recipe.steps, recipe.style_layers) == (30, ("relu1_1",))
    made = load_image(tmp_path / "out.png")
    assert made.shape == (48, 64, 3)
    assert np.abs(made - load_image(pictures / "photo.png")).mean() > 0.01
    # Nothing was loaded from anywhere else, no font, no script, no telemetry.
    local = (server.address, "data:", f"blob:{server.address}")
    assert [url for url in first.asked if not url.startswith(local)] == []
    assert len(first.asked) > 20


def test_a_bad_file_and_bad_fields_are_told_in_the_page(tab, pictures, tmp_path):
    first = tab()
    first.page.click("#start")
    first.status("there is no photograph yet")
    first.choose("content", pictures / "photo.png")
    hostile = tmp_path / "<b>ugly.png"
    shutil.copy(pictures / "ugly.png", hostile)
    first.page.set_input_files("#styles input[type=file]", str(hostile))
    told = first.page.locator("#previews [role=alert]").inner_text()
    assert "ugly.png' is not an image of a known format" in told
    assert first.page.locator("#previews b").count() == 0
    first.page.click("#start")
    refused = first.status("is not an image")
    assert str(tmp_path) not in refused and "jnst-app" not in refused
    first.page.reload()
    first.fill(steps="many")
    first.choose("content", pictures / "photo.png")
    first.choose("styles", pictures / "style.png")
    first.page.click("#start")
    first.status("steps must be a whole number")
    assert first.page.locator("#start").is_enabled()


def test_a_run_is_stopped_and_goes_on(tab, pictures):
    first = tab()
    first.start(pictures, FOREVER)
    first.page.wait_for_selector("#picture img")
    first.page.click("#stop")
    stopped = steps_in(first.status("Stopped after"))
    assert first.page.inner_text("#download").startswith("Download as it is now")
    first.page.click("#go-on")
    first.page.wait_for_selector("#stop", state="visible")
    reached = first.page.wait_for_function(
        "least => { const text = document.querySelector('#status').innerText;"
        "const found = text.match(/^(\\d+) of/);"
        "return found && Number(found[1]) > least ? text : null }",
        arg=stopped,
    )
    first.page.click("#stop")
    assert steps_in(first.status("Stopped after")) >= steps_in(reached.json_value())
    assert steps_in(reached.json_value()) > stopped


def test_a_second_tab_waits_for_its_turn_and_is_told(tab, pictures):
    first, second = tab(), tab()
    first.start(pictures, FOREVER)
    first.page.wait_for_selector("#picture img")
    second.start(pictures, "30")
    assert "1 picture comes before yours" in second.status("Waiting")
    first.close()  # which ends its run
    assert "Done: 30 steps" in second.status("Done")


def test_nothing_but_the_page_is_served(server, pictures):
    closed = "/etc/passwd", str(pictures / "photo.png"), "pyproject.toml", "../x"
    for path in closed:
        assert server.status(f"/gradio_api/file={path}") in (403, 404)
        assert server.status(f"/file={path}") in (403, 404)
    config = json.dumps({"data": [], "fn_index": 0}).encode()
    assert server.status("/gradio_api/api/begin", config) >= 400
    assert server.status("/gradio_api/file=http://127.0.0.1:1/") == 404
    assert server.status("/", Host="elsewhere.test") == 400
    assert server.status("/") == 200
    edge = "--edge"
    head = f'--{edge}\r\nContent-Disposition: form-data; name="files"; filename="a.png"'
    large = head.encode() + b"\r\n\r\n" + bytes(MOST_MB * 10**6 + 1)
    large += f"\r\n--{edge}--\r\n".encode()
    form = {"Content-Type": f"multipart/form-data; boundary={edge}"}
    assert server.status("/gradio_api/upload", large, **form) == 413


def refusal_of(server, event, path):
    """What the page's event says to a picture of that path."""
    file = {"path": path, "meta": {"_type": "gradio.FileData"}}
    call = {"data": [file, []], "fn_index": event, "session_hash": "other"}
    json_type = {"Content-Type": "application/json"}
    server.open("/gradio_api/queue/join", json.dumps(call).encode(), **json_type)
    with server.open("/gradio_api/queue/data?session_hash=other") as answer:
        told = next(line for line in answer if b"process_completed" in line)
    message = json.loads(told.removeprefix(b"data: "))
    assert not message["success"]
    return message["output"]["error"]


def test_only_what_was_uploaded_can_be_named_as_a_picture(server, pictures):
    with server.open("/config") as answer:
        events = json.load(answer)["dependencies"]
    assert all(event["api_visibility"] == "private" for event in events)
    number = next(each["id"] for each in events if each["targets"][0][1] == "change")
    told = refusal_of(server, number, str(pictures / "photo.png"))
    assert "not uploaded by a user" in told
    told = refusal_of(server, number, "http://elsewhere.test/photo.png")
    assert told == "pictures are uploaded, not fetched"


def test_ctrl_c_ends_it_and_leaves_nothing(server, tab):
    tab()  # that is still open
    (folder,) = server.temporary.glob("jnst-app-*")
    assert folder.stat().st_mode & 0o777 == 0o700
    server.process.send_signal(signal.SIGINT)
    _, err = server.process.communicate(timeout=30)
    assert server.process.returncode == 0
    assert list(server.temporary.iterdir()) == []
    assert "KeyboardInterrupt" not in err and "Cancel" not in err
