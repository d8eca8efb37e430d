"""`jnst compare`: style losses side by side, the study of one pair."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from jnst.cli.own import losses_from, optimizer_from
from jnst.cli.reading import arguments_of, listed
from jnst.cli.study import progress, tell_failed

SIZE_PX = 192
METRICS = "ssim,cfsd,histogram,gram,sliced_wasserstein"


@click.command()
@click.argument("content", type=click.Path())
@click.argument("style", type=click.Path())
@click.option("-o", "--output", required=True, type=click.Path(), help="Folder.")
@click.option("--losses", help="Style losses, such as gram,nnfm; all if absent.")
@click.option("--recipe", default="jnst", show_default=True, help="See `recipes`.")
@click.option(
    "--size", "size_px", type=int, help=f"Longer side in pixels; {SIZE_PX} if absent."
)
@click.option("--steps", type=int, help="Steps in all sizes together.")
@click.option("--seed", type=int, help="Seed; the recipe's, 0, if absent.")
@click.option(
    "--set", "settings", multiple=True, metavar="FIELD=VALUE", help="Any field."
)
@click.option("--metrics", default=METRICS, show_default=True, help="Judges.")
@click.option("--weights", help="Name or path of a weights file.")
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
@losses_from
@optimizer_from
def compare(
    content: str,
    style: str,
    output: str,
    losses: str | None,
    recipe: str,
    settings: Sequence[str],
    metrics: str,
    overwrite: bool,
    **options: Any,
) -> int:
    """Stylise CONTENT by STYLE with each style loss, and compare.

    The study of one pair, whose methods are losses weighed by style_weight=balance.
    Writes a picture a loss, sheet.png with all of them and compare.json.
    """
    from jnst.files import check_output
    from jnst.losses import STYLE_LOSSES
    from jnst.plots import check_matplotlib
    from jnst.program import keep_programs
    from jnst.recipes.settings import parse_setting
    from jnst.studying.driver import study
    from jnst.studying.methods import make_methods, of_losses

    names = listed(losses) or list(STYLE_LOSSES)
    methods = make_methods(of_losses(names, recipe=recipe))
    folder = Path(output)
    check_matplotlib()
    if folder.exists():
        for name in ["sheet.png", "compare.json", *(f"{m.name}.png" for m in methods)]:
            check_output(folder / name, overwrite=overwrite)
    keep_programs()
    changes = dict(parse_setting(text) for text in settings)
    given = {"size_px": SIZE_PX} | {
        k: v for k, v in arguments_of(changes, **options).items() if v is not None
    }
    with progress(None) as bar:
        found = study(
            {"content": content},
            {"style": style},
            methods,
            metrics=listed(metrics),
            on_progress=bar.update,
            **given,
            **changes,
        )
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder, found, content, style)
    return tell_failed(found.records)


def _write(folder: Path, found: Any, content: str, style: str) -> None:
    """Write pictures, the sheet and the record, and print the table."""
    from jnst.files import write_json
    from jnst.image import load_image, resize_image, save_image
    from jnst.plots import plot_sheet

    shape = found.records[0]["height"], found.records[0]["width"]
    sheet = {
        "content": resize_image(load_image(content), shape),
        "style": resize_image(load_image(style), shape),
    }
    for record in found.records:
        image, name = found.images[record["name"]], record["method"]
        save_image(folder / f"{name}.png", image)
        sheet[name + (" (stopped)" if record["error"] else "")] = image
    plot_sheet(folder / "sheet.png", sheet, columns=math.ceil(math.sqrt(len(sheet))))
    write_json(folder / "compare.json", found.about)
    click.echo(_table(found))
    for name in ("sheet.png", "compare.json"):
        click.echo(folder / name)


def _table(found: Any) -> str:
    """Return the table: a row a loss, and the content as it was."""
    from tabulate import tabulate

    metrics = found.about["judges"]["metrics"]
    heads = {name: f"{name} {row['better']}" for name, row in metrics.items()}
    rows = [{"loss": "content as it was"} | _judged(found.baseline[0], heads)]
    rows += [
        {
            "loss": record["method"],
            "seconds": record["seconds"],
            "first": record["style_first"],
            "last": record["style_last"],
            **_judged(record, heads),
            "stopped by": record["error"][:40],
        }
        for record in found.records
    ]
    return tabulate(rows, headers="keys", floatfmt=".4g")


def _judged(record: dict[str, Any], heads: dict[str, str]) -> dict[str, Any]:
    return {head: record.get(name) for name, head in heads.items()}
