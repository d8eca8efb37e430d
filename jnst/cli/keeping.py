"""Checkpoints of `stylize` and `texture`: what is there, what runs it again."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from jnst.cli.own import OWN_FILES

FOUND, ELSEWHERE = "jnst.found", "jnst.elsewhere"
"""Where a context has the checkpoint that `resume` has read, and whether it may go on
on other devices."""
EVERY_S = 60.0
NOT_KEPT = ("restart", "force", "checkpoint_every")
"""Options that are of one call alone."""
KEEP_OPTIONS = (
    click.option(
        "--checkpoint-every",
        type=click.FloatRange(0),
        default=EVERY_S,
        show_default=True,
        metavar="SECONDS",
        help="Between checkpoints, from which a run that was stopped goes on; 0: none.",
    ),
    click.option(
        "--restart", is_flag=True, help="Begin anew; give up what could go on."
    ),
)


def meta() -> dict[str, Any]:
    """Return what the commands of this call tell each other."""
    context = click.get_current_context(silent=True)
    return {} if context is None else context.meta


def look(output: str, *, restart: bool) -> Any:
    """Return the checkpoint that a run with this output goes on from, None for none.

    Raises:
      ValueError: If there are some and all are damaged.
    """
    folder = Path(f"{output}.checkpoint")
    if restart or not folder.is_dir():
        return None
    found = meta().get(FOUND)
    if found is not None:
        return found
    from jnst.keep.folder import newest

    return newest(folder)


def steps_before(found: Any) -> int:
    """Return the steps that a checkpoint from `look` says were done; 0 without one."""
    step = found.document.get("step") if found else 0
    return step if isinstance(step, int) else 0


def may_replace(
    output: str, paths: Iterable[str | Path | None], *, overwrite: bool
) -> bool:
    """Tell that a run that is kept may replace its own files.

    Args:
      output: The picture.
      paths: All that the run writes.
      overwrite: Whether any file may be replaced.

    Raises:
      ValueError: If one is there that the run has not written.
    """
    folder = Path(f"{output}.checkpoint")
    there = [path for path in paths if path and os.path.lexists(path)]
    if overwrite or not there or not folder.is_dir():
        return overwrite
    from jnst.keep.folder import has_written

    for path in there:
        if not has_written(folder, path):
            raise ValueError(
                f"output {str(path)!r} exists already; use --overwrite or another name"
            )
    return True


def make_keeper(output: str, **how: Any) -> Any:
    """Make what keeps the run of this call.

    Args:
      output: The picture.
      **how: As `jnst.keep.keeper.Keeper`.
    """
    from jnst.keep.keeper import Keeper

    elsewhere = meta().get(ELSEWHERE, False)
    return Keeper(output, command=command_now(), other_devices=elsewhere, **how)


def command_now() -> dict[str, Any]:
    """Return how the command that runs is run again, with whole paths."""
    context = click.get_current_context(silent=True)
    if context is None:
        return {}
    from jnst.files import sha256_of

    params = {
        str(each.name): _whole(each, context.params[str(each.name)])
        for each in context.command.params
        if each.name in context.params and each.name not in NOT_KEPT
    }
    own = [
        (option, os.path.abspath(path), sha256_of(path))
        for option, path in context.meta.get(OWN_FILES, [])
    ]
    return {"name": context.command.name, "params": params, "own": own}


def _whole(parameter: click.Parameter, value: Any) -> Any:
    """Return a value that means the same in another folder."""
    if isinstance(value, tuple | list):
        return [_whole(parameter, each) for each in value]
    path = isinstance(parameter.type, click.Path)
    if isinstance(value, str) and (path or os.path.isfile(value)):
        return os.path.abspath(value)
    return value
