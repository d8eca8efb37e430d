"""`jnst plan`: memory and time of a run before it, and what would make it fit."""

from collections.abc import Sequence
from typing import Any

import click

from jnst.cli.own import losses_from, optimizer_from


@click.command()
@click.option("--size", "size_px", type=int, help="Side of a square picture.")
@click.option("--recipe", default="jnst", show_default=True, help="See `jnst recipes`.")
@click.option(
    "--set", "settings", multiple=True, metavar="FIELD=VALUE", help="Any field."
)
@click.option("--steps", type=int, help="Steps in all sizes together.")
@click.option("--weights", help="Name or path of a weights file, or random.")
@click.option(
    "--device",
    metavar="NAME",
    help="cpu, gpu or tpu that is here; tpu:v5e:4x4 for one that is not.",
)
@click.option(
    "--devices", metavar="N|RxC", help="Split rows over N devices, or rows x columns."
)
@click.option(
    "--results",
    type=click.Path(),
    metavar="FILE.json",
    help="Take the time of a step from `jnst bench -o`.",
)
@click.option("--no-time", is_flag=True, help="Measure no step.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@losses_from
@optimizer_from
def plan(
    settings: Sequence[str],
    steps: int | None,
    weights: str | None,
    no_time: bool,
    as_json: bool,
    recipe: str,
    **options: Any,
) -> int:
    """Say before a run what it needs: memory, time, and which size would fit.

    The run's own programs are compiled, and XLA says what they need; a few steps are
    measured at a size that takes no long time, or `--results` of an earlier benchmark
    are taken. Below are settings that need less, counted from shapes. What was compiled
    is kept: the run itself finds it.
    """
    from jnst.bench.networks import RANDOM, load_network
    from jnst.cli.progress import new_bar
    from jnst.files import json_text
    from jnst.planning.forecast import forecast
    from jnst.program import keep_programs
    from jnst.recipes.settings import parse_setting

    changes = dict(parse_setting(text) for text in settings)
    if steps is not None:
        changes["steps"] = steps
    keep_programs()
    given = load_network(RANDOM)[0] if weights == RANDOM else weights
    with new_bar(bar_format="{desc} [{elapsed}]", leave=False) as bar:
        found = forecast(
            recipe,
            changes,
            weights=given,
            timed=not no_time,
            on_stage=bar.set_description_str,
            **options,
        )
    if as_json:
        click.echo(json_text(found))
    else:
        show(found)
    fits = found["memory"]["fits"]
    return 1 if fits is False else 0


def size_text(mib: float | None) -> str:
    """Write an amount of memory."""
    if mib is None:
        return "unknown"
    return f"{mib / 1024:.2f} GiB" if mib >= 1024 else f"{mib:.0f} MiB"


def time_text(seconds: float | None) -> str:
    """Write a time in the unit that suits."""
    if seconds is None:
        return "unknown"
    for unit, size, least in (("h", 3600.0, 2), ("min", 60.0, 2), ("s", 1.0, 1)):
        if seconds >= least * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{1e3 * seconds:.3g} ms"


def show(found: dict[str, Any]) -> None:
    """Print a forecast in a few lines and a table."""
    from tabulate import tabulate

    memory, times = found["memory"], found["time"]
    many = f" x{found['devices']}" if found["devices"] > 1 else ""
    side = found["size_px"]
    click.echo(
        f"{found['recipe'] or 'own recipe'}, {side}x{side} px, {found['steps']} steps "
        f"on {found['device']}{many}, JAX {found['versions']['jax']}"
    )
    fits = {True: "fits", False: "does not fit", None: "nobody knows whether it fits"}
    process = memory["process_mib"]
    parts = (
        f" ({size_text(memory['program_mib'])} in XLA's programs)" if process else ""
    )
    click.echo(
        f"memory  {size_text(memory['peak_mib'])} at the peak{parts}, "
        f"{size_text(memory['free_mib'])} free: {fits[memory['fits']]}"
    )
    for line in _time_lines(times):
        click.echo(f"time    {line}")
    rows = [
        {
            "way": row["way"],
            "peak": size_text(row.get("peak_mib")) if "peak_mib" in row else "",
            "fits": {True: "yes", False: "no"}.get(row.get("fits"), ""),
            "largest px": row.get("largest_size_px") or "",
            "": row.get("refused", ""),
        }
        for row in found["ways"]
    ]
    click.echo(f"\n{tabulate(rows, headers='keys', maxcolwidths=[None] * 4 + [48])}")


def _time_lines(times: dict[str, Any]) -> list[str]:
    """Say how long a step and all of them take, as far as it is known."""
    found = []
    if times["step_ms"] is not None:
        loop = time_text(times["loop_s"])
        step = time_text(times["step_ms"] / 1e3)
        found.append(f"{step} a step ({times['source']}), {loop} in the loop")
    else:
        found.append(f"of a step: {times['source']}")
    if times["compile_s"] is not None:
        found.append(f"{time_text(times['compile_s'])} compiling, all sizes")
    if times["at_best_ms"] is not None:
        best = time_text(times["at_best_ms"] / 1e3)
        found.append(f"{best} a step at best, by the peak of the device")
    return found
