"""`jnst plan` beside real runs: peak resident memory, size by size (Linux).

Each size has a fresh store of compiled programs, in which first the plan and then, in
another fresh one, `jnst stylize` runs from the command line with a few steps; and then
both again in the stores that are now full, as they are for whoever has run the size
before. `--tile` plans and runs in tiles.

    python benchmarks/plan_peaks.py --json benchmarks/results/plan_peaks_cpu.json
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from jnst.bench.cases import OBJECTIVE, Case, make_pictures
from jnst.drivers.record import device, versions
from jnst.files import write_json
from jnst.image import save_image

MIB = 2**20


def run(words, store):
    """Run a command; its output, and the most that it had in memory, in MiB."""
    command = [sys.executable, "-m", "jnst", *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    environment = os.environ | {"XDG_CACHE_HOME": str(store)}
    child = subprocess.Popen(command, env=environment, **pipes)
    output = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(words)} ended with {child.returncode}")
    return output, usage.ru_maxrss * 1024 / MIB


def compared(folder, size, options):
    """Plan and run a size, twice each."""
    made = make_pictures(Case(OBJECTIVE, size))
    names = [folder / f"{size}_{name}.png" for name in ("content", "style", "out")]
    save_image(names[0], made.contents[0, 0])
    save_image(names[1], made.style[0])
    more = [] if options.tile is None else ["--set", f"tile_px={options.tile}"]
    plan = ["plan", "--size", str(size), "--no-time", "--json", *more]
    words = ["stylize", *map(str, names[:2]), "-o", str(names[2]), "--overwrite"]
    words += ["--size", str(size), "--steps", str(options.steps), *more]
    for store in ("new", "full"):
        output, _ = run(plan, folder / f"plan_{size}")
        told = json.loads(output)["memory"]
        _, peak = run(words, folder / f"run_{size}")
        yield {
            "size_px": size,
            "tile_px": options.tile,
            "store": store,
            "planned_mib": told["peak_mib"],
            "measured_mib": peak,
            "ratio": told["peak_mib"] / peak,
            "planned": told,
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="256,512,1024")
    parser.add_argument("--steps", type=int, default=14)
    parser.add_argument("--tile", type=int)
    parser.add_argument("--json")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="jnst-plan-") as name:
        for size in map(int, options.sizes.split(",")):
            for row in compared(Path(name), size, options):
                rows.append(row)
                print(
                    f"{row['size_px']} px, {row['store']} store: planned "
                    f"{row['planned_mib']:.0f} MiB, measured {row['measured_mib']:.0f}"
                    f" MiB, {row['ratio']:.2f}",
                    flush=True,
                )
    if options.json:
        about = {"device": device(), "versions": versions()}
        write_json(options.json, {**about, "rows": rows})


if __name__ == "__main__":
    main()
