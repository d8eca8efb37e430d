"""`jnst study`: contents x styles x methods, with tables and a gallery."""

import contextlib
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jnst.cli.own import losses_from, optimizer_from
from jnst.cli.progress import new_bar
from jnst.cli.reading import arguments_of, listed

if TYPE_CHECKING:
    from jnst.studying.making import Moment

SIZE_PX = 256
"""The same as the library's, which is not imported for `--help`; a test compares."""


@click.command()
@click.argument("contents", type=click.Path())
@click.argument("styles", type=click.Path())
@click.option("-o", "--output", required=True, type=click.Path(), help="Folder.")
@click.option("--recipes", help="Methods, such as jnst,gatys; see `recipes`.")
@click.option("--losses", help="More: style losses on the first recipe, balanced.")
@click.option(
    "--size", "size_px", type=int, help=f"Longer side in pixels; {SIZE_PX} if absent."
)
@click.option("--steps", type=int, help="Equal steps; the recipes' own if absent.")
@click.option("--seconds", type=float, help="Equal seconds in the loop, also.")
@click.option("--seed", type=int, help="Seed; the recipes', 0, if absent.")
@click.option(
    "--set", "settings", multiple=True, metavar="FIELD=VALUE", help="For all methods."
)
@click.option("--metrics", help="Such as ssim,lpips_alex; see the README.")
@click.option("--weights", help="Name or path of a weights file.")
@click.option(
    "--like", type=click.Path(), metavar="study.json", help="Repeat another study."
)
@click.option("--overwrite", is_flag=True, help="Begin anew where there is a study.")
@losses_from
@optimizer_from
def study(
    contents: str,
    styles: str,
    output: str,
    recipes: str | None,
    losses: str | None,
    settings: Sequence[str],
    metrics: str | None,
    like: str | None,
    overwrite: bool,
    **options: Any,
) -> int:
    """Compare methods: each of CONTENTS in each of STYLES by each method.

    CONTENTS and STYLES are folders of pictures, or a picture. The first method is what
    the others are compared with, pair by pair. Writes a picture a cell, study.json,
    study.csv, cells.csv, study.tex, and study.html, a page of all pictures. Called
    again, it goes on where it was stopped.
    """
    from jnst.program import keep_programs
    from jnst.recipes.settings import parse_setting
    from jnst.studying.driver import study as run

    changes = dict(parse_setting(text) for text in settings)
    given = {k: v for k, v in arguments_of(changes, **options).items() if v is not None}
    if like is not None:
        own = [k for k in ("steps", "seconds", "seed") if k in given]
        own += ["size"] if "size_px" in given else []
        own += [k for k, v in (("recipes", recipes), ("losses", losses)) if v]
        own += ["set"] if settings else []
        if own:
            raise ValueError(f"--like has a study of its own: leave --{own[0]} out")
        given |= _like(like, contents, styles)
    else:
        given["methods"] = chosen_methods(recipes, losses)
    keep_programs()
    with progress(output) as bar:
        found = run(
            contents,
            styles,
            folder=output,
            metrics=listed(metrics),
            overwrite=overwrite,
            on_progress=bar.update,
            about={"command": shlex.join(["jnst", *sys.argv[1:]])},
            **given,
            **changes,
        )
    click.echo(found.table)
    for name in ("study.html", "study.csv", "cells.csv", "study.tex", "study.json"):
        click.echo(Path(output) / name)
    if like is not None:
        _tell_differences(like, found.about["asked"])
    return tell_failed(found.records)


def chosen_methods(recipes: str | None, losses: str | None) -> list[Any]:
    """Return the methods that --recipes and --losses name.

    Raises:
      ValueError: If there are none, or one is unknown.
    """
    from jnst.base import check_one_of
    from jnst.recipes.table import RECIPES
    from jnst.studying.methods import of_losses

    names = listed(recipes) or []
    for name in names:
        check_one_of("recipe", name, RECIPES)
    several = listed(losses) or []
    if not names and not several:
        raise ValueError(
            "a study needs methods: --recipes jnst,gatys or --losses gram,nnfm"
        )
    return [*names, *of_losses(several, recipe=names[0] if names else "jnst")]


def _like(path: str, contents: str, styles: str) -> dict[str, Any]:
    """Return the arguments of the study in a file, if the pictures are the same."""
    from jnst.studying.pictures import gather
    from jnst.studying.repeating import arguments_of, check_pictures, read_asked

    asked = read_asked(path)
    for what, given in (("contents", contents), ("styles", styles)):
        check_pictures(asked, what, gather(what, given))
    return arguments_of(asked)


def _tell_differences(like: str, asked: dict[str, Any]) -> None:
    """Say what is not as it was in the study that was repeated."""
    from jnst.files import as_json
    from jnst.studying.folder import differences
    from jnst.studying.repeating import read_asked

    found = differences(as_json(asked), read_asked(like))
    if found:
        click.echo(f"not as in {like}: {found}", err=True)


def tell_failed(records: Sequence[dict[str, Any]]) -> int:
    """Name the cells that were stopped, and why; return 1 if all were, else 0."""
    failed = [record for record in records if record["error"]]
    for record in failed:
        click.echo(f"{record['name']} stopped: {record['error']}", err=True)
    return 1 if len(failed) == len(records) else 0


class _Bar:
    """A progress bar on standard error: cells done, time left."""

    def __init__(self) -> None:
        self.bar = new_bar(
            total=1,
            desc="preparing",
            bar_format="{desc} {percentage:3.0f}%|{bar}| {n:.1f}/{total} cells "
            "[{elapsed}<{remaining}]",
        )
        self.kept = 0

    def update(self, moment: "Moment") -> None:
        """Show where a study is; cells that were there do not count as done now."""
        self.bar.total = moment.cells
        self.bar.set_description_str(moment.name, refresh=False)
        now = moment.number + moment.done
        if moment.kept:
            self.kept += 1
            self.bar.initial = self.bar.n = now
            return
        self.bar.update(now - self.bar.n)


@contextlib.contextmanager
def progress(folder: str | None) -> Iterator[_Bar]:
    """Yield a bar; where it is interrupted, say what is kept in a folder."""
    bar = _Bar()
    try:
        yield bar
    except KeyboardInterrupt:
        bar.bar.close()
        if folder is not None and bar.bar.n >= 1:
            click.echo(
                f"{int(bar.bar.n)} of {bar.bar.total} cells are kept in {folder}; the "
                "same command goes on",
                err=True,
            )
        raise
    finally:
        bar.bar.close()
