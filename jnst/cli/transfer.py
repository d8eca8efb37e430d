"""`jnst stylize` and `jnst texture`: one way through options, progress and files."""

import math
from collections.abc import Sequence
from typing import Any

import click

from jnst.cli.keeping import look, make_keeper, may_replace, steps_before
from jnst.cli.processes import team_of, together
from jnst.cli.progress import watchers_of
from jnst.cli.reading import (
    all_changes,
    arguments_of,
    chosen_recipe,
    parse_blend,
    parse_shape,
)
from jnst.cli.run_options import (
    Outputs,
    check_outputs,
    run_options,
    saved_on_the_way,
)
from jnst.cli.stopping import at_events, check
from jnst.cli.transparent import alpha_option
from jnst.cli.watching import Watching
from jnst.files import check_apart


@click.command()
@click.argument("content", type=click.Path())
@click.argument("styles", type=click.Path(), nargs=-1, required=True)
@alpha_option
@run_options
def stylize(content: str, styles: tuple[str, ...], alpha: str, **options: Any) -> int:
    """Give the picture CONTENT the style of the picture STYLE, or of several."""
    kept = content if alpha == "keep" else None
    return transfer(content, styles, None, alpha=kept, **options)


@click.command()
@click.argument("styles", type=click.Path(), nargs=-1, required=True)
@click.option("--shape", metavar="HxW", help="Height and width in pixels.")
@run_options
def texture(styles: tuple[str, ...], shape: str | None, **options: Any) -> int:
    """Make a new texture like the picture STYLE, or like several."""
    return transfer(None, styles, shape, **options)


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
    strip_metadata: bool = False,
    overwrite: bool = False,
    force: bool = False,
    alpha: str | None = None,
    checkpoint_every: float = 0.0,
    restart: bool = False,
    **watching: Any,
) -> int:
    """Check everything, run, and write what was asked for."""
    team = team_of(coordinator, processes, process_id)
    found = look(output, restart=restart) if team is None else None
    watch = Watching(**watching, after=steps_before(found))
    shown = watch, alpha, not strip_metadata
    outputs = Outputs(output, history, plot, save_every, overwrite, *shown)
    if found or restart:
        there = [output, history, plot, *saved_on_the_way(outputs)]
        may = may_replace(output, there, overwrite=overwrite)
        outputs = outputs._replace(overwrite=may)
    if not process_id:  # the first writes, and may have begun to
        outputs = check_outputs(outputs)
        check_apart([output, history, plot, watch.animation], [content, *styles])
    from jnst.drivers.transfer import stylize as run
    from jnst.program import keep_programs

    base = chosen_recipe(recipe, like)
    tiles = () if tile_px is None else (f"tile_px={tile_px}",)
    changes = all_changes(base, (*settings, *tiles), terms)
    given = arguments_of(
        changes, steps=steps, init=init, seed=seed, size_px=size_px, weights=weights
    )
    keep_programs()

    if team is None:
        how = {"every_s": checkpoint_every, "restart": restart, "found": found}
        outputs = outputs._replace(keeper=make_keeper(output, **how))

    def kept(shows: Any) -> None:
        with outputs.keeper as keeper:
            with at_events(keeper.is_between):
                both(shows, keeper)
            keeper.done()

    def both(shows: Any, keeper: Any = None) -> None:
        def heard(progress: Any) -> None:
            shows.update(progress)
            check(last=progress.step == progress.steps)

        result = run(
            content,
            list(styles),
            base,
            **given,
            on_progress=heard,
            on_start=shows.start,
            blend=parse_blend(blend),
            shape=parse_shape(shape),
            save_every=math.gcd(save_every, watch.frames_every or 0),
            force=force,
            devices=devices,
            keeper=keeper,
            **changes,
        )
        shows.finish(result)

    return together(team, lambda: watchers_of(outputs), kept if team is None else both)
