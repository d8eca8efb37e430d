"""The options that `stylize` and `texture` share, and the files that they name."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import click

from jnst.cli.keeping import KEEP_OPTIONS
from jnst.cli.own import losses_from, optimizer_from
from jnst.cli.processes import processes_from
from jnst.cli.watching import Watching, checked, files_of, watching_from


class Outputs(NamedTuple):
    """Where a run's results go, and whether what is there may be replaced.

    `alpha` is the picture whose transparency is kept, if any; `metadata` says whether
    the picture tells how it was made; `keeper` keeps the run.
    """

    image: str
    history: str | None
    plot: str | None
    save_every: int
    overwrite: bool
    watching: Watching
    alpha: str | None = None
    metadata: bool = True
    keeper: Any = None


RUN_OPTIONS = (
    click.option("-o", "--output", required=True, type=click.Path(), help="Picture."),
    click.option("--recipe", help="See `recipes`; jnst if absent."),
    click.option(
        "--like", type=click.Path(), metavar="FILE.png", help="The recipe of a picture."
    ),
    click.option("--size", "size_px", type=int, help="Size in pixels."),
    click.option("--steps", type=int, help="Steps in all sizes together."),
    click.option("--seed", type=int, help="Seed; the recipe's, 0, if absent."),
    click.option("--init", help="First image: content, noise, ..., or a file."),
    click.option(
        "--tile-px", metavar="N|auto", help="Work in tiles of N pixels: less memory."
    ),
    click.option("--blend", help="Weights of several styles, such as 0.7,0.3."),
    click.option(
        "--set", "settings", multiple=True, metavar="FIELD=VALUE", help="Any field."
    ),
    click.option(
        "--term",
        "terms",
        multiple=True,
        metavar="'NAME: LOSS, FIELD=VALUE, ...'",
        help="Add a term, such as 'histogram: histogram, layers=relu1_1;relu4_1'.",
    ),
    click.option("--history", type=click.Path(), help="Losses of every step, .json."),
    click.option("--plot", type=click.Path(), help="Losses over steps, .png."),
    click.option("--save-every", type=click.IntRange(0), default=0, metavar="N"),
    click.option("--weights", help="Name or path of a weights file."),
    click.option(
        "--devices",
        metavar="N|RxC",
        help="Split rows over N devices, or rows x columns.",
    ),
    click.option(
        "--strip-metadata",
        is_flag=True,
        help="Write a picture that does not tell how it was made.",
    ),
    click.option("--overwrite", is_flag=True, help="Replace files that exist."),
    *KEEP_OPTIONS,
    click.option("--force", is_flag=True, help="Try what cannot fit the memory."),
    watching_from,
    processes_from,
    losses_from,
    optimizer_from,
)


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that all runs share."""
    for option in reversed(RUN_OPTIONS):
        command = option(command)
    return command


def check_plot_and_json(
    plot: str | None, numbers: str | None, *, overwrite: bool
) -> None:
    """Raise before any work if a plot or a file of JSON could not be written."""
    from jnst.files import check_output
    from jnst.plots import PLOT_SUFFIXES, check_matplotlib

    if numbers:
        check_output(numbers, suffixes=(".json",), overwrite=overwrite)
    if plot:
        check_output(plot, suffixes=PLOT_SUFFIXES, overwrite=overwrite)
        check_matplotlib()


def check_outputs(outputs: Outputs) -> Outputs:
    """Return the outputs, all named; raise before any work if one could not be written.

    Raises:
      ValueError: With what is wrong.
    """
    from jnst.files import check_output
    from jnst.image import IMAGE_SUFFIXES, check_holds_alpha

    again = outputs.overwrite
    check_output(outputs.image, suffixes=IMAGE_SUFFIXES, overwrite=again)
    if outputs.alpha is not None:
        check_holds_alpha(outputs.image)
    check_plot_and_json(outputs.plot, outputs.history, overwrite=again)
    watching = checked(outputs.watching, outputs.image, overwrite=again)
    names = [outputs.image, outputs.history, outputs.plot, *files_of(watching)]
    paths = [Path(name).absolute() for name in names if name]
    if len(set(paths)) < len(paths):
        raise ValueError("picture, history, plot and the like must be different files")
    for found in () if outputs.overwrite else saved_on_the_way(outputs):
        raise ValueError(f"{str(found)!r} exists already; use --overwrite")
    return outputs._replace(watching=watching)


def saved_on_the_way(outputs: Outputs) -> list[Path]:
    """List the pictures of --save-every that are there already."""
    path = Path(outputs.image)
    pattern = rf"{re.escape(path.stem)}_\d{{6}}{re.escape(path.suffix)}"
    if not outputs.save_every or not path.parent.is_dir():
        return []
    return [each for each in path.parent.iterdir() if re.fullmatch(pattern, each.name)]
