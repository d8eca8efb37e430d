"""`jnst bench --ab`: two versions in turn, each in processes of its own."""

from typing import Any

import click

Document = dict[str, Any]
Runs = dict[str, list[Document]]
"""Documents by side, "before" and "now", and round."""


def run_ab(options: dict[str, Any]) -> int:
    """Run two versions, with a line a row on standard error.

    This process leaves the device alone, which only one process may hold.

    Args:
      options: Of the command.

    Returns:
      The exit code.

    Raises:
      ValueError: For no such version, or what it does not take.
    """
    from jnst.bench.ab import run_in_turn
    from jnst.bench.checkouts import other_version, this_version
    from jnst.cli.bench_compare import handed_on
    from jnst.cli.bench_results import line_of
    from jnst.cli.main import fail
    from jnst.cli.stopping import settle

    runs: dict[str, list[Document]] = {"before": [], "now": []}
    rounds = options["rounds"]
    names = {"before": options["ab"], "now": "this version"}

    def show_run(side: str, document: Document) -> None:
        runs[side].append(document)
        turn = f"round {len(runs[side])} of {rounds}, {names[side]}"
        for row in document["rows"]:
            click.echo(f"{turn}: {line_of(row)}", err=True)
        if len(runs["now"]) == len(runs["before"]):
            keep(document_of(runs, options), options)

    try:
        with other_version(options["ab"]) as other:
            versions = {"before": other, "now": this_version()}
            run_in_turn(versions, handed_on(), rounds, show_run)
    except ChildProcessError as error:
        return fail(error, 1)
    except KeyboardInterrupt:
        if not all(runs.values()):
            raise
        settle()
    return finish(runs, options)


def document_of(runs: Runs, options: dict[str, Any]) -> Document:
    """Make the document of what both versions have measured so far."""
    from jnst.bench.ab import make_ab
    from jnst.cli.bench_compare import OWN

    how = {"rounds": options["rounds"], "threshold": options["threshold"]}
    document = make_ab(runs["now"], runs["before"], name=options["ab"], **how)
    ours = {name: options[name] for name in OWN["ab"]}
    return {**document, "options": {**document["options"], **ours}}


def keep(document: Document, options: dict[str, Any]) -> None:
    """Write the rounds measured so far, should the rest never come."""
    from jnst.files import write_json

    if options["output"]:
        write_json(options["output"], document)


def finish(runs: Runs, options: dict[str, Any]) -> int:
    """Write and print what was measured, and return the exit code."""
    from jnst.bench.ab import middle_rows
    from jnst.bench.against import is_slower
    from jnst.cli.bench_results import show, write
    from jnst.cli.main import fail
    from jnst.cli.stopping import end

    document = document_of(runs, options)
    plotted = [
        {**row, "source": name}
        for side, name in (("before", options["ab"]), ("now", "this version"))
        for row in middle_rows(runs[side])
    ]
    write(document, options, plotted=plotted)
    show(document, [], as_json=options["as_json"])
    ab, asked = document["ab"], options["rounds"]
    if ab["rounds"] < asked:
        word, code = end()
        return fail(f"{word}: {ab['rounds']} of {asked} rounds are measured", code)
    failed = any("error" in row for row in document["rows"])
    return 1 if failed or is_slower(ab["rows"]) else 0
