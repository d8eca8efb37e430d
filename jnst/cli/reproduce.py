"""`jnst reproduce`: a picture made again from what it carries, and compared."""

import os
from typing import Any

import click

from jnst.cli.own import losses_from, optimizer_from


@click.command()
@click.argument("picture", type=click.Path())
@click.option(
    "--inputs",
    type=click.Path(),
    metavar="DIR",
    help="Search this folder, and those in it, for the pictures it was made of.",
)
@click.option(
    "--record",
    type=click.Path(),
    metavar="FILE.json",
    help="The file of --history, for a picture that carries no recipe.",
)
@click.option("-o", "--output", type=click.Path(), help="Keep the picture made again.")
@click.option("--weights", help="Name or path of weights to take instead.")
@click.option("--overwrite", is_flag=True, help="Replace a file that exists.")
@click.option("--force", is_flag=True, help="Try what cannot fit the memory.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@losses_from
@optimizer_from
def reproduce(
    picture: str,
    inputs: str | None,
    record: str | None,
    output: str | None,
    weights: str | None,
    overwrite: bool,
    force: bool,
    as_json: bool,
) -> int:
    """Make PICTURE again from the recipe it carries, and tell how equal the two are.

    PICTURE is a PNG that jnst wrote, or the JSON of --history, whose losses are then
    compared. The pictures it was made of are found by their SHA-256: by name, in the
    folder of PICTURE, then in --inputs. The exit code is 0 if all is equal bit for
    bit, 1 if not.
    """
    _check_output(picture, output, overwrite=overwrite)
    from jnst.files import json_text
    from jnst.keep.reproduce import compare, prepare, report
    from jnst.program import keep_programs

    keep_programs()
    ready = _found(prepare, picture, record=record, inputs=inputs, weights=weights)
    result = _run(ready, force=force)
    difference = compare(picture, result)
    if output:
        result.save(output)
    found = report(picture, ready, result, difference)
    if as_json:
        click.echo(json_text(found))
    else:
        show(found)
    return 0 if difference.equal else 1


def _check_output(picture: str, output: str | None, *, overwrite: bool) -> None:
    from jnst.files import check_output
    from jnst.image import IMAGE_SUFFIXES

    if output is None:
        return
    if os.path.exists(output) and os.path.exists(picture):
        if os.path.samefile(output, picture):
            raise ValueError(f"output {output!r} is the picture itself")
    check_output(output, suffixes=IMAGE_SUFFIXES, overwrite=overwrite)


def _found(prepare: Any, picture: str, **given: Any) -> Any:
    """Find what a picture was made of, with a count where that takes long."""
    from jnst.cli.progress import new_bar

    with new_bar(desc="looking for inputs", unit="file", leave=False) as bar:
        return prepare(picture, on_file=bar.update, **given)


def _run(ready: Any, *, force: bool) -> Any:
    """Run it under a progress bar."""
    from jnst.cli.progress import new_bar
    from jnst.keep.reproduce import run_again

    with new_bar(desc="compiling", unit="step") as bar:

        def start(plan: Any) -> None:
            bar.reset(sum(stage.steps for stage in plan.stages))

        def update(progress: Any) -> None:
            height, width = progress.shape
            bar.set_description_str(f"{width}x{height}", refresh=False)
            bar.update(progress.step - bar.n)

        return run_again(ready, on_start=start, on_progress=update, force=force)


def show(found: dict[str, Any]) -> None:
    """Print what was found, in a few lines."""
    for each in found["inputs"]:
        click.echo(f"{each['role']}: {each['path']!r}, sha256 {each['sha256'][:12]}")
    for note in found["notes"]:
        click.echo(note)
    for name, (then, now) in found["differs"].items():
        click.echo(f"{name} was {then!r}, is {now!r}")
    weights = found["weights"]
    if weights["then"] != weights["now"]:
        click.echo(f"weights were {weights['then']!r}, are {weights['now']!r}")
    elif not found["differs"]:
        click.echo("versions, device and weights are the same")
    click.echo(found["text"])
