"""The gallery of a study: one HTML file, pictures side by side, sortable, no network.

A row is a pair, a column a method. Everything is in the file: pictures as JPEG in data
URIs, `gallery.css` and `gallery.js` whole. The page's policy allows these two, by their
digests, and nothing else: no name of a picture can become code.
"""

import base64
import hashlib
import importlib.resources
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

import numpy as np

from jnst.image import encode_jpeg, fit_shape, resize_image
from jnst.metrics import METRICS
from jnst.studying.statistics import Line
from jnst.studying.table import ARROWS, by_row, legend, number, off_time, span, spent

MOST_PX = 512
"""Longer side of an embedded picture; larger ones are reduced."""


class Shown(NamedTuple):
    """What a gallery shows.

    Attributes:
      title: Of the page.
      note: A line under it: size, device, versions.
      records: Of all cells, with scores.
      baseline: Scores of the content pictures as they were, by (content, style).
      lines: The comparison of methods.
      picture: Returns the picture of a record, [H, W, 3] in [0, 1].
      given: Returns a content or a style by kind and name.
    """

    title: str
    note: str
    records: Sequence[Mapping[str, Any]]
    baseline: Mapping[tuple[str, str], Mapping[str, Any]]
    lines: Sequence[Line]
    picture: Callable[[Mapping[str, Any]], np.ndarray]
    given: Callable[[str, str], np.ndarray]


def make_gallery(shown: Shown) -> str:
    """Return the page."""
    css, js = (_own(name) for name in ("gallery.css", "gallery.js"))
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_digest(css)}'; "
        f"script-src '{_digest(js)}'; base-uri 'none'; form-action 'none'"
    )
    title = escape(shown.title)
    return "\n".join([
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title><style>{css}</style></head><body>",
        f"<h1>{title}</h1><p>{escape(shown.note)}</p>",
        _numbers(shown),
        "<h2>Pictures</h2>",
        "<p>A score is a button: it sorts the rows, once more the other way.</p>",
        _controls(shown.records),
        _pairs(shown),
        f"<script>{js}</script></body></html>",
        "",
    ])  # fmt: skip


def _own(name: str) -> str:
    file = importlib.resources.files("jnst.studying") / name
    return file.read_text(encoding="utf-8")


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _metrics(shown: Shown) -> list[str]:
    return list(dict.fromkeys(line.metric for line in shown.lines))


def _head(metric: str) -> str:
    row = METRICS[metric]
    about = f"{row.source}. Beside the {row.reference}; {row.better} is better."
    arrow = {"lower": "&darr;", "higher": "&uarr;"}[row.better]
    spoken = f'<span aria-label="{ARROWS[row.better]}">{arrow}</span>'
    return f'<th scope="col" title="{escape(about)}">{escape(metric)} {spoken}</th>'


def _numbers(shown: Shown) -> str:
    """Return the table of means and intervals."""
    metrics = _metrics(shown)
    if not metrics:
        return ""
    heads = "".join(_head(metric) for metric in metrics)
    body = []
    for (budget, method), own in by_row(shown.lines).items():
        took = escape(spent(shown.records, budget, method))
        cells = "".join(
            f'<td class="{own[k].verdict}">{number(own[k].mean, 4)}'
            f"<small>{escape(span(own[k]))}</small></td>"
            for k in metrics
        )
        body.append(
            f'<tr><th scope="row">{escape(method)}</th><td>{escape(budget)}'
            f"<small>{took}</small></td>{cells}</tr>"
        )
    return (
        '<h2>Scores</h2><div class="wide"><table class="numbers"><thead><tr>'
        f'<th scope="col">method</th><th scope="col">budget</th>{heads}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div><p>{escape(legend(shown.lines))} "
        f"{escape(off_time(shown.records))}</p>"
    )


def _controls(records: Sequence[Mapping[str, Any]]) -> str:
    budgets = list(dict.fromkeys(record["budget"] for record in records))
    select = ""
    if len(budgets) > 1:
        options = "".join(f"<option>{escape(budget)}</option>" for budget in budgets)
        select = f'<label>Budget <select id="budget">{options}</select></label>'
    return (
        f'<div class="controls" hidden>{select}<label>Size <input id="side" '
        'type="range" min="80" max="640" step="20" value="240"></label>'
        '<span id="told" role="status"></span></div>'
    )


def _image(image: np.ndarray, about: str) -> str:
    """Embed a picture."""
    height, width = image.shape[:2]
    if max(height, width) > MOST_PX:
        image = resize_image(image, fit_shape((height, width), MOST_PX))
    data = base64.b64encode(encode_jpeg(np.clip(image, 0, 1))).decode()
    return (
        f'<img loading="lazy" width="{width}" height="{height}" '
        f'alt="{escape(about)}" src="data:image/jpeg;base64,{data}">'
    )


def _scores(record: Mapping[str, Any], metrics: Sequence[str]) -> str:
    """Return the scores under a picture."""
    buttons = []
    for metric in metrics:
        value = record.get(metric)
        score = "" if value is None else repr(float(value))
        buttons.append(
            f'<button type="button" class="score" data-metric="{escape(metric)}" '
            f'data-score="{score}" data-better="{METRICS[metric].better}" '
            f'aria-pressed="false"><span>{escape(metric)}</span> '
            f"<b>{number(value, 4)}</b></button>"
        )
    return "".join(buttons)


def _figure(shown: Shown, record: Mapping[str, Any], metrics: Sequence[str]) -> str:
    what = f"{record['content']} in the style of {record['style']}: {record['method']}"
    took = f"{record['steps']} steps"
    if record["seconds"] is not None:
        took += f", {record['seconds']:.3g} s"
    error = record["error"]
    failed = f'<span class="failed">stopped: {escape(error)}</span>' if error else ""
    return (
        f'<figure data-budget="{escape(record["budget"])}">'
        f"{_image(shown.picture(record), what)}<figcaption>"
        f'<span class="took">{took}</span>{failed}'
        f"{_scores(record, metrics)}</figcaption></figure>"
    )


def _pairs(shown: Shown) -> str:
    """Return the table of pictures."""
    metrics, records = _metrics(shown), shown.records
    methods = list(dict.fromkeys(record["method"] for record in records))
    pairs = list(dict.fromkeys((r["content"], r["style"]) for r in records))
    given = {
        (kind, name): _image(shown.given(kind, name), f"{kind} {name}")
        for n, kind in enumerate(("content", "style"))
        for name in dict.fromkeys(pair[n] for pair in pairs)
    }
    body = []
    for content, style in pairs:
        own = [r for r in records if (r["content"], r["style"]) == (content, style)]
        plain = _scores(shown.baseline.get((content, style), {}), metrics)
        columns = [
            "".join(_figure(shown, r, metrics) for r in own if r["method"] == method)
            for method in methods
        ]
        body.append(
            f'<tr><th scope="row">{escape(content)}<br>{escape(style)}</th>'
            f"<td><figure>{given['content', content]}<figcaption>{plain}</figcaption>"
            f"</figure></td><td><figure>{given['style', style]}</figure></td>"
            + "".join(f"<td>{column}</td>" for column in columns)
            + "</tr>"
        )
    heads = "".join(
        f'<th scope="col">{escape(name)}</th>'
        for name in ("pair", "content", "style", *methods)
    )
    return (
        f'<table id="pairs"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table>"
    )
