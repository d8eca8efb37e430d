"""The gallery of a study: one HTML file, pictures side by side, sortable, no network.

A row is a pair, a column a method. Everything is in the file, see `jnst.report.page`,
with `gallery.css` and `gallery.js` whole.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jnst.metrics import METRICS
from jnst.report.page import as_text, embedded, make_page, own_file
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
    css, js = (own_file("jnst.studying", f"gallery.{end}") for end in ("css", "js"))
    body = "\n".join([
        f"<h1>{as_text(shown.title)}</h1><p>{as_text(shown.note)}</p>",
        _numbers(shown),
        "<h2>Pictures</h2>",
        "<p>A score is a button: it sorts the rows, once more the other way.</p>",
        _controls(shown.records),
        _pairs(shown),
    ])  # fmt: skip
    return make_page(shown.title, body, css=css, js=js)


def _metrics(shown: Shown) -> list[str]:
    return list(dict.fromkeys(line.metric for line in shown.lines))


def _head(metric: str) -> str:
    row = METRICS[metric]
    about = f"{row.source}. Beside the {row.reference}; {row.better} is better."
    arrow = {"lower": "&darr;", "higher": "&uarr;"}[row.better]
    spoken = f'<span aria-label="{ARROWS[row.better]}">{arrow}</span>'
    return f'<th scope="col" title="{as_text(about)}">{as_text(metric)} {spoken}</th>'


def _numbers(shown: Shown) -> str:
    """Return the table of means and intervals."""
    metrics = _metrics(shown)
    if not metrics:
        return ""
    heads = "".join(_head(metric) for metric in metrics)
    body = []
    for (budget, method), own in by_row(shown.lines).items():
        took = as_text(spent(shown.records, budget, method))
        cells = "".join(
            f'<td class="{own[k].verdict}">{number(own[k].mean, 4)}'
            f"<small>{as_text(span(own[k]))}</small></td>"
            for k in metrics
        )
        body.append(
            f'<tr><th scope="row">{as_text(method)}</th><td>{as_text(budget)}'
            f"<small>{took}</small></td>{cells}</tr>"
        )
    return (
        '<h2>Scores</h2><div class="wide"><table class="numbers"><thead><tr>'
        f'<th scope="col">method</th><th scope="col">budget</th>{heads}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
        f"<p>{as_text(legend(shown.lines))} {as_text(off_time(shown.records))}</p>"
    )


def _controls(records: Sequence[Mapping[str, Any]]) -> str:
    budgets = list(dict.fromkeys(record["budget"] for record in records))
    select = ""
    if len(budgets) > 1:
        options = "".join(f"<option>{as_text(budget)}</option>" for budget in budgets)
        select = f'<label>Budget <select id="budget">{options}</select></label>'
    return (
        f'<div class="controls" hidden>{select}<label>Size <input id="side" '
        'type="range" min="80" max="640" step="20" value="240"></label>'
        '<span id="told" role="status"></span></div>'
    )


def _scores(record: Mapping[str, Any], metrics: Sequence[str]) -> str:
    """Return the scores under a picture."""
    buttons = []
    for metric in metrics:
        value = record.get(metric)
        score = "" if value is None else repr(float(value))
        buttons.append(
            f'<button type="button" class="score" data-metric="{as_text(metric)}" '
            f'data-score="{score}" data-better="{METRICS[metric].better}" '
            f'aria-pressed="false"><span>{as_text(metric)}</span> '
            f"<b>{number(value, 4)}</b></button>"
        )
    return "".join(buttons)


def _figure(shown: Shown, record: Mapping[str, Any], metrics: Sequence[str]) -> str:
    what = f"{record['content']} in the style of {record['style']}: {record['method']}"
    took = f"{record['steps']} steps"
    if record["seconds"] is not None:
        took += f", {record['seconds']:.3g} s"
    error = record["error"]
    failed = f'<span class="failed">stopped: {as_text(error)}</span>' if error else ""
    return (
        f'<figure data-budget="{as_text(record["budget"])}">'
        f"{embedded(shown.picture(record), what, most_px=MOST_PX)}<figcaption>"
        f'<span class="took">{took}</span>{failed}'
        f"{_scores(record, metrics)}</figcaption></figure>"
    )


def _pairs(shown: Shown) -> str:
    """Return the table of pictures."""
    metrics, records = _metrics(shown), shown.records
    methods = list(dict.fromkeys(record["method"] for record in records))
    pairs = list(dict.fromkeys((r["content"], r["style"]) for r in records))
    given = {
        (kind, name): embedded(
            shown.given(kind, name), f"{kind} {name}", most_px=MOST_PX
        )
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
            f'<tr><th scope="row">{as_text(content)}<br>{as_text(style)}</th>'
            f"<td><figure>{given['content', content]}<figcaption>{plain}</figcaption>"
            f"</figure></td><td><figure>{given['style', style]}</figure></td>"
            + "".join(f"<td>{column}</td>" for column in columns)
            + "</tr>"
        )
    heads = "".join(
        f'<th scope="col">{as_text(name)}</th>'
        for name in ("pair", "content", "style", *methods)
    )
    return (
        f'<table id="pairs"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table>"
    )
