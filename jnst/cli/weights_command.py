"""`jnst weights`: list, find, fetch, verify and convert network weights.

Results go to standard output, the download's progress to standard error. What is
heavy is imported inside the commands, so that `--help` stays quick.
"""

import json

import click


@click.group(name="weights")
def weights() -> None:
    """Find, fetch, verify and convert network weights."""


@weights.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def list_command(as_json: bool) -> None:
    """List the known weights and where each would be found."""
    from jnst.weights import list_weights

    rows = list_weights()
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    from tabulate import tabulate

    table = [
        {
            "name": row["name"],
            "found": row["found"] or "-",
            "MB": f"{row['size_bytes'] / 1e6:.1f}" if row["size_bytes"] else "-",
            "sha256": (row["sha256"] or "-")[:12],
            "preprocessing": row["preprocessing"],
            "licence": row["licence"],
        }
        for row in rows
    ]
    click.echo(tabulate(table, headers="keys", disable_numparse=True))


@weights.command(name="path")
@click.argument("name", required=False)
def path_command(name: str | None) -> None:
    """Print the file that NAME, or the default, is loaded from.

    It is converted or downloaded first if need be.
    """
    from jnst.weights import find_weights

    click.echo(find_weights(name))


@weights.command(name="fetch")
@click.argument("name", default="vgg19")
def fetch_command(name: str) -> None:
    """Bring the weights NAME (vgg19) into the cache folder."""
    from jnst.weights import fetch_weights

    click.echo(fetch_weights(name))


@weights.command(name="verify")
@click.argument("name_or_path", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def verify_command(name_or_path: str | None, as_json: bool) -> None:
    """Check the numbers of NAME_OR_PATH, or of the default weights."""
    from jnst.weights import find_weights, verify

    report = verify(find_weights(name_or_path))
    if as_json:
        click.echo(json.dumps(report, indent=2))
        return
    from tabulate import tabulate

    from jnst.cli.main import printable

    rows = [(key, printable(value)) for key, value in report.items()]
    click.echo(tabulate(rows, tablefmt="plain", disable_numparse=True))


@weights.command(name="convert")
@click.argument("source")
@click.option("-o", "--output", required=True, help="The .safetensors file to write.")
@click.option("--overwrite", is_flag=True, help="Replace OUTPUT if it is there.")
def convert_command(source: str, output: str, overwrite: bool) -> None:
    """Convert SOURCE, a file or a name, to jnst's own format.

    Reads Keras .h5, .weights.h5 and .keras; PyTorch's state dicts of VGG16 and VGG19,
    of `features` alone or inside a checkpoint (.pth, .pt, .bin, .ckpt, .pth.tar,
    .safetensors); normalised .pth; MatConvNet .mat; and our own .safetensors and
    .npz. VGG with batch normalisation is another network and is refused.
    """
    from jnst.weights import convert_weights

    click.echo(convert_weights(source, output, overwrite=overwrite))
