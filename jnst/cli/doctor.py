"""`jnst doctor`: is all well here? A report for people, or for a bug report."""

from typing import Any

import click

MARKS = {"ok": "ok", "look": "LOOK", "broken": "BROKEN"}
COLOURS = {"ok": "green", "look": "yellow", "broken": "red"}
"""By the state of a finding."""


@click.command()
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON document for a bug report, without your name and home folder.",
)
def doctor(as_json: bool) -> int:
    """Look whether all is well: versions, device, weights, memory, a known run.

    Weights are verified, three steps are run and held to the losses they must have,
    and it is said loudly if an accelerator is here but JAX runs on the CPU. LOOK is
    worth a look; BROKEN means that no run can be trusted, and the exit code is 1.
    """
    from jnst.cli.progress import new_bar

    with new_bar(bar_format="{desc} [{elapsed}]", leave=False) as bar:
        found = _diagnosed(lambda stage: bar.set_description_str(f"looking at {stage}"))
    if as_json:
        from jnst.files import json_text

        click.echo(json_text(found))
    else:
        show(found)
    return 0 if found["well"] else 1


def _diagnosed(on_stage: Any) -> dict[str, Any]:
    """Run all checks; a JAX that cannot be imported is one that failed."""
    from jnst.doctor.finding import BROKEN, Finding, in_a_line

    try:
        from jnst.doctor.report import diagnose
        from jnst.program import keep_programs

        keep_programs()
    except Exception as error:  # of whatever is installed wrongly
        words = f"{type(error).__name__}: {in_a_line(error)}"
        advice = "pip install --force-reinstall jax jaxlib jnst"
        finding = Finding("versions", BROKEN, words, advice)
        return {"well": False, "findings": [finding._asdict()], "facts": {}}
    return diagnose(on_stage)


def show(found: dict[str, Any]) -> None:
    """Print findings, a line each, with what to do below."""
    lines = found["findings"]
    width = max(len(line["topic"]) for line in lines)
    for line in lines:
        mark = click.style(f"{MARKS[line['state']]:6}", fg=COLOURS[line["state"]])
        click.echo(f"{mark}  {line['topic']:{width}}  {line['text']}")
        if line["advice"]:
            click.echo(f"{'':{width + 10}}-> {line['advice']}")
    looks = sum(line["state"] == "look" for line in lines)
    broken = sum(line["state"] == "broken" for line in lines)
    if broken:
        click.echo(f"{broken} broken, {looks} to look at")
    else:
        click.echo(f"all is well{f', {looks} to look at' if looks else ''}")
