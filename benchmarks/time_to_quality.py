"""Time until a run is as good as crowsonkb's long schedule leaves it.

The objective is the default recipe's. Its long schedule (crowsonkb's scales, steps,
learning rate and average) says which loss to reach: that of the image it returns, at
the final size. Every rival then runs until the image it would return is as good, or
its steps are over. Loop time alone counts, without compiling; losses are computed
outside of it. A rival is a change of the default recipe: add one to `RIVALS`. None
shifts its steps: one function is minimised, and the same one judges.

    python benchmarks/time_to_quality.py --size 256 --json OUT.json --plot OUT.png

`jnst bench --to-quality` runs to the loss found here, by the same judge. To write it
there when the objective changes, which moves it:

    python benchmarks/time_to_quality.py --goal-alone --ship \\
        jnst/data/quality_targets.json --json benchmarks/results/quality_goal_cpu.json
"""

import argparse
import json
import math

from jnst.bench.to_quality import Workload, demo_pair, make_judge, run_to
from jnst.drivers.record import device, versions
from jnst.files import write_json

WEIGHTS = "vgg19"
SIZES = {"scale_ratio": math.sqrt(2), "min_size_px": 128}
RESIZED = {"moments": "resized", "cooldown": 0.0}  # as crowsonkb's own code does
STEADY = {"beta2": 0.99, "ema": 0.9, "learning_rate": 0.1, "cooldown": 0.4}
LONG = (
    SIZES
    | RESIZED
    | {"scale_steps": (1000, 500), "learning_rate": 0.02, "beta2": 0.99, "ema": 0.99}
)
THREE = SIZES | {"scale_steps": (80, 40, 140)}
LBFGS = {
    "optimizer": "lbfgs_torch",
    "learning_rate": 1.0,
    "ema": 0.0,
    "returns": "last",
    "cooldown": 0.0,
}
RIVALS = {
    "default recipe: Adam, one size": {},
    "Adam with second moments of 100 steps": STEADY,
    "the same from three sizes": THREE | STEADY,
    "the same, moments not rescaled, no cooldown": THREE | STEADY | RESIZED,
    "L-BFGS, three sizes": LBFGS | THREE,
    "L-BFGS, one size": LBFGS | {"scale_steps": (180,)},
    "recipe jnst-lbfgs: half the steps": LBFGS | SIZES | {"scale_steps": (80, 40)},
}
NEAR = 0.99, 1.25  # losses on the picture, of the goal


def watch(images, judge, goal, changes):
    """Run until the goal; the curve of (loop seconds, loss) at the final size."""
    work = Workload(images, WEIGHTS, judge, goal)
    row = run_to(work, "jnst", changes)
    return [(seconds, loss) for _, seconds, loss in row["curve"]]


def ship(path, size, goal, content, about):
    """Write the loss to reach as data of the package, with its origin.

    What the judge says of the content shows a test whether the objective is the same.
    """
    how = {"schedule": "crowsonkb's", "changes": LONG, "weights": WEIGHTS}
    row = {"loss": goal, "loss_of_content": content}
    origin = {"script": "benchmarks/time_to_quality.py", **how, **about}
    write_json(path, {"origin": origin, "targets": {str(size): row}})


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
    parser.add_argument("--goal-alone", action="store_true", help="run no rival")
    parser.add_argument("--ship", metavar="FILE", help="write the goal as data")
    options = parser.parse_args()
    images = demo_pair(options.size)
    judge = make_judge(images, WEIGHTS)
    kept, before = {}, {}
    if options.go_on:
        before = json.loads(options.go_on.read())
        kept = {row["name"]: row for row in before["rows"]}
    goal, rows = -math.inf, []
    rivals = {} if options.goal_alone else RIVALS
    for name, changes in ({"crowsonkb's schedule": LONG} | rivals).items():
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
    if options.ship:  # of the run that the goal is from
        told = {k: before.get(k, about[k]) for k in ("device", "versions")}
        ship(options.ship, options.size, goal, judge(images[0]), told)
    if options.plot:
        plot(rows, goal, options.plot)


if __name__ == "__main__":
    main()
