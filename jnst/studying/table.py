"""The table of a study: for a terminal, as CSV and as LaTeX.

A row a method and budget, a column a metric: the mean over pairs, and under it the
interval of the difference to the first method, with + or - where that holds.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from jnst.metrics import METRICS
from jnst.studying.statistics import ALPHA, RESAMPLES, Line, flat, pairs_needed

MARKS = {"better": "+", "worse": "-", "": ""}
LEEWAY = 1.25
"""Ratio of seconds taken to seconds given, or of the inverse, that needs no word."""
ARROWS = {"lower": "down", "higher": "up"}
_TEX = {c: f"\\{c}" for c in "&%$#_{}"}
_TEX |= {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\^{}"}


def number(value: float | None, digits: int, *, sign: str = "") -> str:
    """Write a number in so many digits, or all before the point; a dash for none."""
    if value is None:
        return "-"
    whole = 10**digits <= abs(value) < 1e6
    return f"{value:{sign}.0f}" if whole else f"{value:{sign}.{digits}g}"


def span(line: Line) -> str:
    """Write the interval of a difference, and whether that holds; "" for none."""
    if line.interval is None:
        return ""
    low, high = (number(end, 2, sign="+") for end in line.interval[:2])
    return f"{low}..{high}{MARKS[line.verdict]}"


def by_row(lines: Sequence[Line]) -> dict[tuple[str, str], dict[str, Line]]:
    """Return {(budget, method): {metric: line}}."""
    found: dict[tuple[str, str], dict[str, Line]] = {}
    for line in lines:
        found.setdefault((line.budget, line.method), {})[line.metric] = line
    return found


def spent(records: Sequence[Mapping[str, Any]], budget: str, method: str) -> str:
    """Tell what a method took at a budget: steps, seconds, and failed cells."""
    own = [r for r in records if (r["budget"], r["method"]) == (budget, method)]
    done = [r for r in own if not r["error"]]
    if not done:
        return f"{len(own)} of {len(own)} failed"
    few, many = (f(r["steps"] for r in done) for f in (min, max))
    steps = f"{few}" if few == many else f"{few}-{many}"
    seconds = sum(r["seconds"] for r in done) / len(done)
    failed = len(own) - len(done)
    return f"{steps} steps, {seconds:.3g} s" + (f", {failed} failed" if failed else "")


def off_time(records: Sequence[Mapping[str, Any]]) -> str:
    """Say how far runs were off the seconds they were given; "" if within `LEEWAY`."""
    ratios = [
        record["seconds"] / float(record["budget"].split()[0])
        for record in records
        if record["budget"].endswith(" seconds") and not record["error"]
    ]
    if not ratios or 1 / LEEWAY <= min(ratios) <= max(ratios) <= LEEWAY:
        return ""
    return (
        f"Runs took {min(ratios):.2g} to {max(ratios):.2g} times the seconds given: "
        "the machine was more or less busy than in their pilots, or a step takes "
        "longer than the budget."
    )


def as_text(
    lines: Sequence[Line],
    records: Sequence[Mapping[str, Any]],
    baseline: Mapping[str, float | None],
) -> str:
    """Write the table for a terminal: judges of content, then of style.

    Args:
      lines: From `compare_methods`.
      records: Of all cells.
      baseline: Mean score of the content pictures as they were, by metric.
    """
    from tabulate import tabulate

    rows, parts = by_row(lines), []
    several = len({budget for budget, _ in rows}) > 1
    metrics = list(dict.fromkeys(line.metric for line in lines))
    for reference in ("content", "style"):
        chosen = [k for k in metrics if METRICS[k].reference == reference]
        if not chosen:
            continue
        heads = [f"{k} {ARROWS[METRICS[k].better]}" for k in chosen]
        body = [["content as it was", *(number(baseline.get(k), 4) for k in chosen)]]
        for (budget, method), own in rows.items():
            what = f"{method}, {budget}" if several else method
            cells = [f"{number(own[k].mean, 4)}\n{span(own[k])}" for k in chosen]
            body.append([f"{what}\n{spent(records, budget, method)}", *cells])
        options = {
            "disable_numparse": True,
            "colalign": ("left", *["right"] * len(chosen)),
        }
        parts.append(tabulate(body, [f"beside the {reference}", *heads], **options))
    notes = [note for note in (legend(lines), off_time(records)) if note]
    return "\n\n".join([*parts, *notes])


def legend(lines: Sequence[Line]) -> str:
    """Say what the numbers of a table are, and of how many pairs."""
    compared = [line for line in lines if line.difference is not None]
    if not compared:
        return "Means; there is one method, so nothing to compare."
    first = lines[0].method
    pairs = max(line.pairs for line in compared)
    if pairs < 2:
        return f"One pair: no interval of the differences to {first}."
    metric = compared[0].metric
    count = sum(line.metric == metric for line in compared)
    needed = pairs_needed(count)
    text = (
        f"Under the means: {1 - ALPHA:.0%} interval of the paired difference to "
        f"{first} (bootstrap, {pairs} pairs, {RESAMPLES} resamples). + better, - worse "
        f"than {first} by Holm's procedure over {count} comparison{'s' * (count > 1)}."
    )
    if pairs < needed:
        text += f" {pairs} pairs are too few for any of them: {needed} at least."
    return text


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Write rows as CSV; their columns are those of all rows together."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def lines_as_csv(lines: Sequence[Line]) -> str:
    """Write the comparison as CSV, a row a budget, method and metric."""
    return as_csv([flat(line) for line in lines])


def tex(text: str) -> str:
    """Escape a text for LaTeX."""
    return "".join(_TEX.get(character, character) for character in text)


def _tex_number(value: float | None, digits: int, *, bold: bool = False) -> str:
    mantissa, _, power = number(value, digits).partition("e")
    text = f"{mantissa}\\cdot 10^{{{int(power)}}}" if power else mantissa
    return f"$\\mathbf{{{text}}}$" if bold else f"${text}$"


def _tex_span(line: Line) -> str:
    if line.interval is None:
        return ""
    low, high = (_tex_number(end, 2) for end in line.interval[:2])
    mark = MARKS[line.verdict]
    return f"{{\\scriptsize[{low}, {high}]{f'$^{{{mark}}}$' if mark else ''}}}"


def _tex_rows(
    budget: str, rows: Mapping[str, Mapping[str, Line]], metrics: Sequence[str]
) -> list[str]:
    """Write the rows of a budget; the best mean of each metric is bold."""
    text = [r"\midrule"]
    for n, (method, own) in enumerate(rows.items()):
        means = [
            _tex_number(
                own[k].mean, 3, bold=_is_best(own[k], [r[k] for r in rows.values()])
            )
            for k in metrics
        ]
        first = tex(budget) if n == 0 else ""
        text.append(" & ".join([first, tex(method), *means]) + r" \\")
        spans = [_tex_span(own[k]) for k in metrics]
        if any(spans):
            text.append(" & ".join(["", "", *spans]) + r" \\")
    return text


def _is_best(line: Line, several: Sequence[Line]) -> bool:
    means = [each.mean for each in several if each.mean is not None]
    best = (min if line.better == "lower" else max)(means, default=None)
    return len(means) > 1 and line.mean is not None and line.mean == best


def as_tex(lines: Sequence[Line]) -> str:
    """Write the table as LaTeX, for the package booktabs."""
    metrics = list(dict.fromkeys(line.metric for line in lines))
    arrows = {"lower": r"$\downarrow$", "higher": r"$\uparrow$"}
    heads = [f"{tex(k)} {arrows[METRICS[k].better]}" for k in metrics]
    text = [
        f"% {legend(lines)}",
        r"\begin{tabular}{ll" + "r" * len(metrics) + "}",
        r"\toprule",
        " & ".join(["budget", "method", *heads]) + r" \\",
    ]
    rows = by_row(lines)
    for name in dict.fromkeys(budget for budget, _ in rows):
        own = {method: row for (budget, method), row in rows.items() if budget == name}
        text += _tex_rows(name, own, metrics)
    return "\n".join([*text, r"\bottomrule", r"\end{tabular}", ""])
