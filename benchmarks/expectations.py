"""Run every recipe on the demo pair and record what to expect of it.

Writes `jnst/data/expectations.json` (or --json FILE), which `jnst recipes` shows and a
test holds the first losses to. Run it again when a recipe changes:

    python benchmarks/expectations.py
"""

import argparse
import datetime
import time
from pathlib import Path

import jnst
from jnst.drivers.record import device, versions
from jnst.files import write_json

DATA = Path(jnst.__file__).parent / "data"
SIZE_PX, STEPS = 128, 20
OWN_SIZE = ("keras",)  # its weights and step size belong to 400 x 600 pixels


def expectation(name):
    """Run one recipe for a few steps."""
    size = None if name in OWN_SIZE else SIZE_PX
    pair = DATA / "demo_content.jpg", DATA / "demo_style.jpg"
    start = time.perf_counter()
    result = jnst.stylize(*pair, name, size_px=size, steps=STEPS)
    row = {
        "size_px": result.recipe.size_px,
        "shape": list(result.image.shape[:2]),
        "steps": STEPS,
        "first_loss": float(result.history["loss"][0]),
        "last_loss": float(result.history["loss"][-1]),
        "loop_seconds": round(result.seconds, 1),
        "weights": result.weights["name"],
    }
    print(name, row, f"{time.perf_counter() - start:.0f} s", flush=True)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", default=DATA / "expectations.json", metavar="FILE")
    options = parser.parse_args()
    about = {"date": datetime.date.today().isoformat(), "device": device()}
    rows = {name: expectation(name) for name in jnst.RECIPES}
    document = {**about, "versions": versions(), "recipes": rows}
    write_json(options.json, document)


if __name__ == "__main__":
    main()
