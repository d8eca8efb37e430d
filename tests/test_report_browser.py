"""A report in a browser: nothing leaves, nothing fails, and the slider moves."""

import json

import pytest
from pages import HOSTILE
from tiny import picture

import jnst
from jnst.image import save_image
from jnst.report.writer import write_report
from jnst.watching.watcher import watched

pytestmark = [
    pytest.mark.browser,
    pytest.mark.usefixtures("quicker_compile"),
]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report of a run on pixels, whose pictures have hostile names."""
    folder = tmp_path_factory.mktemp("browser")
    names = [f"{HOSTILE}</title><script>hostile=1<.png", "'-hostile=2-'\x1b[31m.png"]
    for n, name in enumerate(names):
        save_image(folder / name.replace("/", "\u2215"), picture(40, 48, n))
    pictures = [folder / name.replace("/", "\u2215") for name in names]
    recipe = jnst.Recipe(
        terms=(jnst.Term("style", "gram", ("pixels",)),), learning_rate=0.02, steps=4
    )
    path = folder / f"{HOSTILE.replace('/', '')}.html"
    with watched([write_report(path)]) as shows:
        told = {"on_start": shows.start, "on_progress": shows.update, "size_px": 48}
        own = {"extract": lambda image: {"pixels": image}, "save_every": 1}
        shows.finish(jnst.stylize(*pictures, recipe, **own, **told))
    return path


@pytest.fixture
def opened(chromium, report):
    """The page, and what it asked for or complained of."""
    page, asked, said = chromium.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.goto(report.as_uri())
    yield page, asked, said
    page.close()


def test_nothing_is_asked_for_and_nothing_fails(opened, report):
    page, asked, said = opened
    assert {url.partition(":")[0] for url in asked} <= {"file", "data"}
    assert [url for url in asked if url.startswith("file:")] == [report.as_uri()]
    assert said == []
    assert page.evaluate("typeof hostile") == "undefined"
    assert HOSTILE in page.title() and r"\x1b[31m" in page.title()
    page.evaluate("[...document.images].forEach(i => { i.loading = 'eager' })")
    page.wait_for_function("[...document.images].every(i => i.naturalWidth > 0)")
    assert page.locator("img").count() == 2 + 1 + 4
    assert page.locator("svg").count() == 2


def test_the_slider_moves_by_mouse_and_keyboard(opened):
    page, _, _ = opened
    after = page.locator(".both img").nth(1)
    cut = "i => getComputedStyle(i).clipPath"
    assert after.evaluate(cut) == "inset(0px 0px 0px 50%)"
    page.locator("input[type=range]").focus()
    page.keyboard.press("Home")
    assert after.evaluate(cut) == "inset(0px 0px 0px 0%)"
    box = page.locator(".both").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 4, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 3 / 4, middle)
    page.mouse.up()
    share = float(after.evaluate(cut).rpartition(" ")[2].rstrip("%)"))
    assert abs(share - 75) <= 1
    assert after.bounding_box() == page.locator(".both img").nth(0).bounding_box()


def test_without_scripts_before_and_after_stand_side_by_side(chromium, report):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    before, after = (page.locator(".both img").nth(n).bounding_box() for n in (0, 1))
    assert before["x"] + before["width"] <= after["x"]
    assert not page.locator("input[type=range]").is_visible()
    context.close()


def test_it_reads_on_a_narrow_screen(chromium, report):
    context = chromium.new_context(viewport={"width": 360, "height": 640})
    page = context.new_page()
    page.goto(report.as_uri())
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 360, json.dumps(wide)
    context.close()
