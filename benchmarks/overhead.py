"""What Python costs around the compiled step of a small image.

The user's own run at 64 x 64 px, timed from one look to the last (progress, history and
checks included), beside the same compiled program called in a row with nothing between;
in turn, medians of ratios.

    python benchmarks/overhead.py --json OUT.json
"""

import argparse
import time

import jax
import numpy as np

import jnst
from jnst.bench.cases import OBJECTIVE, Case, make_pictures
from jnst.bench.prepared import prepare
from jnst.drivers.record import device, versions
from jnst.files import write_json

STEPS = 200


def run_ms(case, params):
    """Milliseconds a step of a whole run, between its first look and its last."""
    looks = []

    def look(progress):
        looks.append((progress.step, time.perf_counter()))

    pictures = make_pictures(case)
    pair = pictures.contents[0, 0], pictures.style[0]
    jnst.stylize(*pair, case.recipe, STEPS, weights=params, on_progress=look)
    (first, start), (last, end) = looks[0], looks[-1]
    return 1e3 * (end - start) / (last - first)


def program_ms(prepared):
    """Milliseconds a step of the program alone, as many steps in a row."""
    start = time.perf_counter()
    calls = STEPS // prepared.steps_per_call
    for _ in range(calls):
        prepared.step()
    return 1e3 * (time.perf_counter() - start) / (calls * prepared.steps_per_call)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json")
    options = parser.parse_args()
    params = jnst.load_weights("vgg19")
    case = Case(OBJECTIVE, options.size)
    prepared = prepare(case, params)
    jax.block_until_ready(prepared.step())
    run_ms(case, params)
    pairs = [
        (run_ms(case, params), program_ms(prepared)) for _ in range(options.repeats)
    ]
    whole, alone = np.median(pairs, axis=0)
    ratio = float(np.median([run / program for run, program in pairs]))
    row = {"size_px": options.size, "steps": STEPS, "repeats": options.repeats}
    row |= {"run_step_ms": float(whole), "program_step_ms": float(alone)}
    row |= {"ratio": ratio, "pairs_ms": [[float(x) for x in p] for p in pairs]}
    print(row)
    if options.json:
        about = {"device": device(), "versions": versions()}
        write_json(options.json, about | {"rows": [row]})


if __name__ == "__main__":
    main()
