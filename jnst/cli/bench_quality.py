"""`jnst bench --to-quality`: wall time until a picture is as good as a target."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from jnst.bench.to_quality import Row, Workload

TAKEN = ("to_quality", "target", "sizes", "recipe", "settings", "weights", "repeats")
TAKEN += ("as_json", "output", "against", "threshold", "overwrite")
"""Options that mean something here."""
NOT_SET = {
    "seed": "it runs seeds 0, 1, 2 and so on",
    "size_px": "use --sizes",
    "weights": "use --weights",
}
"""Fields that `--set` may not change, and what would do."""
RUNS = 3
"""Runs where --repeats says nothing, as AlgoPerf's studies are several."""


OPTIONS = (
    click.option(
        "--to-quality",
        is_flag=True,
        help="Time whole runs of the demo pair until a loss is reached.",
    ),
    click.option(
        "--target",
        type=float,
        metavar="LOSS",
        help="With --to-quality: the loss, if not the one that is shipped.",
    ),
)


def quality_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of time to quality."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def quality(
    options: dict[str, Any], told: dict[str, click.Parameter]
) -> Callable[[dict[str, Any]], int] | None:
    """Return what does the work if this is about time to quality, or None.

    Args:
      options: Of the command.
      told: Those that were typed.

    Raises:
      ValueError: For options that make no sense together.
    """
    target = options["target"]
    if not options["to_quality"]:
        if target is not None:
            raise ValueError(
                "--target goes with --to-quality: leave it out or add that"
            )
        return None
    for name in (name for name in told if name not in TAKEN):
        flag = max(told[name].opts, key=len)
        raise ValueError(f"--to-quality runs whole pictures: leave out {flag}")
    if target is not None and not (math.isfinite(target) and target > 0):
        raise ValueError(f"--target must be a loss above 0, got {target}")
    runs = options["repeats"] if "repeats" in told else RUNS
    return lambda options: measure_quality({**options, "repeats": runs})


def _size(text: str | None) -> int:
    from jnst.bench.to_quality import SIZE_PX

    try:
        size_px = SIZE_PX if text is None else int(text)
    except ValueError:
        raise ValueError(f"--to-quality takes one of --sizes, got {text!r}") from None
    if size_px < 1:
        raise ValueError(f"size must be at least 1, got {size_px}")
    return size_px


def measure_quality(options: dict[str, Any]) -> int:
    """Run a few seeds to the target, and write and show what they took.

    Args:
      options: Of the command. A file of `--output` is written anew after each run.

    Returns:
      The exit code: 1 where the median missed the target, or is slower than that of
      `--against` beyond `--threshold`.

    Raises:
      ValueError: For bad input, before any run.
    """
    from jnst.base import check_one_of
    from jnst.bench import quality_report as report
    from jnst.bench import to_quality
    from jnst.bench.networks import load_network
    from jnst.recipes.settings import parse_setting
    from jnst.recipes.table import RECIPES

    settings = click.get_current_context().params["settings"]
    recipe, size_px = options["recipe"] or "jnst", _size(options["sizes"])
    check_one_of("recipe", recipe, RECIPES)
    changes = dict(parse_setting(text) for text in settings)
    for name, why in NOT_SET.items():
        if name in changes:
            raise ValueError(f"--to-quality takes no --set {name}: {why}")
    before = report.read_quality(options["against"]) if options["against"] else None
    params, known = load_network(options["weights"])
    target = options["target"]
    if target is None:
        target = to_quality.shipped_target(size_px, known.get("name"))
    task = {"pair": "demo", "size_px": size_px, "target": target, "judge": "jnst"}
    if before:
        about = {**task, "weights_sha256": known.get("tensors_sha256")}
        report.check_workload(about, before)
    images = to_quality.demo_pair(size_px)
    work = to_quality.Workload(images, params, lambda image: math.nan, target)
    plan = to_quality.plan_run(work, recipe, changes)  # raises before any work
    total = sum(stage.steps for stage in plan.stages)
    warn_of([plan.recipe.dtype])
    work = work._replace(judge=to_quality.make_judge(images, params))
    asked = {**options, "settings": list(settings)}
    rows, document = [], {}
    for seed in range(options["repeats"]):
        given = {**changes, "seed": seed}
        rows.append(one_run(work, recipe, given, total=total))
        document = report.quality_document(
            rows, workload=task, weights=known, options=asked
        )
        write(document, options)
    if before:
        limit = options["threshold"]
        document["against"] = report.compare_quality(document, before, threshold=limit)
        write(document, options)
    show(document, as_json=options["as_json"])
    slower = document.get("against", {}).get("verdict") == "slower"
    return 1 if slower or not document["reached"] else 0


def warn_of(dtypes: Sequence[str]) -> None:
    """Say on standard error where a type is slow."""
    from jnst.bench.bfloat16 import slow_bfloat16

    slow = slow_bfloat16(dtypes)
    if slow:
        click.echo(f"jnst: warning: {slow}", err=True)


def one_run(
    work: "Workload", recipe: str, changes: dict[str, Any], *, total: int
) -> "Row":
    """Run one seed, with a bar on standard error and a line at its end."""
    from jnst.bench.to_quality import forget_programs, run_to
    from jnst.cli.progress import new_bar

    seed = changes["seed"]
    bar = new_bar(total=total, desc=f"seed {seed}", unit="step", leave=False)

    def look(step: int, loss: float | None) -> None:
        bar.update(step - bar.n)
        if loss is not None:
            bar.set_postfix_str(f"loss {loss:.5g}, target {work.target:.5g}")

    forget_programs()
    row = {"seed": seed, **run_to(work, recipe, changes, on_look=look)}
    bar.close()
    took = (
        f"target reached after {row['to_target_s']:.2f} s"
        if row["reached"]
        else (f"target missed in {row['wall_s']:.2f} s")
    )
    told = row.get("error") or f"loss {row['loss']:.5g} after {row['steps']} steps"
    click.echo(f"seed {seed}: {took}, {told}", err=True)
    return row


def write(document: dict[str, Any], options: dict[str, Any]) -> None:
    """Write the file asked for, if any."""
    from jnst.files import write_json

    if options["output"]:
        write_json(options["output"], document)


def show(document: dict[str, Any], *, as_json: bool) -> None:
    """Print the document, or its table."""
    from jnst.bench.quality_report import quality_heading, quality_table, said
    from jnst.files import json_text

    if as_json:
        click.echo(json_text(document))
        return
    click.echo(quality_heading(document))
    click.echo(quality_table(document["rows"]))
    click.echo(f"median {said(document['median_s'])} of {len(document['rows'])} runs")
    if "against" in document:
        found = document["against"]
        ratio = "" if found["ratio"] is None else f", ratio {found['ratio']:.3f}"
        click.echo(f"before {said(found['before_s'])}{ratio}: {found['verdict']}")
