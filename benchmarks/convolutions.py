"""Time XLA's convolution beside both of Winograd's, forward and backward.

Each layer of VGG19 is timed at the sizes it has in images of several sizes, in turn,
medians: what `LEAST_CHANNELS` and `SMALL_TILES_FROM` of `jnst.network.convolution`
come from.

    python benchmarks/convolutions.py --sizes 64,128,256 --json OUT.json
"""

import argparse
import functools
import time

import jax
import jax.numpy as jnp
import numpy as np

from jnst.drivers.record import device, versions
from jnst.files import write_json
from jnst.network.convolution import WINOGRAD, convolve
from jnst.network.winograd import POINTS, transformed_kernel
from jnst.program import compiler_options

LAYERS = {  # one of each shape: halvings of the image, input and output channels
    "conv1_2": (0, 64, 64),
    "conv2_1": (1, 64, 128),
    "conv2_2": (1, 128, 128),
    "conv3_1": (2, 128, 256),
    "conv3_2": (2, 256, 256),
    "conv4_1": (3, 256, 512),
    "conv4_2": (3, 512, 512),
    "conv5_1": (4, 512, 512),
}


@functools.partial(jax.jit, compiler_options=compiler_options())
def both_ways(maps, layer):
    """Convolve, and take the gradient of a sum of squares, ReLU and all."""

    def energy(x):
        found = convolve(x, layer, padding="constant", rectify=True)
        return jnp.sum(found**2)

    return jax.grad(energy)(maps)


def measure(size, name, repeats):
    """Time one layer in every way, in turn; a row comes of it."""
    halvings, inputs, outputs = LAYERS[name]
    side = size >> halvings
    rng = np.random.default_rng(0)
    maps = jnp.asarray(rng.random((1, side, side, inputs)), jnp.float32)
    kernel = jnp.asarray(rng.normal(0, 0.05, (3, 3, inputs, outputs)), jnp.float32)
    xla = {"kernel": kernel, "bias": jnp.zeros(outputs)}
    kernels = {f"tiles_of_{n}": transformed_kernel(kernel, n) for n in POINTS}
    layers = {"xla": xla} | {k: xla | {WINOGRAD: v} for k, v in kernels.items()}
    times = {way: [] for way in layers}
    for turn in range(repeats + 2):
        for way, layer in layers.items():
            start = time.perf_counter()
            both_ways(maps, layer).block_until_ready()
            if turn >= 2:  # the first compile, and warm up
                times[way].append(1e3 * (time.perf_counter() - start))
    row = {"size_px": size, "layer": name, "side": side, "repeats": repeats}
    row |= {f"{way}_ms": float(np.median(found)) for way, found in times.items()}
    for way in kernels:
        ratio = float(np.median(np.divide(times[way], times["xla"])))
        row[f"{way}_ratio"] = ratio
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="64,128,256")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--json")
    options = parser.parse_args()
    rows = []
    for size in map(int, options.sizes.split(",")):
        for name in LAYERS:
            rows.append(measure(size, name, options.repeats))
            print(rows[-1], flush=True)
    if options.json:
        about = {"device": device(), "versions": versions()}
        write_json(options.json, about | {"rows": rows})


if __name__ == "__main__":
    main()
