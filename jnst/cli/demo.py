"""`jnst demo`: a first picture from the pair that ships inside the package."""

import importlib.resources
import itertools
from pathlib import Path

import click

DEMO_SIZE_PX = 256


def _free_folder(name: str) -> Path:
    """Return the folder `name`, or with the first number that is not taken."""
    names = itertools.chain([name], (f"{name}-{n}" for n in itertools.count(2)))
    return next(Path(each) for each in names if not Path(each).exists())


@click.command()
@click.option("-o", "--output", type=click.Path(), help="Folder; jnst-demo if absent.")
@click.option("--size", "size_px", type=int, default=DEMO_SIZE_PX, show_default=True)
@click.option("--steps", type=int, help="Steps in all sizes together.")
@click.option("--weights", help="Name or path of a weights file.")
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
def demo(
    output: str | None,
    size_px: int,
    steps: int | None,
    weights: str | None,
    overwrite: bool,
) -> None:
    """Stylise the picture pair that jnst brings along, into a folder it names."""
    from jnst.cli.transfer import transfer
    from jnst.plots import check_matplotlib

    folder = Path(output) if output else _free_folder("jnst-demo")
    plot: str | None = str(folder / "loss.png")
    try:
        check_matplotlib()
    except ValueError as missing:
        click.echo(f"no plot of the loss: {missing}", err=True)
        plot = None
    folder.mkdir(parents=True, exist_ok=True)
    with importlib.resources.as_file(importlib.resources.files("jnst.data")) as data:
        transfer(
            str(data / "demo_content.jpg"),
            [str(data / "demo_style.jpg")],
            None,
            output=str(folder / "picture.png"),
            size_px=size_px,
            steps=steps,
            history=str(folder / "history.json"),
            plot=plot,
            weights=weights,
            overwrite=overwrite,
        )
