"""A user's own losses and optimisers from a file, without touching the package."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

OWN_FILES = "jnst.own"
"""Where a context says which files were imported, by option."""


def import_rows(path: str, what: str) -> None:
    """Import one Python file, which adds its rows to the tables.

    Raises:
      FileNotFoundError: If there is no such file.
      ValueError: If it is no Python file, or fails.
    """
    file = Path(path).absolute()
    if not file.is_file():
        raise FileNotFoundError(f"no file of {what} {path!r}")
    spec = importlib.util.spec_from_file_location(f"jnst_own_{file.stem}", file)
    if file.suffix != ".py" or spec is None or spec.loader is None:
        raise ValueError(f"a file of {what} must end in .py, got {path!r}")
    if getattr(sys.modules.get(spec.name), "__file__", None) == str(file):
        return  # losses and optimisers in one file
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a file that calls `sys.exit` too
        del sys.modules[spec.name]  # or a second try would pass
        raise ValueError(
            f"{path!r} failed with {_told(error)}; mend the file"
        ) from error


def _told(error: BaseException) -> str:
    """Return an exception's name and words, if it has any that can be read."""
    try:
        words = str(error)
    except Exception:
        words = ""
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def _rows_from(option: str, what: str) -> Callable[[Any], Any]:
    """Make an option that imports a file which adds rows to a table."""

    def read(ctx: click.Context, parameter: click.Parameter, value: str | None) -> None:
        if value:
            import_rows(value, what)
            ctx.meta.setdefault(OWN_FILES, []).append((option, value))

    return click.option(
        option,
        metavar="FILE.py",
        is_eager=True,
        expose_value=False,
        callback=read,
        help=f"Import a file that adds {what} to the tables.",
    )


losses_from = _rows_from("--losses-from", "losses")
optimizer_from = _rows_from("--optimizer-from", "optimisers")
