"""`jnst bench --merge`: files of several devices or versions in one table."""

from typing import Any

import click


def merge(options: dict[str, Any]) -> int:
    """Show documents side by side; nothing is measured.

    Args:
      options: Of the command: "files", and where results go.

    Returns:
      The exit code.

    Raises:
      FileNotFoundError: If there is no such file.
      ValueError: If none is given, or one is no document of `jnst bench`.
    """
    from jnst.bench.merging import make_merged, merged_rows, read_documents
    from jnst.bench.report import table
    from jnst.cli.bench_results import write
    from jnst.files import json_text

    if not options["files"]:
        raise ValueError("--merge needs FILEs that `jnst bench --output` wrote")
    documents = read_documents(options["files"])
    merged, rows = make_merged(documents), merged_rows(documents)
    title = f"{len(documents)} documents"
    write(merged, options, rows=rows, title=title)
    if options["as_json"]:
        click.echo(json_text(merged))
        return 0
    for source, document in zip(merged["sources"], documents, strict=True):
        known = document["weights"].get("title") or "given weights"
        about = [document["file"], document.get("date"), known]
        click.echo(f"{source}: {', '.join(word for word in about if word)}")
    click.echo(table(rows))
    return 0
