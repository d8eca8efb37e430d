"""Options of `jnst bench` that compare and merge, and rows kept as they come."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from jnst.cli.bench_quality import quality

if TYPE_CHECKING:
    from jnst.bench.measure import Row

OPTIONS = (
    click.option(
        "--against",
        type=click.Path(),
        metavar="FILE.json",
        help="Compare with an earlier --output; exit 1 if slower.",
    ),
    click.option(
        "--ab",
        metavar="COMMIT|VENV",
        help="Run that version and this one in turn; exit 1 if this one is slower.",
    ),
    click.option(
        "--rounds",
        type=click.IntRange(1),
        default=6,
        show_default=True,
        help="With --ab: processes of each version; fewer than 6 decide nothing.",
    ),
    click.option(
        "--threshold",
        type=float,
        default=1.10,
        show_default=True,
        help="With --against, --ab: a ratio beyond it is slower.",
    ),
    click.option(
        "--merge",
        is_flag=True,
        help="Measure nothing: show FILEs of earlier --output in one table.",
    ),
    click.argument("files", nargs=-1, type=click.Path(), metavar="[FILE.json]..."),
)
RESULTS = ("output", "csv_file", "plot", "as_json", "overwrite")
"""Options that say where results go."""
OWN = {
    "merge": {*RESULTS, "merge", "files"},
    "ab": {*RESULTS, "ab", "rounds", "threshold"},
}
"""What --merge takes, and what --ab does not hand on."""
REFUSED = ("topology", "profile", "peer", "against", "merge", "files", "roofline")
REFUSED += ("to_quality", "target")
"""What makes no sense with --ab."""


def comparing_from(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def flag(parameter: click.Parameter) -> str:
    """Write a parameter as a user would; the longest of its names."""
    if isinstance(parameter, click.Argument):
        return parameter.name or ""
    return max(parameter.opts, key=len)


def given() -> dict[str, click.Parameter]:
    """Return the parameters of this command that its user gave, by name."""
    context = click.get_current_context()
    typed = click.core.ParameterSource.COMMANDLINE
    return {
        parameter.name: parameter
        for parameter in context.command.params
        if parameter.name and context.get_parameter_source(parameter.name) == typed
    }


def instead(options: dict[str, Any]) -> Callable[[dict[str, Any]], int] | None:
    """Return what does the work if this process measures nothing, or None.

    Raises:
      ValueError: For options that make no sense together.
    """
    told = given()
    if options["ab"] is not None:
        for name in (name for name in REFUSED if name in told):
            raise ValueError(
                f"--ab runs two versions alone, in turn: leave out {flag(told[name])}"
            )
        from jnst.cli.bench_ab import run_ab

        return run_ab
    if work := quality(options, told):
        return work
    if "rounds" in told:
        raise ValueError("--rounds goes with --ab: leave it out, or add that")
    if options["files"] and not options["merge"]:
        raise ValueError(
            f"files such as {options['files'][0]!r} go with --merge; to compare with "
            "one use --against"
        )
    if not options["merge"]:
        return None
    for name in (name for name in told if name not in OWN["merge"]):
        raise ValueError(
            f"--merge reads files and measures nothing: leave out {flag(told[name])}"
        )
    from jnst.cli.bench_merge import merge

    return merge


def handed_on() -> list[str]:
    """Write again what the user gave this command, but for what is --ab's own.

    Returns:
      Arguments of another `jnst bench`.
    """
    found, params = [], click.get_current_context().params
    for name, parameter in given().items():
        if name in OWN["ab"]:
            continue
        if getattr(parameter, "is_flag", False):
            found.append(flag(parameter))
            continue
        several = getattr(parameter, "multiple", False)
        values = params[name] if several else [params[name]]
        found += [f"{flag(parameter)}={value}" for value in values]
    return found


def start(
    document: dict[str, Any],
    before: dict[str, Any] | None,
    asked: "Sequence[Row]",
    where: Any,
) -> None:
    """Check before measuring what it will be compared with, and warn.

    Args:
      document: As it will be, without rows.
      before: The earlier document, None for no comparison.
      asked: What will be measured.
      where: The earlier file.

    Raises:
      ValueError: If the two cannot be compared.
    """
    if before is None:
        return
    from jnst.bench.against import differences
    from jnst.bench.comparable import check_comparable
    from jnst.cli.bench_results import case_words

    lines = [f"differs: {line}" for line in differences(document, before)]
    for row in check_comparable(document, before, asked, where=str(where)):
        lines.append(f"{where} has nothing to compare {case_words(row)} with")
    warn(lines)


def warn(lines: Iterable[str]) -> None:
    """Print lines on standard error."""
    for line in lines:
        click.echo(f"jnst: warning: {line}", err=True)


def keeper(
    document: dict[str, Any], options: dict[str, Any]
) -> "Callable[[Sequence[Row]], None]":
    """Return what writes the rows measured so far, should the rest never come."""
    from jnst.bench.report import write_csv
    from jnst.files import write_json

    def keep(rows: "Sequence[Row]") -> None:
        if options["output"]:
            whole = {**document, "finished": False, "rows": rows}
            write_json(options["output"], whole)
        if options["csv_file"]:
            write_csv(options["csv_file"], rows)

    return keep


def compare(
    document: dict[str, Any], before: dict[str, Any] | None, threshold: float
) -> bool:
    """Add to a document how its rows compare with an earlier one's.

    Returns:
      Whether any is slower.
    """
    if before is None:
        return False
    from jnst.bench.against import compare_rows, find_equal, is_slower

    timed = [row for row in document["rows"] if row.get("step_ms")]
    # None may have an equal: what had one failed, or an interrupt came before it.
    if not any(find_equal(row, before["rows"]) for row in timed):
        return False
    found = compare_rows(timed, before["rows"], threshold=threshold)
    document["against"] = found
    return is_slower(found)


def ended(document: dict[str, Any], slower: bool, cases: int) -> int:
    """Return the exit code of a run that may have been interrupted.

    Args:
      document: With the rows that were measured.
      slower: Whether one is slower than before.
      cases: How many were asked for.
    """
    from jnst.cli.main import fail
    from jnst.cli.stopping import end

    rows = document["rows"]
    if len(rows) < cases:
        word, code = end()
        return fail(f"{word}: {len(rows)} of {cases} cases are measured", code)
    return 1 if slower or any("error" in row for row in rows) else 0
