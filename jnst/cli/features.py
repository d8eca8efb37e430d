"""`jnst features`: what the network sees in a picture, as two pictures."""

from pathlib import Path

import click

DEFAULT_LAYERS = "relu1_1,relu2_1,relu3_1,relu4_1,relu5_1"


@click.command()
@click.argument("image", type=click.Path())
@click.option("-o", "--output", required=True, type=click.Path(), help="Folder.")
@click.option("--layers", default=DEFAULT_LAYERS, show_default=True, help="Layers.")
@click.option("--size", "size_px", type=click.IntRange(1), help="Longer side, pixels.")
@click.option("--pooling", default="max", show_default=True, help="max, average, l2.")
@click.option("--weights", help="Name or path of a weights file.")
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
def features(
    image: str,
    output: str,
    layers: str,
    size_px: int | None,
    pooling: str,
    weights: str | None,
    overwrite: bool,
) -> None:
    """Draw feature maps of IMAGE (features.png) and Gram matrices (gram.png).

    Each row of features.png shows a layer's strongest maps.
    """
    import numpy as np

    from jnst.drivers.objectives import features as compute
    from jnst.drivers.sources import as_array
    from jnst.files import check_output
    from jnst.image import fit_shape, resize_image
    from jnst.losses.gram import gram_matrix
    from jnst.network.layers import backbone_of, canonical_layer
    from jnst.plots import check_matplotlib, plot_features, plot_gram
    from jnst.weights import load_weights

    check_matplotlib()
    folder = Path(output)
    paths = [folder / "features.png", folder / "gram.png"]
    if folder.exists():
        for path in paths:
            check_output(path, overwrite=overwrite)
    pixels = as_array("image", image)
    if size_px:
        shape = pixels.shape[0], pixels.shape[1]
        pixels = resize_image(pixels, fit_shape(shape, size_px))
    names = [name.strip() for name in layers.split(",") if name.strip()]
    params = load_weights(weights)
    for name in names:
        canonical_layer(name, backbone_of(params))
    click.echo(f"computing {len(names)} layers", err=True)
    found = compute(pixels, names, params, pooling)
    folder.mkdir(parents=True, exist_ok=True)
    plot_features(paths[0], {k: np.asarray(v[0], np.float32) for k, v in found.items()})
    plot_gram(paths[1], {k: np.asarray(gram_matrix(v)) for k, v in found.items()})
    for path in paths:
        click.echo(path)
