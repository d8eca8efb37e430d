"""`jnst examine`: a report on one loss, as a table, a picture and JSON."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from jnst.cli.own import losses_from
from jnst.cli.progress import new_bar
from jnst.cli.reading import listed
from jnst.cli.run_options import check_plot_and_json

if TYPE_CHECKING:
    from jnst.examining.finding import Report

WIDTH = 96
MOST_ROWS = 8


@click.command()
@click.argument("loss")
@click.option("-o", "--png", "png", type=click.Path(), help="The page as a picture.")
@click.option("--json", "as_json", metavar="FILE", help="The numbers; - prints them.")
@click.option("--quick", is_flag=True, help="Leave out costs and pictures.")
@click.option("--probes", help="Only these, such as gradient,costs.")
@click.option(
    "--layers", help="Layers, such as relu3_1,relu4_1; the recipe's if absent."
)
@click.option(
    "--option", "options", multiple=True, metavar="NAME=VALUE", help="Of the loss."
)
@click.option("--content", type=click.Path(), help="Picture; the demo's if absent.")
@click.option("--style", type=click.Path(), help="Picture; the demo's if absent.")
@click.option("--size", "size_px", type=int, help="Side of the pictures, in pixels.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--weights", help="Name or path of a weights file.")
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
@losses_from
def examine(
    loss: str,
    png: str | None,
    as_json: str | None,
    probes: str | None,
    layers: str | None,
    options: Sequence[str],
    size_px: int | None,
    overwrite: bool,
    **given: Any,
) -> None:
    """Examine LOSS before any long run: whether it is right, and what it is like.

    A line a probe: ok, look, WRONG, or - for what is a fact. LOSS is any of `jnst
    losses`, or a row of your own from --losses-from.
    """
    from jnst.examining.finding import Report
    from jnst.examining.report import SIZE_PX, chosen_probes
    from jnst.examining.report import examine as run
    from jnst.examining.subject import make_subject
    from jnst.program import keep_programs

    given |= {"probes": listed(probes) or (), "layers": tuple(listed(layers) or ())}
    given["options"] = _options(loss, options)
    make_subject(loss, layers=given["layers"], options=given["options"])
    wanted = chosen_probes(given["probes"], quick=given["quick"])
    numbers = None if as_json == "-" else as_json
    check_plot_and_json(png, numbers, overwrite=overwrite)
    keep_programs()
    bar = _Bar(wanted)
    report: Report = run(loss, size_px=size_px or SIZE_PX, on_probe=bar.tell, **given)
    bar.close()
    document = _document(report)
    if png:
        from jnst.examining.sheet import draw

        draw(png, report)
    if as_json == "-":
        from jnst.files import json_text

        click.echo(json_text(document))
    else:
        _show(report)
    if numbers:
        from jnst.files import write_json

        write_json(numbers, document)
    for path in (png, numbers):
        if path:
            click.echo(path, err=as_json == "-")


class _Bar:
    """Progress on standard error: a step a probe, and what it does now."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        self.bar = new_bar(total=len(names), unit="probe", desc=self.names[0])

    def tell(self, name: str, words: str) -> None:
        self.bar.n = self.names.index(name)
        self.bar.set_description_str(f"{name}: {words}" if words else name)

    def close(self) -> None:
        self.bar.n = self.bar.total
        self.bar.set_description_str("done")
        self.bar.close()


def _options(loss: str, texts: Sequence[str]) -> dict[str, Any]:
    """Read options as a recipe's `--set style_options=...` does."""
    from jnst.objective.term import kind_of
    from jnst.recipes.settings import parse_setting

    kind_of(loss)
    found: dict[str, Any] = {}
    for text in texts:
        if "=" not in text:
            raise ValueError(f"option {text!r} is not of the form NAME=VALUE")
        found |= dict(parse_setting(f"style_options={text}")[1])
    return found


def _document(report: "Report") -> dict[str, Any]:
    from jnst.drivers.record import device, versions
    from jnst.files import as_json

    return as_json({"device": device(), "versions": versions(), **report.document()})


def _show(report: "Report") -> None:
    """Print a line a probe, then the numbers that a line has no room for."""
    from tabulate import tabulate

    layers = ", ".join(report.layers) or "the pixels"
    click.echo(f"{report.loss}: {report.kind} loss on {layers}")
    click.echo(f"{report.source}. Captures: {report.captures}\n")
    rows = [
        {"probe": name, "verdict": found.verdict, "finding": found.says}
        for name, found in report.findings.items()
    ]
    click.echo(tabulate(rows, headers="keys", maxcolwidths=[None, None, WIDTH]))
    for name, table in TABLES.items():
        found = report.findings.get(name)
        if found and "error" not in found.numbers:
            click.echo("\n" + tabulate(table(found.numbers), "keys", floatfmt=".3g"))


def _size_rows(numbers: Any) -> list[dict[str, Any]]:
    other = numbers["reference"]
    columns = {
        "pixels": numbers["sizes_px"],
        "value": numbers["values"],
        "gradient": numbers["gradient_norms"],
        f"{other}'s value": numbers["reference_values"],
        f"{other}'s gradient": numbers["reference_gradient_norms"],
    }
    return [
        dict(zip(columns, row, strict=True))
        for row in zip(*columns.values(), strict=True)
    ]


def _cost_rows(numbers: Any) -> list[dict[str, Any]]:
    names = {"size_px": "pixels", "ms": "ms", "ratio": "times Gram's"}
    names |= {"program_mib": "MiB", "reference_program_mib": "Gram's MiB"}
    names |= {"peak_mib": "peak MiB"}
    return [{text: row[k] for k, text in names.items()} for row in numbers["rows"]]


def _change_rows(numbers: Any) -> list[dict[str, Any]]:
    names = ("maps", "pictures")
    return [{"loss over an unlike picture's": k, **numbers[k]} for k in names]


def _cosine_rows(numbers: Any) -> list[dict[str, Any]]:
    rows = list(numbers["cosines"].items())[:MOST_ROWS]
    places = [f"cosine at {place}" for place in numbers["places"]]
    return [{"loss": k, **dict(zip(places, v, strict=True))} for k, v in rows]


TABLES = {
    "invariance": _change_rows,
    "sizes": _size_rows,
    "costs": _cost_rows,
    "resemblance": _cosine_rows,
}
"""What is printed below the verdicts."""
