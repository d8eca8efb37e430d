"""Time every style loss beside the Gram matrix, in turn, at 256 px.

What is timed is one compiled value and gradient with respect to the feature maps of
the five usual layers: the loss's own cost, without the network. Writes
`jnst/data/loss_costs.json`, which `jnst losses` shows. Run it on an idle machine:

    python benchmarks/loss_costs.py
"""

import datetime
import time
from pathlib import Path

import jax
import numpy as np

import jnst
from jnst.files import write_json
from jnst.losses import STYLE_LOSSES
from jnst.losses.rows import with_options
from jnst.recipe import VGG_STYLE_LAYERS
from jnst.record import device, versions

DATA = Path(jnst.__file__).parent / "data"
SIZE_PX, REPEATS = 256, 5


def timed(name, maps, styles):
    """Return a function that computes a loss's gradient once, compiled and warm."""
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
    program = jax.jit(jax.value_and_grad(loss)).lower(maps, targets).compile()
    memory = program.memory_analysis().temp_size_in_bytes

    def run():
        start = time.perf_counter()
        jax.block_until_ready(program(maps, targets))
        return time.perf_counter() - start

    run()
    return run, memory


def main():
    rng = np.random.default_rng(0)
    images = [rng.random((SIZE_PX, SIZE_PX, 3), np.float32) for _ in range(2)]
    maps, styles = (jnst.features(image, VGG_STYLE_LAYERS) for image in images)
    gram, _ = timed("gram", maps, styles)
    rows = {}
    for name in STYLE_LOSSES:
        run, memory = timed(name, maps, styles)
        pairs = [(run(), gram()) for _ in range(REPEATS)]
        rows[name] = {
            "cost": float(np.median([ours / theirs for ours, theirs in pairs])),
            "ms": 1e3 * float(np.median([ours for ours, _ in pairs])),
            "temp_mib": memory / 2**20,
        }
        print(name, rows[name], flush=True)
    about = {"date": datetime.date.today().isoformat(), "device": device()}
    about |= {"size_px": SIZE_PX, "repeats": REPEATS, "versions": versions()}
    write_json(DATA / "loss_costs.json", {**about, "losses": rows})


if __name__ == "__main__":
    main()
