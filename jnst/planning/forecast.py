"""All that can be told of a run before it, as one document."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jnst.bench.measure import MIB, loss_name
from jnst.bench.topology import chips_of
from jnst.drivers.plan import Plan, Request, make_plan
from jnst.drivers.record import versions
from jnst.planning.needs import Needs, needs_of
from jnst.planning.pace import Pace, at_best, from_results, measured
from jnst.planning.targets import Target, find_target
from jnst.planning.ways import scale_of, ways_of
from jnst.recipes.changing import changed
from jnst.scale.meshes import check_splits, sides_of

SCHEMA = "jnst-plan-1"
GREY = np.full((64, 64, 3), 0.5, np.float32)
"""Stands for pictures of any size: only shapes count."""


def forecast(
    recipe: Any,
    changes: Mapping[str, Any],
    *,
    size_px: int | None = None,
    weights: Any = None,
    device: str | None = None,
    devices: Any = None,
    results: str | Path | None = None,
    timed: bool = True,
    on_stage: Callable[[str], None] = lambda what: None,
) -> dict[str, Any]:
    """Say what a run on a square picture will need.

    Args:
      recipe: Name, or a recipe.
      changes: Fields of the recipe.
      size_px: Side of the picture; None for the recipe's.
      weights: Name, path or parameters.
      device: As in `jnst.planning.targets.find_target`.
      devices: Devices to split it over, as in `jnst.stylize`.
      results: File of `jnst bench --output` to take the time of a step from.
      timed: Whether to measure where there is no such file.
      on_stage: Called with what is being done.

    Returns:
      A document that `jnst.files.write_json` takes.

    Raises:
      ValueError: For what no run could use, an unknown device, or results of another.
      FileNotFoundError: If there are no weights, or no such results.
    """
    target = find_target(device)
    if not target.here:
        changes = {"convolution": "xla", **changes}
    request = Request(GREY, GREY, recipe, size_px, weights)
    if target.here:
        request = request._replace(devices=devices)
    plan = _split(_planned(request, changes), devices, target)
    last = plan.stages[-1]
    side = max(last.shape)
    earlier = None if results is None else from_results(results, plan, target, side)
    on_stage(f"compiling {side} px")
    needs = _needs(plan, target)
    pace = earlier or Pace(None, side**2, "not measured")
    if earlier is None and timed and target.here:
        on_stage("measuring a step")
        pace = measured(request, changes, last)
    scale = scale_of(plan, needs, target)
    return {
        "schema": SCHEMA,
        **_about(plan, target),
        "memory": _memory(needs, target),
        "time": _time(plan, pace, needs, target),
        "ways": list(ways_of(plan, scale, target)),
    }


def _planned(request: Request, changes: Mapping[str, Any]) -> Plan:
    """Plan a run; a size that files would have is asked for as for a file."""
    if request.size_px is None:
        size = changed(request.recipe, changes).schedule.size_px
        request = request._replace(size_px=size)
    return make_plan(request, changes)


def _split(plan: Plan, devices: Any, target: Target) -> Plan:
    """Split a plan over chips that are not here; `make_plan` does it for those here."""
    if devices is None or target.here:
        return plan
    mesh = chips_of(target.devices, target.name, devices)
    shapes = [stage.shape for stage in plan.stages]
    styles = [shape for stage in plan.stages for shape in stage.styles]
    check_splits(plan.recipe.objective, sides_of(mesh), shapes, styles=styles)
    return dataclasses.replace(plan, mesh=mesh) if mesh.size > 1 else plan


def _needs(plan: Plan, target: Target) -> Needs:
    """Say what the largest size needs, in a process that has had the sizes before.

    Each size leaves its programs, and what compiling them left behind: two sizes are
    compiled to see how much, the smallest and the largest.
    """
    first, last = plan.stages[0], plan.stages[-1]
    if not (target.shared and target.here) or first == last:
        found = needs_of(plan, last, target)
        return found._replace(compile_s=found.compile_s * len(plan.stages))
    before = needs_of(plan, first, target)
    found = needs_of(plan, last, target)
    others = len(plan.stages) - 2
    more = max(0, found.process - before.process) * others
    return Needs(
        program=found.program,
        process=found.process + more,
        highest=found.highest + more,
        compile_s=before.compile_s + found.compile_s * (1 + others),
    )


def _about(plan: Plan, target: Target) -> dict[str, Any]:
    recipe, last = plan.recipe, plan.stages[-1]
    optimizer = recipe.optimization.optimizer
    return {
        "device": target.name,
        "device_kind": target.kind,
        "devices": 1 if plan.mesh is None else plan.mesh.size,
        "versions": versions(),
        "recipe": plan.name or None,
        "loss": loss_name(recipe),
        "optimizer": optimizer if isinstance(optimizer, str) else "own",
        "dtype": recipe.dtype,
        "tile_px": recipe.objective.tile_px,
        "size_px": max(last.shape),
        "steps": sum(stage.steps for stage in plan.stages),
        "sizes": [[max(stage.shape), stage.steps] for stage in plan.stages],
    }


def _memory(needs: Needs, target: Target) -> dict[str, Any]:
    free = target.free
    return {
        "program_mib": needs.program / MIB,
        "process_mib": needs.process / MIB,
        "compiling_mib": needs.highest / MIB,
        "peak_mib": needs.peak / MIB,
        "free_mib": None if free is None else free / MIB,
        "fits": None if free is None else needs.peak <= free,
    }


def _time(plan: Plan, pace: Pace, needs: Needs, target: Target) -> dict[str, Any]:
    """Say how long a step, and all steps of all sizes, take."""
    last = plan.stages[-1]
    step = pace.at(math.prod(last.shape))
    best = at_best(plan, target, max(last.shape))
    loop = [(stage.steps, pace.at(math.prod(stage.shape))) for stage in plan.stages]
    total = None if step is None else sum(n * (s or 0.0) for n, s in loop)
    return {
        "step_ms": None if step is None else 1e3 * step,
        "source": pace.source,
        "at_best_ms": None if best is None else 1e3 * best,
        "compile_s": needs.compile_s if target.here and plan.mesh is None else None,
        "loop_s": total,
        "hours": None if total is None else total / 3600,
    }
