"""`jnst compare`: style losses side by side, as pictures, a table and JSON."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from jnst.cli.own import losses_from, optimizer_from
from jnst.cli.transfer import arguments_of

SIZE_PX = 192


@click.command()
@click.argument("content", type=click.Path())
@click.argument("style", type=click.Path())
@click.option("-o", "--output", required=True, type=click.Path(), help="Folder.")
@click.option(
    "--losses", "names", help="Style losses, such as gram,nnfm; all if absent."
)
@click.option("--recipe", default="jnst", show_default=True, help="See `recipes`.")
@click.option(
    "--size", "size_px", type=int, help=f"Size in pixels; {SIZE_PX} if absent."
)
@click.option("--steps", type=int, help="Steps in all sizes together.")
@click.option("--seed", type=int, help="Seed; the recipe's, 0, if absent.")
@click.option(
    "--set", "settings", multiple=True, metavar="FIELD=VALUE", help="Any field."
)
@click.option("--weights", help="Name or path of a weights file.")
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
@losses_from
@optimizer_from
def compare(
    content: str,
    style: str,
    output: str,
    names: str | None,
    settings: Sequence[str],
    weights: str | None,
    overwrite: bool,
    **options: Any,
) -> None:
    """Stylise CONTENT by STYLE with each style loss, and compare.

    Writes a picture a loss, sheet.png with all of them and compare.json. The columns
    gram and sliced_wasserstein measure every picture alike: 1 for the photograph as it
    was, 0 for the style itself.
    """
    from tqdm import tqdm

    from jnst.base import check_one_of
    from jnst.drivers.compare import YARDSTICKS, Row
    from jnst.drivers.compare import compare as run
    from jnst.files import check_output
    from jnst.losses import STYLE_LOSSES
    from jnst.plots import check_matplotlib
    from jnst.program import keep_programs
    from jnst.recipes.settings import parse_setting
    from jnst.weights import load_described

    chosen = [n.strip() for n in names.split(",")] if names else list(STYLE_LOSSES)
    for name in chosen:
        check_one_of("style loss", name, STYLE_LOSSES)
    folder = Path(output)
    check_matplotlib()
    if folder.exists():
        for name in ["sheet.png", "compare.json", *(f"{n}.png" for n in chosen)]:
            check_output(folder / name, overwrite=overwrite)
    keep_programs()
    changes = dict(parse_setting(text) for text in settings)
    asked = {name: options.pop(name) for name in ("size_px", "steps", "seed")}
    given = arguments_of(changes, **asked, weights=weights)
    given["size_px"] = SIZE_PX if given["size_px"] is None else given["size_px"]
    given["weights"], known = load_described(given["weights"])
    bar = tqdm(total=len(chosen), unit="loss", desc=chosen[0], delay=1)

    def show(row: Row) -> None:
        bar.update()
        bar.set_description_str(chosen[min(bar.n, len(chosen) - 1)])

    options |= given
    rows = run(content, style, names=chosen, on_row=show, **options, **changes)
    bar.close()
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder, rows, YARDSTICKS, content, style)
    del options["weights"]
    about = {"options": options, "settings": list(settings), "weights": known}
    _write_json(folder / "compare.json", rows, about)
    for path in (folder / "sheet.png", folder / "compare.json"):
        click.echo(path)


def _write(
    folder: Path,
    rows: Sequence[Any],
    yardsticks: Sequence[str],
    content: str,
    style: str,
) -> None:
    """Write a picture a row and the sheet, and print the table."""
    from tabulate import tabulate

    from jnst.image import load_image, resize_image, save_image
    from jnst.plots import plot_sheet

    shape = (rows[0].image.shape[0], rows[0].image.shape[1])
    sheet = {
        "content": resize_image(load_image(content), shape),
        "style": resize_image(load_image(style), shape),
    }
    for row in rows:
        save_image(folder / f"{row.name}.png", row.image)
        sheet[row.name + (" (stopped)" if row.error else "")] = row.image
    plot_sheet(folder / "sheet.png", sheet, columns=math.ceil(math.sqrt(len(sheet))))
    table = [
        {
            "loss": row.name,
            "seconds": row.seconds,
            "first": row.first,
            "last": row.last,
            **{name: row.yardsticks[name] for name in yardsticks},
            "stopped by": row.error[:40],
        }
        for row in rows
    ]
    click.echo(tabulate(table, headers="keys", floatfmt=".4g"))


def _write_json(path: Path, rows: Sequence[Any], about: dict[str, Any]) -> None:
    from jnst.drivers.record import device, versions
    from jnst.files import write_json

    tables = [
        {key: value for key, value in row._asdict().items() if key != "image"}
        for row in rows
    ]
    document = {**about, "device": device(), "versions": versions(), "rows": tables}
    write_json(path, document)
