"""The grid that pooling leaves in smooth areas, with and without shifts of the steps.

Grey levels are cut into blocks of 16 x 16 pixels, overlapping by half, windowed.
A block's grid energy is the power of its spectrum near the Nyquist frequency along an
axis: lines and dots a pixel wide, which strokes of a brush seldom make. The figure is
the first quartile over the blocks, that is of the smooth areas, over the style's.

    python benchmarks/grid_energy.py CONTENT STYLE --size 256 --json OUT.json
"""

import argparse

import numpy as np

import jnst
from jnst.drivers.record import device, versions
from jnst.files import write_json
from jnst.image import load_image, resize_image, save_image
from jnst.image.sizes import fit_shape

BLOCK = 16
NEAR = 0.4375
"""Cycles a pixel above which a frequency counts as near Nyquist's, a half."""
ALONG = 0.0625
"""Cycles a pixel up to which it counts as along the other axis."""
GREY = np.array([0.299, 0.587, 0.114])


def blocks(image):
    """Cut grey levels of an image [H, W, 3] into blocks, less their means."""
    grey = np.asarray(image, np.float64) @ GREY
    views = np.lib.stride_tricks.sliding_window_view(grey, (BLOCK, BLOCK))
    found = views[:: BLOCK // 2, :: BLOCK // 2].reshape(-1, BLOCK, BLOCK)
    return found - found.mean(axis=(1, 2), keepdims=True)


def energies(image):
    """Return the blocks' energy near Nyquist's frequency: in all, along the axes."""
    window = np.hanning(BLOCK + 2)[1:-1]
    power = np.abs(np.fft.fft2(blocks(image) * np.outer(window, window))) ** 2
    rows, columns = np.meshgrid(*[np.abs(np.fft.fftfreq(BLOCK))] * 2, indexing="ij")
    near = np.maximum(rows, columns) >= NEAR
    along = near & (np.minimum(rows, columns) <= ALONG)
    return power[:, near].sum(axis=1), power[:, along].sum(axis=1)


def figures(image, style):
    """First quartiles of an image's energies, over the style's."""
    ours, theirs = energies(image), energies(style)
    pairs = zip(("near_nyquist", "along_axes"), ours, theirs, strict=True)
    return {k: float(np.quantile(a, 0.25) / np.quantile(b, 0.25)) for k, a, b in pairs}


def main():
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("content")
    parser.add_argument("style")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--shifts", type=int, nargs="*", default=[0, 8])
    parser.add_argument("--json", required=True)
    parser.add_argument("--pictures", help="folder for them")
    options = parser.parse_args()
    style = load_image(options.style)
    style = resize_image(style, fit_shape(style.shape[:2], options.size, side="longer"))
    size = {"size_px": options.size, "weights": jnst.load_weights("vgg19")}
    judge = jnst.make_objective(options.content, options.style, shift_px=0, **size)
    rows = []
    for shift_px in options.shifts:
        given = {"shift_px": shift_px, **size}
        result = jnst.stylize(options.content, options.style, **given)
        loss = float(judge(result.image))
        row = {"shift_px": shift_px, "seconds": result.seconds, "loss": loss}
        rows.append(row | figures(result.image, style))
        print(rows[-1], flush=True)
        if options.pictures:
            save_image(f"{options.pictures}/shift_{shift_px}.png", result.image)
    about = {"size_px": options.size, "device": device(), "versions": versions()}
    write_json(options.json, {**about, "rows": rows})


if __name__ == "__main__":
    main()
