"""Where results of `jnst bench` go: files, tables, one JSON document."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from jnst.bench.measure import Row


def write(
    document: dict[str, Any],
    options: dict[str, Any],
    *,
    rows: "Sequence[Row] | None" = None,
    plotted: "Sequence[Row] | None" = None,
    title: str = "",
) -> None:
    """Write the files asked for, and name them on standard error.

    Args:
      document: Of `--output`.
      options: Of the command.
      rows: Of `--csv`; the document's own if left out.
      plotted: Of `--plot`, `--roofline`; `rows` if left out.
      title: Of the plots; if left out, where the document was measured.
    """
    from jnst.bench.plot import plot_bench
    from jnst.bench.report import write_csv
    from jnst.bench.roofline_plot import plot_roofline
    from jnst.files import write_json

    own: list[Row] = document["rows"] if rows is None else list(rows)
    if options["output"]:
        write_json(options["output"], document)
    if options["csv_file"]:
        write_csv(options["csv_file"], own)
    for name, draw in {"plot": plot_bench, "roofline": plot_roofline}.items():
        if options[name]:
            title = title or f"{document['device']}, JAX {document['versions']['jax']}"
            draw(options[name], own if plotted is None else plotted, title=title)
    for name in ("output", "csv_file", "plot", "roofline"):
        if options[name]:
            click.echo(f"wrote {options[name]}", err=True)


def case_words(row: "Row") -> str:
    """Name in a few words what a row measured."""
    words = f"{row['size_px']} px {row['dtype']} {row['loss']} x{row['batch']}"
    devices = row.get("devices", "1")
    return words if devices == "1" else f"{words} on {devices}"


def line_of(row: "Row") -> str:
    """Say in a few words what was found of a case."""
    time = row.get("error") or f"{row['step_ms']:.4g} ms a step"
    return f"{case_words(row)}: {time}"


def show(document: dict[str, Any], traces: "Sequence[Path]", *, as_json: bool) -> None:
    """Print the document, or its tables."""
    from jnst.bench.against import comparison_table
    from jnst.bench.blocks import blocks_table
    from jnst.bench.report import heading, memory_table, table
    from jnst.bench.roofline import roofline_table
    from jnst.bench.scaling import scaling_table

    for path in traces:
        click.echo(f"trace: {path}", err=True)
    if as_json:
        from jnst.files import json_text

        click.echo(json_text(document))
        return
    click.echo(heading(document))
    click.echo(table(document["rows"]))
    more = {
        "roofline": roofline_table,
        "scaling over devices": scaling_table,
        "each part of a step": blocks_table,
        "resident memory of each side alone, MiB": memory_table,
    }
    for title, make in more.items():
        if found := make(document["rows"]):
            click.echo(f"\n{title}\n{found}")
    for title, rows in comparisons(document).items():
        click.echo(f"\n{title}\n{comparison_table(rows)}")


def comparisons(document: dict[str, Any]) -> "dict[str, list[Row]]":
    """Return the comparisons that a document has, by their titles."""
    found = {}
    if "against" in document:
        found["against the earlier run"] = document["against"]
    if "ab" in document:
        ab = document["ab"]
        sides = f"{ab['before']['name']} (before) and {ab['now']['name']} (now)"
        found[f"{sides} in turn, {ab['rounds']} rounds"] = ab["rows"]
    return found
