"""Run the three steps of `jnst doctor` and record the losses they must have.

Writes `jnst/data/smoke.json` (or --json FILE). Run it again when the default recipe
changes:

    python benchmarks/smoke.py

Tolerances are ten times a relative difference that is measured here. On a CPU: the
largest of other convolutions, one core, an old CPU's instructions, and a compiler that
does little, since they change the order of sums as another CPU does. On an accelerator:
that of a run in bfloat16, which has fewer digits than TF32 or three passes in bfloat16.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
from pathlib import Path

import jnst
from jnst.doctor import smoke
from jnst.drivers.record import device, versions
from jnst.files import write_json
from jnst.weights import load_described

DATA = Path(jnst.__file__).parent / "data"
TIMES = 10
ELSEWHERE = {
    # As other machines and compilers would: (cores, variables).
    "one core": (1, {}),
    "sse4_2": (None, {"XLA_FLAGS": "--xla_cpu_max_isa=SSE4_2"}),
    "unoptimised": (None, {"JAX_DISABLE_MOST_OPTIMIZATIONS": "true"}),
}


def network(name):
    """A network's parameters and what is known of them."""
    if name == "random":
        return smoke.seeded_params(), {"tensors_sha256": None}
    return load_described(name)


def elsewhere(name, cores, variables):
    """Run one network in a process of its own."""
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(own)[:cores])  # which the process inherits
    try:
        done = subprocess.run(
            [sys.executable, __file__, "--losses-of", name],
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
            check=True,
        )
    finally:
        os.sched_setaffinity(0, own)
    return json.loads(done.stdout)


def row_of(name):
    """Run one network in each way, and say how far these are apart."""
    params, about = network(name)
    loss = smoke.smoke_losses(params)
    ways = {
        **{way: elsewhere(name, *how) for way, how in ELSEWHERE.items()},
        "xla": smoke.smoke_losses(params, convolution="xla"),
        "winograd": smoke.smoke_losses(params, convolution="winograd"),
        "bfloat16": smoke.smoke_losses(params, dtype="bfloat16"),
    }
    away = {way: smoke.distance(found, loss) for way, found in ways.items()}
    tolerance = {
        "cpu": TIMES * max(v for k, v in away.items() if k != "bfloat16"),
        "accelerator": TIMES * away["bfloat16"],
    }
    row = {"sha256": about["tensors_sha256"], "loss": loss, "ways": ways}
    return row | {"apart": away, "tolerance": tolerance}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", default=DATA / "smoke.json", metavar="FILE")
    parser.add_argument("--losses-of", metavar="NETWORK", help=argparse.SUPPRESS)
    options = parser.parse_args()
    jnst.keep_programs()
    if options.losses_of:
        print(json.dumps(smoke.smoke_losses(network(options.losses_of)[0])))
        return
    rows = {name: row_of(name) for name in ("vgg19", "random")}
    document = {
        "origin": {
            "script": "benchmarks/smoke.py",
            "date": datetime.date.today().isoformat(),
        },
        "device": device(),
        "versions": versions(),
        "steps": smoke.STEPS,
        "shape": list(smoke.SHAPE),
        "learning_rate": smoke.RATE,
        "losses": rows,
    }
    write_json(options.json, document)


if __name__ == "__main__":
    main()
