"""`--losses-from FILE.py`: a user's own losses, without touching the package."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click


def import_losses(path: str) -> None:
    """Import one Python file, which adds its rows to the tables.

    Raises:
      FileNotFoundError: If there is no such file.
      ValueError: If it is no Python file, or fails.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"no file of losses {path!r}")
    spec = importlib.util.spec_from_file_location(f"jnst_own_{file.stem}", file)
    if file.suffix != ".py" or spec is None or spec.loader is None:
        raise ValueError(f"a file of losses must end in .py, got {path!r}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ValueError(
            f"{path!r} failed with {type(error).__name__}: {error}"
        ) from error


def _import(ctx: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value:
        import_losses(value)


losses_from: Callable[[Any], Any] = click.option(
    "--losses-from",
    metavar="FILE.py",
    is_eager=True,
    expose_value=False,
    callback=_import,
    help="Import a file that adds losses to the tables.",
)
