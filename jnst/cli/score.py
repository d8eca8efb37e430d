"""`jnst score`: what metrics say of results, as tables or JSON."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

from jnst.cli.progress import new_bar
from jnst.cli.reading import listed

ARROWS = {"lower": "↓", "higher": "↑"}
OTHER_PROPORTIONS = 0.02
"""How far proportions may differ, as a share, before it is said."""


@click.command()
@click.argument("content", type=click.Path(), required=False)
@click.argument("style", type=click.Path(), required=False)
@click.argument("results", metavar="RESULT...", type=click.Path(), nargs=-1)
@click.option("--names", help="Metrics, such as lpips_alex,gram; all if absent.")
@click.option("--weights", help="Name or path of a VGG's weights file.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option(
    "--list", "list_only", is_flag=True, help="Show the metrics, no pictures."
)
def score(
    content: str | None,
    style: str | None,
    results: Sequence[str],
    names: str | None,
    weights: str | None,
    as_json: bool,
    list_only: bool,
) -> None:
    """Judge RESULTs by what they keep of CONTENT and take of STYLE.

    CONTENT is resized to each result's size; STYLE and results stay as they are. What
    cannot be computed is left out, with the reason on standard error; of --names that
    is an error.
    """
    from jnst.base import check_one_of
    from jnst.metrics import METRICS

    chosen = listed(names) or list(METRICS)
    for name in chosen:
        check_one_of("metric", name, METRICS)
    if list_only:
        return _list(chosen, as_json)
    if not (content and style and results):
        raise ValueError(
            "score needs CONTENT, STYLE and one RESULT or more; --list shows metrics"
        )
    _score(content, style, results, chosen, weights, as_json, strict=bool(names))


def _list(names: Sequence[str], as_json: bool) -> None:
    from tabulate import tabulate

    rows = [{"name": name, **_about(name)} for name in names]
    if as_json:
        return click.echo(json.dumps(rows, indent=2))
    keys = ("name", "better", "range", "reference", "captures", "blind", "source")
    widths = [None, None, 14, None, 24, 24, 26]
    table = [{key: row[key] for key in keys} for row in rows]
    click.echo(tabulate(table, headers="keys", maxcolwidths=widths, tablefmt="grid"))
    for row in rows:
        if row["missing"]:
            click.echo(f"{row['name']} cannot be computed: {row['missing']}", err=True)


def _about(name: str) -> dict[str, Any]:
    """Describe a metric as JSON has it."""
    from jnst.metrics import METRICS

    row, missing = METRICS[name], ""
    if row.load:
        try:
            row.load()
        except (FileNotFoundError, ValueError) as error:
            missing = str(error)
    fields = {k: v for k, v in row._asdict().items() if k not in ("function", "load")}
    return {**fields, "layers": list(row.layers), "missing": missing}


def _score(
    content: str,
    style: str,
    results: Sequence[str],
    names: Sequence[str],
    weights: str | None,
    as_json: bool,
    *,
    strict: bool,
) -> None:
    from jnst.drivers.sources import as_array, described
    from jnst.files import json_text
    from jnst.metrics import scores_and_reasons
    from jnst.program import keep_programs

    pair = as_array("content", content), as_array("style", style)
    pictures = {path: as_array("result", path) for path in results}
    keep_programs()
    params, known = _load(names, weights)
    rows: list[dict[str, Any]] = []
    with new_bar(total=len(results) * len(names), unit="metric", leave=False) as bar:
        for path, picture in pictures.items():
            bar.set_description_str(_shown(path), refresh=False)
            _tell_of_stretching(content, pair[0].shape, path, picture.shape)
            found = scores_and_reasons(
                picture,
                *pair,
                names=names,
                weights=params,
                strict=strict,
                on_metric=lambda name: bar.update(),
            )
            about = {**described(path), "path": path, "shape": picture.shape[:2]}
            rows.append({**about, "scores": found.values, "left_out": found.left_out})
    if as_json:
        about = {"content": described(content), "style": described(style)}
        document = _document({**about, "weights": known}, names, rows)
        return click.echo(json_text(document))
    _show(names, rows)


def _load(names: Sequence[str], weights: str | None) -> tuple[Any, dict[str, str]]:
    """Load a VGG if a metric looks through one; nothing where none is at hand."""
    from jnst.metrics import METRICS
    from jnst.weights import load_described

    if not any(METRICS[name].layers for name in names):
        return None, {}
    try:
        return load_described(weights)
    except FileNotFoundError:
        if weights:
            raise
        return None, {}


def _shown(path: str) -> str:
    """Return a path as a terminal may have it."""
    return path if path.isprintable() else repr(path)


def _tell_of_stretching(
    content: str, own: Sequence[int], path: str, other: Sequence[int]
) -> None:
    ratio = (own[0] / own[1]) / (other[0] / other[1])
    if max(ratio, 1 / ratio) > 1 + OTHER_PROPORTIONS:
        click.echo(
            f"{_shown(content)} is {own[1]}x{own[0]} and {_shown(path)} "
            f"{other[1]}x{other[0]} (width x height): the "
            "content is stretched to the result's proportions",
            err=True,
        )


def _document(
    about: Mapping[str, Any], names: Sequence[str], rows: Sequence[Any]
) -> dict[str, Any]:
    from jnst.drivers.record import device, versions

    return {
        **about,
        "device": device(),
        "versions": versions(),
        "metrics": {name: _about(name) for name in names},
        "results": list(rows),
    }


def _show(names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a table of what is held against the content, and one for the style."""
    from tabulate import tabulate

    from jnst.metrics import METRICS

    for reference in ("content", "style"):
        shown = [
            name
            for name in names
            if METRICS[name].reference == reference
            and any(name in row["scores"] for row in rows)
        ]
        if not shown:
            continue
        heads = [
            f"{name.replace('_', chr(10))} {ARROWS[METRICS[name].better]}"
            for name in shown
        ]
        table = [
            [_shown(row["path"]), *(row["scores"].get(name) for name in shown)]
            for row in rows
        ]
        click.echo(
            tabulate(table, [f"against the {reference}", *heads], floatfmt=".4g")
        )
        click.echo()
    click.echo(
        f"{ARROWS['lower']} lower is better, {ARROWS['higher']} higher is better"
    )
    reasons = {k: v for row in rows for k, v in row["left_out"].items()}
    for name, reason in reasons.items():
        click.echo(f"left out: {name}: {reason}", err=True)
