"""Where results of `jnst bench` go: files, tables, one JSON document."""

import json
from pathlib import Path
from typing import Any

import click


def write(document: dict[str, Any], options: dict[str, Any]) -> None:
    """Write the files asked for, and name them on standard error."""
    from jnst.bench.plot import plot_bench
    from jnst.bench.report import write_csv
    from jnst.bench.roofline_plot import plot_roofline
    from jnst.files import write_json

    if options["output"]:
        write_json(options["output"], document)
    if options["csv_file"]:
        write_csv(options["csv_file"], document["rows"])
    title = f"{document['device']}, JAX {document['versions']['jax']}"
    for name, draw in {"plot": plot_bench, "roofline": plot_roofline}.items():
        if options[name]:
            draw(options[name], document["rows"], title=title)
    for name in ("output", "csv_file", "plot", "roofline"):
        if options[name]:
            click.echo(f"wrote {options[name]}", err=True)


def show(document: dict[str, Any], traces: "list[Path]", *, as_json: bool) -> None:
    """Print the document, or its tables."""
    from jnst.bench.against import comparison_table
    from jnst.bench.blocks import blocks_table
    from jnst.bench.report import heading, memory_table, table
    from jnst.bench.roofline import roofline_table
    from jnst.bench.scaling import scaling_table
    from jnst.files import as_json as plain

    for path in traces:
        click.echo(f"trace: {path}", err=True)
    if as_json:
        click.echo(json.dumps(plain(document), indent=2, allow_nan=False))
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
    if "against" in document:
        click.echo(
            f"\nagainst the earlier run\n{comparison_table(document['against'])}"
        )
