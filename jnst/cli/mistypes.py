"""What a mistyped command or option was meant for: an option, or a field for --set."""

import os
from collections.abc import Sequence

import click

from jnst.guesses import COMMANDS, FIELDS, did_you_mean, known_as, meant


def no_such_command(name: str, group: click.Group, ctx: click.Context) -> str:
    """Say that a group has no such command, and which was meant."""
    known = group.list_commands(ctx)
    guess = did_you_mean(meant(name, known, synonyms=COMMANDS))
    return f"no such command {name!r}.{guess} Commands: {', '.join(known)}"


def no_such_option(error: click.NoSuchOption, given: Sequence[str]) -> str:
    """Say that a command has no such option, and which was meant.

    A field of a recipe is set by --set, where the command has that.

    Args:
      error: What click says.
      given: All arguments; click tells of `-a.png` its first two letters only.
    """
    name, ctx = error.option_name, error.ctx
    for text in given:
        if text.startswith(name) and os.path.exists(text):
            return f"no such option {name!r}. For the file write {f'./{text}'!r}"
    if ctx is None:
        return error.format_message()
    options = _options_of(ctx)
    found = options.get(known_as(name, synonyms=FIELDS), "")
    if not found and name.startswith("--"):
        fields = _fields() if "set" in options else []
        near = meant(name, [*options, *fields], synonyms=FIELDS)
        found = options.get(near, near and f"--set {near}=VALUE")
    help_ = "" if found else f" See {ctx.command_path} --help."
    return f"no such option {name!r}.{did_you_mean(found)}{help_}"


def _options_of(ctx: click.Context) -> dict[str, str]:
    """List a command's options by how they are spelt, and by their parameters."""
    found: dict[str, str] = {}
    for option in ctx.command.get_params(ctx):
        if isinstance(option, click.Option):
            long = max(option.opts, key=len)
            found |= {long.strip("-").replace("-", "_"): long, str(option.name): long}
    return found


def _fields() -> list[str]:
    from jnst.recipes.recipe import HOMES, usual_fields

    return [*HOMES, *usual_fields()]
