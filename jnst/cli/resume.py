"""`jnst resume`: a run that was stopped goes on; the name of its output is enough."""

import importlib
import os
from pathlib import Path
from typing import Any

import click

from jnst.base import shown
from jnst.cli.keeping import ELSEWHERE, FOUND
from jnst.cli.own import OWN_FILES, losses_from, optimizer_from

RUNS = {"stylize": "transfer", "texture": "transfer"}
"""Commands that are kept, by the module they are in."""
READ = ("content", "styles", "like")
"""Parameters that name files to be read; other paths are written to."""


@click.command()
@click.argument("output", type=click.Path())
@click.option(
    "--devices", metavar="N|RxC", help="Other devices: the same picture to rounding."
)
@click.option(
    "--overwrite", is_flag=True, help="Replace files that exist in other folders."
)
@losses_from
@optimizer_from
@click.pass_context
def resume(
    context: click.Context, output: str, devices: str | None, overwrite: bool
) -> Any:
    """Go on with the run that was to write OUTPUT, and was stopped.

    All else is in OUTPUT.checkpoint/: pictures, options, and where the run was. The
    picture is the one that the run would have made without a stop, bit for bit. Files
    of --losses-from and --optimizer-from are to be named again: nothing that a
    checkpoint names is executed.
    """
    from jnst.keep.folder import folder_of, newest
    from jnst.keep.runs import check_document

    folder = folder_of(output)
    found = newest(folder)
    if found is None:
        raise ValueError(f"nothing to resume: no checkpoint in {str(folder)!r}")
    try:
        check_document(found.document)
        was = found.document.get("output")
        if was != Path(output).name:
            raise ValueError(f"is of {shown(was)}, not of {Path(output).name!r}")
        command, params = _command_of(context, found.document)
        _check_own(context, found.document["command"].get("own", []))
    except ValueError as error:
        raise ValueError(f"checkpoint {str(found.path)!r} {error}") from None
    params |= {"output": output, "restart": False}
    if devices is not None:
        params["devices"] = devices
    params["overwrite"] = overwrite or (
        bool(params.get("overwrite")) and not _others(command, params, output)
    )
    context.meta[FOUND], context.meta[ELSEWHERE] = found, devices is not None
    return context.invoke(command, **params)


def _command_of(
    context: click.Context, document: dict[str, Any]
) -> tuple[click.Command, dict[str, Any]]:
    """Return the command of a checkpoint and its parameters, as click reads them."""
    asked = document.get("command") or {}
    name, given = asked.get("name"), asked.get("params", {})
    if not isinstance(name, str) or name not in RUNS:
        raise ValueError(
            "was made by no command of jnst's: go on with jnst.stylize(keeper=...)"
        )
    module = importlib.import_module(f"jnst.cli.{RUNS[name]}")
    command: click.Command = getattr(module, name)
    known = {str(each.name): each for each in command.params if each.expose_value}
    for key in given:
        if key not in known:
            raise ValueError(f"has an option that jnst {name} has not: {shown(key)}")
    try:
        return command, {
            k: known[k].type_cast_value(context, v) for k, v in given.items()
        }
    except (click.ClickException, TypeError, ValueError) as error:
        raise ValueError(f"has an option that is none: {shown(str(error))}") from None


def _check_own(context: click.Context, own: list[list[str]]) -> None:
    """Raise unless a user's own files are named again, and are the same."""
    from jnst.files import sha256_of

    given = {option: path for option, path in context.meta.get(OWN_FILES, [])}
    for option, path, digest in own:
        if option not in given:
            raise ValueError(f"needs {option} again, which was {shown(path)}")
        if sha256_of(given[option]) != digest:
            raise ValueError(f"was made with another {option}: {shown(path)} then")


def _others(command: click.Command, params: dict[str, Any], output: str) -> bool:
    """Tell whether files in other folders would be replaced."""
    here = os.path.dirname(os.path.abspath(output))
    paths = [
        params.get(str(each.name))
        for each in command.params
        if isinstance(each.type, click.Path) and each.name not in READ
    ]
    there = [path for path in paths if isinstance(path, str) and os.path.lexists(path)]
    return any(os.path.dirname(os.path.abspath(path)) != here for path in there)
