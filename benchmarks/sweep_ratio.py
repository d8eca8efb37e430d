"""A sweep beside its members in turn: seconds of both, pair by pair, in one process.

The members differ in the weight of the style, so that one program serves them all. A
pair is a sweep and as many runs of `jnst.stylize` on parameters loaded once, first and
second by turns; both compile before the clock starts. Neither writes files or computes
metrics. The ratio is the sweep's time over the runs'; medians are over pairs. With
`--at-once` several settings of members side by side take part in each pair.

    python benchmarks/sweep_ratio.py --json benchmarks/results/sweep_ratio_cpu.json
"""

import argparse
import time

import numpy as np

import jnst
from jnst.bench.to_quality import demo_pair
from jnst.drivers.record import device, versions
from jnst.files import write_json

WEIGHT_RANGE = 10.0
"""Largest over smallest of the weights swept."""


def in_turn(images, weights, values, options):
    """Run every member by `stylize`; its pictures."""
    return [
        jnst.stylize(*images, weights=weights, style_weight=value, **options).image
        for value in values
    ]


def together(images, weights, values, at_once, options):
    """Run all members as a sweep; its pictures."""
    grid = {"style_weight": values}
    known = {"metrics": (), "at_once": at_once}
    records = jnst.sweep(*images, weights=weights, grid=grid, **known, **options)
    return [record["image"] for record in records]


def timed(function, *arguments):
    start = time.perf_counter()
    found = function(*arguments)
    return time.perf_counter() - start, found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--members", type=int, default=8)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--recipe", default="jnst")
    parser.add_argument("--at-once", default="0", help="such as 0,2,4; 0 for the usual")
    parser.add_argument("--json")
    options = parser.parse_args()
    images, weights = demo_pair(options.size), jnst.load_weights("vgg19")
    usual = jnst.RECIPES[options.recipe].style_weight
    share = WEIGHT_RANGE
    values = [float(usual * x) for x in np.geomspace(1 / share, 1, options.members)]
    changes = {"recipe": options.recipe, "steps": options.steps}
    settings = [int(n) or None for n in options.at_once.split(",")]
    alone = in_turn(images, weights, values, changes)
    apart = {}
    for at_once in settings:  # compiles, too
        found = together(images, weights, values, at_once, changes)
        apart[at_once] = max(
            float(np.abs(a - b).max()) for a, b in zip(found, alone, strict=True)
        )
    rows = []
    for number in range(options.pairs):
        seconds = {}
        order = ["turn", *settings]
        for what in order if number % 2 else order[::-1]:
            if what == "turn":
                seconds[what], _ = timed(in_turn, images, weights, values, changes)
            else:
                arguments = images, weights, values, what, changes
                seconds[what], _ = timed(together, *arguments)
        rows.append(seconds)
        print(number, {k: round(v, 2) for k, v in seconds.items()}, flush=True)
    found = []
    for at_once in settings:
        ratios = [row[at_once] / row["turn"] for row in rows]
        found.append({
            "at_once": at_once,
            "ratio": float(np.median(ratios)),
            "ratios": ratios,
            "sweep_s": [row[at_once] for row in rows],
            "in_turn_s": [row["turn"] for row in rows],
            "largest_difference": apart[at_once],
        })  # fmt: skip
        print(
            f"at_once={at_once}: {found[-1]['ratio']:.3f} of the time of runs in turn "
            f"({min(ratios):.3f} to {max(ratios):.3f}); pictures differ by at most "
            f"{apart[at_once]:.1e}"
        )
    about = {"device": device(), "versions": versions(), "options": vars(options)}
    if options.json:
        write_json(options.json, {**about, "settings": found})


if __name__ == "__main__":
    main()
