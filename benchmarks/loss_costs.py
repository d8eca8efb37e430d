"""Time every loss beside the style loss `gram`, in turn, at 256 px.

What is timed is one compiled value and gradient, without the network: of style losses
with respect to the feature maps of the five usual layers, of content losses to relu4_2
(or the image, where that is their layer), of image losses to the image. Writes
`jnst/data/loss_costs.json` (or --json FILE), which `jnst losses` shows. Run it on an
idle machine:

    python benchmarks/loss_costs.py
"""

import argparse
import datetime
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import jnst
from jnst.drivers.record import device, versions
from jnst.files import write_json
from jnst.losses import CONTENT_LOSSES, IMAGE_LOSSES, STYLE_LOSSES
from jnst.losses.rows import with_options
from jnst.objective.fields import VGG_STYLE_LAYERS

DATA = Path(jnst.__file__).parent / "data"
SIZE_PX, REPEATS = 256, 5


def compiled_and_warm(loss, *arguments):
    """Return a function that computes a loss's gradient once, and its memory."""
    program = jax.jit(jax.value_and_grad(loss)).lower(*arguments).compile()
    memory = program.memory_analysis().temp_size_in_bytes

    def run():
        start = time.perf_counter()
        jax.block_until_ready(program(*arguments))
        return time.perf_counter() - start

    run()
    return run, memory


def timed_content(name, image, content):
    row = CONTENT_LOSSES[name]
    key = {"key": jax.random.key(0)} if row.keyed else {}
    distance = with_options(row.distance, key)
    found = [image, content]
    if name != "laplacian":
        found = [jnst.features(np.asarray(x[0]), ["relu4_2"])["relu4_2"] for x in found]
    target = row.target(found[1], found[0])
    return compiled_and_warm(distance, found[0], target)


def timed_image(name, image, content):
    row = IMAGE_LOSSES[name]
    constants = [jax.jit(row.constants)(content)] if row.constants else []
    return compiled_and_warm(row.value, image, *constants)


def timed_style(name, maps, styles):
    row = STYLE_LOSSES[name]
    key = {"key": jax.random.key(0)} if row.keyed else {}
    distance = with_options(row.distance, key)

    def loss(features, targets):
        if row.joint:
            return distance(row.statistic(features), targets)
        return sum(distance(row.statistic(features[k]), targets[k]) for k in features)

    if row.joint:
        targets = jax.jit(row.statistic)(styles)
    else:
        targets = {k: jax.jit(row.statistic)(v) for k, v in styles.items()}
    return compiled_and_warm(loss, maps, targets)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", default=DATA / "loss_costs.json", metavar="FILE")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    images = [rng.random((SIZE_PX, SIZE_PX, 3), np.float32) for _ in range(2)]
    maps, styles = (jnst.features(image, VGG_STYLE_LAYERS) for image in images)
    gram, _ = timed_style("gram", maps, styles)
    batches = [jnp.asarray(image)[None] for image in images]
    cases = [(timed_style, name, (maps, styles)) for name in STYLE_LOSSES]
    cases += [(timed_content, name, batches) for name in CONTENT_LOSSES]
    cases += [(timed_image, name, batches) for name in IMAGE_LOSSES]
    rows = {}
    for timed, name, inputs in cases:
        run, memory = timed(name, *inputs)
        pairs = [(run(), gram()) for _ in range(REPEATS)]
        rows[name] = {
            "cost": float(np.median([ours / theirs for ours, theirs in pairs])),
            "ms": 1e3 * float(np.median([ours for ours, _ in pairs])),
            "temp_mib": memory / 2**20,
        }
        print(name, rows[name], flush=True)
    about = {"date": datetime.date.today().isoformat(), "device": device()}
    about |= {"size_px": SIZE_PX, "repeats": REPEATS, "versions": versions()}
    write_json(options.json, {**about, "losses": rows})


if __name__ == "__main__":
    main()
