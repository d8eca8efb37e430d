"""The gallery: one file, nothing from elsewhere, no name that becomes code."""

import base64
import hashlib
import re

import numpy as np
import pytest
from pages import HOSTILE, Page

from jnst.image import load_image
from jnst.studying.gallery import MOST_PX, Shown, make_gallery
from jnst.studying.statistics import compare_methods


def record(content, method, budget, n):
    scores = {"ssim": n / 10, "gram": None if n == 3 else 1.0 / (n + 1)}
    return {
        "content": content, "style": "s", "method": method, "budget": budget,
        "steps": 5, "seconds": 1.0, "error": HOSTILE if n == 3 else "", **scores,
    }  # fmt: skip


@pytest.fixture(scope="module")
def text():
    """A page of two contents, two methods and two budgets."""
    cells = [
        (content, method, budget)
        for content in ("c", HOSTILE)
        for method in ("m", HOSTILE)
        for budget in ("5 steps", "1 seconds")
    ]
    records = [record(*cell, n) for n, cell in enumerate(cells)]
    rng = np.random.default_rng(0)
    return make_gallery(
        Shown(
            title=HOSTILE,
            note="26 px",
            records=records,
            baseline={("c", "s"): {"ssim": 1.0, "gram": 2.0}},
            lines=compare_methods(records, ["ssim", "gram"]),
            picture=lambda record: rng.random((20, 26, 3), np.float32),
            given=lambda kind, name: np.full((700, 600, 3), 0.5, np.float32),
        )
    )


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def test_the_page_is_whole_and_names_are_text(page):
    assert page.open == []
    assert len(page.all("script")) == len(page.all("style")) == 1
    assert not any(k.startswith("on") for _, a in page.elements for k in a)
    assert not any("style" in a for _, a in page.elements)  # the policy forbids them
    assert ("title", HOSTILE) in page.texts
    assert ("th", HOSTILE) in page.texts
    alts = [a["alt"] for a in page.all("img")]
    assert f"{HOSTILE} in the style of s: m" in alts


def test_nothing_comes_from_elsewhere(text, page):
    assert all(a["src"].startswith("data:image/jpeg;base64,") for a in page.all("img"))
    assert not page.all("link") and not page.all("a") and not page.all("iframe")
    assert not re.search(r"https?://", text)
    [policy] = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    rules = dict(r.strip().split(" ", 1) for r in policy["content"].split(";"))
    assert rules["default-src"] == "'none'" and rules["img-src"] == "data:"
    for tag in ("script", "style"):
        [(_, code)] = [each for each in page.texts if each[0] == tag]
        digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
        assert rules[f"{tag}-src"] == f"'sha256-{digest}'"


def test_rows_are_pairs_and_columns_methods(page):
    figures = page.all("figure")
    with_budget = [a["data-budget"] for a in figures if "data-budget" in a]
    assert len(with_budget) == 8 and len(figures) == 8 + 4
    assert with_budget[:2] == ["5 steps", "1 seconds"]
    heads = [data for tag, data in page.texts if tag == "th"]
    at = heads.index("pair")
    assert heads[at : at + 5] == ["pair", "content", "style", "m", HOSTILE]
    options = [data for tag, data in page.texts if tag == "option"]
    assert options == ["5 steps", "1 seconds"]


def test_scores_are_buttons_that_carry_their_number(page):
    buttons = page.all("button", **{"data-metric": "gram"})
    scores = [a["data-score"] for a in buttons]
    assert scores[0] == "2.0" and scores[1] == "1.0" and "" in scores
    assert {a["data-better"] for a in buttons} == {"lower"}
    assert all(a["type"] == "button" for a in buttons)
    assert page.all("button", **{"data-metric": "ssim"})[0]["data-better"] == "higher"


def test_pictures_are_reduced_and_read_as_pictures(page, tmp_path):
    sides = set()
    for attrs in page.all("img"):
        data = base64.b64decode(attrs["src"].partition(",")[2])
        (tmp_path / "x.jpg").write_bytes(data)
        height, width, _ = load_image(tmp_path / "x.jpg").shape
        sides.add((height, width))
    assert sides == {(20, 26), (MOST_PX, round(600 * MOST_PX / 700))}


def test_what_failed_says_so(page):
    assert ("span", f"stopped: {HOSTILE}") in page.texts
