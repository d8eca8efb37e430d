"""Compile the user's own step for a TPU that is not there, and write what XLA says.

Needs the extra 'tpu' and no TPU. About a minute a program:

    python benchmarks/tpu_topology.py --json benchmarks/results/tpu_v5e_aot.json
"""

import argparse
import dataclasses
import datetime
import importlib.metadata
import subprocess
import sys

import jnst
from jnst.bench.cases import OBJECTIVE, Case
from jnst.bench.networks import random_params
from jnst.bench.topology import topology_rows
from jnst.files import write_json
from jnst.record import versions

RECIPES = {"objective": OBJECTIVE, "jnst": jnst.RECIPES["jnst"]}


def commit():
    told = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(told, capture_output=True, text=True).stdout.strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--topology", default="v5e:2x2")
    parser.add_argument("--sizes", default="512,1024,2048")
    parser.add_argument("--dtypes", default="bfloat16,float32")
    parser.add_argument("--recipes", default="objective,jnst")
    parser.add_argument("--chunks", default="1,10")
    parser.add_argument("--json", required=True)
    options = parser.parse_args()
    cases = [
        Case(dataclasses.replace(RECIPES[name], dtype=dtype), size, label=name)
        for name in options.recipes.split(",")
        for dtype in options.dtypes.split(",")
        for size in map(int, options.sizes.split(","))
    ]
    about = {
        "date": datetime.date.today().isoformat(),
        "commit": commit(),
        "command": " ".join(["python", *sys.argv]),
        "versions": {**versions(), "libtpu": importlib.metadata.version("libtpu")},
    }
    rows = []
    chunks = [int(length) for length in options.chunks.split(",")]
    for row in topology_rows(
        options.topology, cases, random_params("vgg19"), chunks=chunks
    ):
        rows.append(row)
        print(row, file=sys.stderr, flush=True)
        write_json(options.json, {**about, "rows": rows})  # each took a minute


if __name__ == "__main__":
    main()
