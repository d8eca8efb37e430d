"""`jnst sweep`: a grid of settings on one pair of pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from jnst.cli.own import losses_from, optimizer_from
from jnst.cli.progress import new_bar
from jnst.cli.reading import all_changes, arguments_of, listed

LONGEST_TABLE = 40


@click.command()
@click.argument("content", type=click.Path())
@click.argument("style", type=click.Path())
@click.option("-o", "--output", required=True, type=click.Path(), help="Folder.")
@click.option(
    "--grid",
    "grids",
    multiple=True,
    metavar="FIELD=V,V,...",
    help="Values of a field; all combinations are run. Semicolons go between values "
    "that have commas: 'style_layers=relu1_1,relu2_1;relu3_1'.",
)
@click.option("--seeds", type=int, default=1, help="Seeds of each combination.")
@click.option("--recipe", default="jnst", show_default=True, help="See `recipes`.")
@click.option("--size", "size_px", type=int, help="Size in pixels.")
@click.option("--steps", type=int, help="Steps of each member.")
@click.option("--seed", type=int, help="First seed; the recipe's, 0, if absent.")
@click.option("--init", help="First image: content, noise, ..., or a file.")
@click.option(
    "--set", "settings", multiple=True, metavar="FIELD=VALUE", help="Any field."
)
@click.option(
    "--term",
    "terms",
    multiple=True,
    metavar="'NAME: LOSS, FIELD=VALUE, ...'",
    help="Add a term to all members, as in `stylize`.",
)
@click.option("--metrics", help="Such as ssim,gram; 'none' for none.")
@click.option("--at-once", type=int, help="Members side by side, at most.")
@click.option(
    "--devices", metavar="N|NxR", help="N members on devices of their own, R rows each."
)
@click.option("--weights", help="Name or path of a weights file.")
@click.option("--overwrite", is_flag=True, help="Begin again in a folder of a sweep.")
@losses_from
@optimizer_from
def sweep(
    content: str,
    style: str,
    output: str,
    grids: Sequence[str],
    settings: Sequence[str],
    terms: Sequence[str],
    metrics: str | None,
    **options: Any,
) -> None:
    """Stylise CONTENT by STYLE with all combinations of a grid's values.

    Writes members/000.png and so on, sheet.png with all of them in place, curves.png,
    table.csv, table.tex and sweep.json. Stopped and called again with the same
    arguments it goes on at the first member that has not ended.
    """
    from jnst.program import keep_programs
    from jnst.sweeping.driver import sweep as run
    from jnst.sweeping.grid import parse_grid

    changes = all_changes(options["recipe"], settings, terms)
    names = ("size_px", "steps", "seed", "init", "weights")
    asked = {name: options.pop(name) for name in names}
    given = arguments_of(changes, **asked)
    grid = parse_grid(grids)
    if metrics is not None:
        chosen = listed(metrics)
        options["metrics"] = [] if chosen == ["none"] else chosen
    keep_programs()
    folder = Path(output)
    bar = _Bar()
    try:
        records = run(
            content,
            style,
            grid=grid,
            folder=folder,
            on_progress=bar.show,
            **options,
            **given,
            **changes,
        )
    except KeyboardInterrupt:
        bar.close()
        click.echo(bar.kept(folder), err=True)
        raise
    bar.close()
    _finish(folder, records, list(grid))


class _Bar:
    """A progress bar on standard error: the share of all steps, and members done."""

    def __init__(self) -> None:
        self.bar: Any = None
        self.latest: Any = None

    def show(self, progress: Any) -> None:
        """Show how far a sweep is; the first call makes the bar."""
        self.latest = progress
        if self.bar is None:
            self.bar = _new_bar(progress)
        idle = ", preparing" if progress.done < progress.members else ""
        where = f" ({progress.running[0]})" if progress.running else idle
        more = f", {len(progress.running)} at once" if progress.running[1:] else ""
        words = f"{progress.done} of {progress.members} members done{where}{more}"
        self.bar.set_description_str(words, refresh=False)
        self.bar.update(100 * progress.share - self.bar.n)

    def close(self) -> None:
        """Leave the bar as it is."""
        if self.bar is not None:
            self.bar.close()

    def kept(self, folder: Path) -> str:
        """Say what an interrupted sweep leaves."""
        if self.latest is None:
            return "nothing was run"
        done = f"{self.latest.done} of {self.latest.members} members"
        return f"{done} are kept in {folder}; the same command goes on with the others"


def _new_bar(progress: Any) -> Any:
    if progress.done:
        click.echo(
            f"{progress.done} of {progress.members} members are there already", err=True
        )
    return new_bar(
        total=100,
        initial=100 * progress.share,
        bar_format="{desc}: {percentage:3.0f}%|{bar}| [{elapsed}<{remaining}]",
        smoothing=0.0,
        delay=0,  # the grid was checked before the first call
    )


def _finish(
    folder: Path, records: Sequence[dict[str, Any]], fields: Sequence[str]
) -> None:
    """Print the table, what stopped members, and the files."""
    from tabulate import tabulate

    from jnst.sweeping.folder import OUTPUTS
    from jnst.sweeping.grid import label, labels
    from jnst.sweeping.table import columns_of

    hidden = {"width", "height", "compile_seconds", "error"}
    hidden |= {name for name in columns_of(records) if name.startswith("loss_")}
    names = [name for name in columns_of(records) if name not in hidden]
    rows = [
        [r.get(name, "") if name not in fields else label(r[name]) for name in names]
        for r in records[:LONGEST_TABLE]
    ]
    click.echo(tabulate(rows, headers=names, floatfmt=".4g"))
    if len(records) > LONGEST_TABLE:
        click.echo(f"... {len(records) - LONGEST_TABLE} more in table.csv")
    stopped = [record for record in records if record["error"]]
    for record in stopped:
        point = {name: record[name] for name in fields}
        click.echo(f"stopped: {labels(point)}: {record['error']}", err=True)
    for name in OUTPUTS:
        if (folder / name).exists():
            click.echo(folder / name)
    if len(stopped) == len(records):
        raise FloatingPointError("no member of the sweep has ended well")
