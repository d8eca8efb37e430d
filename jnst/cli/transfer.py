"""`jnst stylize` and `jnst texture`: one way through options, progress and files."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from jnst.cli.own import losses_from, optimizer_from
from jnst.cli.processes import processes_from, team_of, together


class Outputs(NamedTuple):
    """Where a run's results go, and whether what is there may be replaced."""

    image: str
    history: str | None
    plot: str | None
    save_every: int
    overwrite: bool


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
    click.option("--overwrite", is_flag=True, help="Replace files that exist."),
    click.option("--force", is_flag=True, help="Try what cannot fit the memory."),
    processes_from,
    losses_from,
    optimizer_from,
)


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that all runs share."""
    for option in reversed(RUN_OPTIONS):
        command = option(command)
    return command


@click.command()
@click.argument("content", type=click.Path())
@click.argument("styles", type=click.Path(), nargs=-1, required=True)
@run_options
def stylize(content: str, styles: tuple[str, ...], **options: Any) -> int:
    """Give the picture CONTENT the style of the picture STYLE, or of several."""
    return transfer(content, styles, None, **options)


@click.command()
@click.argument("styles", type=click.Path(), nargs=-1, required=True)
@click.option("--shape", metavar="HxW", help="Height and width in pixels.")
@run_options
def texture(styles: tuple[str, ...], shape: str | None, **options: Any) -> int:
    """Make a new texture like the picture STYLE, or like several."""
    return transfer(None, styles, shape, **options)


def _parse_shape(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)[xX](\d+)", text)
    if not match or not int(match[1]) or not int(match[2]):
        raise ValueError(f"--shape must be HxW such as 256x384, got {text!r}")
    return int(match[1]), int(match[2])


def _parse_blend(text: str | None) -> list[float] | None:
    try:
        return None if text is None else [float(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(
            f"--blend must be numbers like 0.7,0.3, got {text!r}"
        ) from None


def listed(text: str | None) -> list[str] | None:
    """Split names at commas; None for no text."""
    if text is None:
        return None
    return [name.strip() for name in text.split(",") if name.strip()]


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


def check_outputs(outputs: Outputs) -> None:
    """Raise before any work if a result could not be written."""
    from jnst.files import check_output
    from jnst.image import IMAGE_SUFFIXES

    again = outputs.overwrite
    check_output(outputs.image, suffixes=IMAGE_SUFFIXES, overwrite=again)
    check_plot_and_json(outputs.plot, outputs.history, overwrite=again)
    names = [outputs.image, outputs.history, outputs.plot]
    paths = [Path(name).absolute() for name in names if name]
    if len(set(paths)) < len(paths):
        raise ValueError("picture, history and plot must be different files")
    path = Path(outputs.image)
    pattern = rf"{re.escape(path.stem)}_\d{{6}}{re.escape(path.suffix)}"
    if outputs.save_every and not outputs.overwrite:
        for found in path.parent.iterdir():
            if re.fullmatch(pattern, found.name):
                raise ValueError(f"{str(found)!r} exists already; use --overwrite")


def chosen_recipe(recipe: str | None, like: str | None) -> Any:
    """Return what to start from: the name of a recipe, or the recipe of a picture."""
    if like is None:
        return recipe or "jnst"
    if recipe is not None:
        raise ValueError("--like has a recipe of its own: leave --recipe out")
    from jnst.recipes.recipe import Recipe

    return Recipe.from_png(like)


def all_changes(
    recipe: Any, settings: Sequence[str], terms: Sequence[str]
) -> dict[str, Any]:
    """Read --set and --term: fields by name, and all terms with those added."""
    from jnst.recipes.changing import named
    from jnst.recipes.settings import parse_setting, parse_term

    changes = dict(parse_setting(text) for text in settings)
    if terms:
        added = [parse_term(text) for text in terms]
        changes["terms"] = (*named(recipe).objective.terms, *added)
    return changes


def arguments_of(changes: dict[str, Any], **asked: Any) -> dict[str, Any]:
    """Take from the changes what is an argument of `stylize` too.

    Args:
      changes: Of --set; those that are arguments are taken out.
      **asked: Arguments as options of their own gave them, which come first.

    Returns:
      What the arguments are.
    """
    set_ = {name: changes.pop(name, None) for name in asked}
    if isinstance(set_.get("weights"), tuple):
        set_["weights"] = next(iter(set_["weights"]), None)
    return {k: set_[k] if v is None else v for k, v in asked.items()}


def transfer(
    content: str | None,
    styles: Sequence[str],
    shape: str | None,
    *,
    output: str,
    recipe: str | None = None,
    like: str | None = None,
    size_px: int | None = None,
    steps: int | None = None,
    seed: int | None = None,
    init: str | None = None,
    tile_px: str | None = None,
    blend: str | None = None,
    settings: Sequence[str] = (),
    terms: Sequence[str] = (),
    history: str | None = None,
    plot: str | None = None,
    save_every: int = 0,
    weights: str | None = None,
    devices: str | None = None,
    coordinator: str | None = None,
    processes: int | None = None,
    process_id: int | None = None,
    overwrite: bool = False,
    force: bool = False,
) -> int:
    """Check everything, run, and write what was asked for."""
    team = team_of(coordinator, processes, process_id)
    outputs = Outputs(output, history, plot, save_every, overwrite)
    if not process_id:  # the first writes, and may have begun to
        check_outputs(outputs)
    from jnst.drivers.transfer import stylize as run
    from jnst.program import keep_programs

    base = chosen_recipe(recipe, like)
    tiles = () if tile_px is None else (f"tile_px={tile_px}",)
    changes = all_changes(base, (*settings, *tiles), terms)
    given = arguments_of(
        changes, steps=steps, init=init, seed=seed, size_px=size_px, weights=weights
    )
    keep_programs()

    def both(reporter: Any) -> None:
        result = run(
            content,
            list(styles),
            base,
            **given,
            on_progress=reporter.update,
            on_start=reporter.start,
            blend=_parse_blend(blend),
            shape=_parse_shape(shape),
            save_every=save_every,
            force=force,
            devices=devices,
            **changes,
        )
        reporter.finish(result)

    return together(team, outputs, both)
