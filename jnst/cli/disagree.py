"""`jnst disagree`: pictures on which one loss stays and another changes."""

import contextlib
import importlib.resources
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jnst.cli.own import losses_from
from jnst.cli.progress import new_bar
from jnst.cli.reading import arguments_of, listed
from jnst.cli.run_options import check_plot_and_json

if TYPE_CHECKING:
    from jnst.drivers.disagreement import Disagreement, Moment


@click.command()
@click.argument("loss_a")
@click.argument("loss_b")
@click.option(
    "--picture", type=click.Path(), help="Picture; the demo's painting if absent."
)
@click.option("-o", "--output", required=True, type=click.Path(), help="Sheet, .png.")
@click.option(
    "--json", "json_file", type=click.Path(), help="Curves, drifts, versions, .json."
)
@click.option("--recipe", default="jnst", show_default=True, help="See `recipes`.")
@click.option("--size", "size_px", type=int, help="Longer side in pixels; 128.")
@click.option("--steps", type=int, help="Steps of each of the four runs; 60.")
@click.option("--sigma", type=float, help="Noise at the start; 0.1 of white.")
@click.option("--layers", help="Layers of both losses, such as relu1_1,relu3_1.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="FIELD=VALUE",
    help="A field: a_layers, b_options, pooling, ...",
)
@click.option("--seed", type=int, help="Seed of the noise and of draws; 0.")
@click.option("--weights", help="Name or path of a weights file.")
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
@losses_from
def disagree(
    loss_a: str,
    loss_b: str,
    picture: str | None,
    output: str,
    json_file: str | None,
    layers: str | None,
    settings: Sequence[str],
    overwrite: bool,
    **options: Any,
) -> int:
    """Show what LOSS_A sees and LOSS_B does not, and the other way round.

    Four pictures from one: LOSS_A is held while LOSS_B is lowered and raised, then
    LOSS_B is held. A loss is any of `jnst losses`, against the picture, or a metric of
    pictures such as ssim. In --set, a_layers=image gives LOSS_A the pixels themselves.
    """
    check_plot_and_json(output, json_file, overwrite=overwrite)
    from jnst.drivers.disagree import disagree as run
    from jnst.drivers.disagreement import document
    from jnst.files import write_json
    from jnst.plots_disagree import plot_disagreement
    from jnst.program import keep_programs
    from jnst.recipes.settings import parse_setting

    keep_programs()
    changes = dict(parse_setting(text) for text in settings)
    asked = {k: options.pop(k) for k in ("size_px", "steps", "seed", "weights")}
    asked = arguments_of(changes, **asked) | options
    given = {k: v for k, v in asked.items() if v is not None}
    if layers is not None:
        given["layers"] = listed(layers)
    with _picture(picture) as path, _Bar() as bar:
        result = run(loss_a, loss_b, path, on_step=bar.update, **given, **changes)
    plot_disagreement(output, result)
    if json_file:
        about = {"picture": Path(path).name, "settings": list(settings), **given}
        write_json(json_file, {"options": about, **document(result)})
    return _tell(result, [name for name in (output, json_file) if name])


@contextlib.contextmanager
def _picture(path: str | None) -> Iterator[str]:
    """Yield the path of a picture: the demo's painting where none is given."""
    if path is not None:
        yield path
        return
    data = importlib.resources.files("jnst.data")
    with importlib.resources.as_file(data / "demo_style.jpg") as demo:
        yield str(demo)


class _Bar:
    """A progress bar on standard error over all four runs."""

    def __enter__(self) -> "_Bar":
        self.bar = new_bar(desc="compiling", unit="step")
        return self

    def update(self, moment: "Moment") -> None:
        """Show where a run is."""
        self.bar.total = 4 * moment.steps
        text = f"{moment.held} held, {moment.moved} {moment.direction}"
        self.bar.set_description_str(text, refresh=False)
        drift = f"{100 * (moment.held_loss - 1):+.2f} %"
        self.bar.set_postfix(
            moved=f"{moment.moved_loss:.3g}", drift=drift, refresh=False
        )
        self.bar.update(moment.number * moment.steps + moment.step - self.bar.n)

    def __exit__(self, *error: object) -> None:
        self.bar.close()


def _tell(result: "Disagreement", written: Sequence[str]) -> int:
    """Print the table and what was written; return the exit code."""
    from tabulate import tabulate

    from jnst.cli.main import fail

    table = [
        {
            "held": run.held,
            "moved": f"{run.moved} {run.direction}",
            "to": run.moved_loss,
            "drift %": run.drift_percent,
            "by another draw %": run.redrawn_percent,
        }
        for run in result.runs
    ]
    click.echo(tabulate(table, headers="keys", floatfmt=".3g"))
    for name in written:
        click.echo(name)
    click.echo(
        f"{result.seconds:.1f} s in the runs, {result.compile_seconds:.1f} s compiling",
        err=True,
    )
    errors = [run.error for run in result.runs if run.error]
    if not errors:
        return 0
    more = len(errors) - 1
    return fail(errors[0] + (f"; and so for {more} more" if more else ""), 1)
