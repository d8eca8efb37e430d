"""Time until a run is as good as crowsonkb's long schedule leaves it.

The objective is the default recipe's. Its long schedule (crowsonkb's scales, steps,
learning rate and average) says which loss to reach: that of the image it returns, at
the final size. Every rival then runs until the image it would return is as good, or
its steps are over. Loop time alone counts, without compiling; losses are computed
outside of it. A rival is a change of the default recipe: add one to `RIVALS`. None
shifts its steps: one function is minimised, and the same one judges.

    python benchmarks/time_to_quality.py --size 256 --json OUT.json --plot OUT.png
"""

import argparse
import json
import math
from pathlib import Path

import jax
import jax.numpy as jnp

import jnst
from jnst.drivers.record import device, versions
from jnst.files import write_json
from jnst.image import load_image, resize_image

DATA = Path(jnst.__file__).parent / "data"
STILL = {"shift_px": 0}
RESIZED = {"moments": "resized", "cooldown": 0.0}  # as crowsonkb's own code does
LONG = {"scale_steps": (1000, 500), "learning_rate": 0.02, "ema": 0.99, **RESIZED}
LBFGS = {
    "optimizer": "lbfgs_torch",
    "learning_rate": 1.0,
    "ema": 0.0,
    "returns": "last",
    "cooldown": 0.0,
}
RIVALS = {
    "default recipe: Adam, coarse to fine": {},
    "Adam, neither moments rescaled nor a cooldown": RESIZED,
    "Adam, one size": {"scale_ratio": 1.0, "scale_steps": (180,)},
    "L-BFGS, coarse to fine": LBFGS,
    "L-BFGS, one size": LBFGS | {"scale_ratio": 1.0, "scale_steps": (180,)},
    "recipe jnst-lbfgs: half the steps": LBFGS | {"scale_steps": (80, 40)},
}
EVERY = 5
NEAR = 0.99, 1.25  # losses on the picture, of the goal


def make_judge(images):
    """Return a function from an image in [0, 1] to the default objective's loss."""
    objective = jnst.make_objective(*images, "jnst", weights="vgg19", **STILL)
    judged = jax.jit(lambda objective, image: objective(image))

    def judge(image):
        return float(judged(objective, jnp.asarray(image)))

    return judge


class Reached(Exception):
    """Ends a run that is good enough."""


def watch(images, judge, goal, changes):
    """Run until the goal; the curve of (loop seconds, loss) at the final size."""
    curve, shape = [], images[0].shape[:2]

    def look(progress):
        if progress.image.shape[:2] != shape:
            return
        curve.append((progress.seconds, judge(progress.image)))
        if curve[-1][1] <= goal:
            raise Reached

    try:
        jnst.stylize(*images, on_progress=look, save_every=EVERY, **STILL, **changes)
    except Reached:
        return curve
    return curve


def pair(size):
    """The demo pair, content `size` pixels wide, style of the same longer side."""
    images = []
    for name in ("demo_content.jpg", "demo_style.jpg"):
        pixels = load_image(DATA / name)
        scale = size / max(pixels.shape[:2])
        shape = tuple(round(side * scale) for side in pixels.shape[:2])
        images.append(resize_image(pixels, shape))
    return images


def plot(rows, goal, path):
    """Draw loss over loop seconds, one line a rival."""
    from jnst.plots import new_figure, save_figure

    figure = new_figure(7, 4.5)
    axes = figure.subplots()
    for row in rows:
        seconds, losses = zip(*row["curve"], strict=True)
        axes.plot(seconds, [loss / goal for loss in losses], label=row["name"])
    axes.axhline(1, color="grey", linestyle=":", label="what that schedule ends with")
    axes.set(xscale="log", xlabel="loop time (s)", ylabel="loss / goal", ylim=NEAR)
    axes.set_xlim(left=5)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    save_figure(figure, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--json")
    parser.add_argument("--plot")
    parser.add_argument(
        "--go-on",
        type=argparse.FileType(),
        metavar="FILE",
        help="keep the runs in an earlier JSON file of this machine and size",
    )
    options = parser.parse_args()
    images = pair(options.size)
    judge = make_judge(images)
    kept = {}
    if options.go_on:
        kept = {row["name"]: row for row in json.loads(options.go_on.read())["rows"]}
    goal, rows = -math.inf, []
    for name, changes in ({"crowsonkb's schedule": LONG} | RIVALS).items():
        curve = kept[name]["curve"] if name in kept else None
        curve = curve or watch(images, judge, goal, changes)
        goal = curve[-1][1] if not rows else goal
        seconds, loss = curve[-1]
        row = {"name": name, "changes": changes, "seconds": seconds, "loss": loss}
        row["ratio"] = seconds / (rows[0]["seconds"] if rows else seconds)
        rows.append(row | {"reached": loss <= goal, "curve": curve})
        print(row | {"reached": loss <= goal}, flush=True)
    about = {"device": device(), "versions": versions(), "size_px": options.size}
    if options.json:
        write_json(options.json, {**about, "goal": goal, "rows": rows})
    if options.plot:
        plot(rows, goal, options.plot)


if __name__ == "__main__":
    main()
