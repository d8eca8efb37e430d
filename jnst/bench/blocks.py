"""Where a step's time goes: each block of the network, the losses, the optimiser.

Each part is a program of its own, forward and backward, on what the parts before it
give: a block gets the maps of the pooling before it, and gradients at its end and at
each layer that a term asks of it. Together they take longer than the step, in which XLA
joins what follows each other and writes less; the table tells both.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array
from tabulate import tabulate

from jnst.base import FeatureMap, Features, Image, Scalar
from jnst.bench.cases import Case
from jnst.bench.measure import Row, Timer, time_in_turn, timings
from jnst.bench.modes import in_a_row
from jnst.bench.prepared import Prepared
from jnst.loop.state import State
from jnst.loop.step import moved
from jnst.network.layers import (
    IMAGE_LAYER,
    Section,
    backbone_of,
    layer_names,
    sections,
)
from jnst.objective.features import Network, View, features_of, halved
from jnst.objective.turns import at_turn
from jnst.objective.value import Objective, add_up, losses_of, weighed
from jnst.program import compiled

Call = tuple[Callable[..., Any], tuple[Any, ...], tuple[Any, ...]]
"""A function, its arrays, and what it is compiled for."""


class Level(NamedTuple):
    """One level of a pyramid; most recipes have one.

    Attributes:
      pixels: The image there, in [0, 1].
      layers: What terms look at, "image" too.
    """

    pixels: Image
    layers: tuple[str, ...]


def section_out(network: Network, maps: FeatureMap, section: Section) -> Features:
    """Compute the end of a section, and what is asked of it."""
    asked = tuple(dict.fromkeys([*section.layers, section.end]))
    return network.section(maps, asked, after=section.after)


def section_both_ways(
    network: Network, maps: FeatureMap, slopes: Features, section: Section
) -> tuple[Features, FeatureMap]:
    """Compute the same, and the gradient at `maps` from those at the results."""
    found, pull = jax.vjp(lambda x: section_out(network, x, section), maps)
    return found, pull(slopes)[0]


def judged(
    objective: Objective,
    image: Image,
    levels: tuple[Features, ...],
    key: Array,
    sizes: tuple[tuple[int, int], ...],
) -> tuple[Scalar, Any]:
    """Compute the loss from what the terms see, and its gradient at all of that."""

    def value(image: Image, levels: tuple[Features, ...]) -> Scalar:
        pixels = image / objective.structure.pixel_scale
        view = View(image, pixels, sizes, levels)
        return add_up(weighed(objective, losses_of(objective, view, key)))

    return jax.value_and_grad(value, (0, 1))(image, levels)


def levels_of(objective: Objective, image: Image) -> list[Level]:
    """List the levels that the terms look at, the whole image first."""
    parts, pixels = objective.structure.parts, image / objective.structure.pixel_scale
    found = []
    for level in range(max(part.pyramid for part in parts)):
        asked = [k for part in parts if part.pyramid > level for k in part.layers]
        found.append(Level(halved(pixels, level), tuple(dict.fromkeys(asked))))
    return found


def block_calls(network: Network, level: Level) -> dict[str, Call]:
    """Return what each block of a level computes, by name ("conv1", ...)."""
    backbone = backbone_of(network.params)
    cuts = [name for name in layer_names(backbone) if name.startswith("pool")]
    layers = [name for name in level.layers if name != IMAGE_LAYER]
    cut = sections(backbone, layers, cuts=cuts) if layers else []
    found, maps = {}, level.pixels
    for number, section in enumerate(cut, 1):
        out = jax.jit(section_out, static_argnums=2)(network, maps, section)
        given = network, maps, out  # any gradient will do: that of out^2 / 2
        found[f"conv{number}"] = section_both_ways, given, (section,)
        maps = out[section.end]
    return found


def parts_of(objective: Objective, state: State) -> dict[str, list[Call]]:
    """Return what each part of a step computes, in order; several for a pyramid."""
    objective, key = at_turn(objective, state.step), jax.random.key(0)
    levels = levels_of(objective, state.image)
    found: dict[str, list[Call]] = {}
    for level in levels:
        for name, call in block_calls(objective.extract, level).items():
            found.setdefault(name, []).append(call)
    features = jax.jit(features_of, static_argnums=2)
    seen = [features(objective.extract, x.pixels, x.layers) for x in levels]
    sizes = tuple((x.pixels.shape[1], x.pixels.shape[2]) for x in levels)
    given = objective, state.image, tuple(seen), key
    found["losses"] = [(judged, given, (sizes,))]
    loss = jnp.zeros((), state.image.dtype)
    slope = jnp.copy(state.image)
    found["optimiser"] = [(moved, (objective, state, (loss, slope, {}), key), ())]
    return found


def _runner(calls: list[Call], times: int) -> tuple[Callable[[], Any], float]:
    """Compile a part; return what runs it so many times, and its GFLOP by XLA."""
    programs, flops = [], 0.0
    for function, arrays, static in calls:
        program, _ = compiled(function, arrays, static=static)
        cost = program.lower(*arrays, *static).compile().cost_analysis()
        programs.append((program, arrays, static))
        flops += cost["flops"]

    def run() -> list[Any]:
        found = [program(*arrays, *static) for program, arrays, static in programs]
        # One small result is ready when its program is; the others may go.
        return [min(jax.tree.leaves(each), key=lambda x: x.size) for each in found]

    return lambda: in_a_row(run, times), flops / 1e9


def measure_blocks(
    prepared: Prepared, *, repeats: int = 7, timer: Timer = time_in_turn
) -> Row:
    """Time each part of a step, in turn with the whole.

    Args:
      prepared: A case of one image on one device, ready to run.
      repeats: Timed calls of each.
      timer: Who holds the clock.

    Returns:
      {"blocks": a row a part: "block", "ms" and "ms_deciles" of one evaluation, "share"
      of all parts together, "gflop" as XLA counts what it executes}, and
      "blocks_over_step", all parts together by the step measured beside them.
    """
    objective, state = prepared.objective, prepared.begin()
    times = prepared.steps_per_call
    parts = parts_of(objective, state)
    made = {name: _runner(calls, times) for name, calls in parts.items()}
    calls = {name: run for name, (run, _) in made.items()} | {"step": prepared.step}
    for call in calls.values():
        call()
    seconds = timer(calls, repeats)
    spent = {name: timings(found, times) for name, found in seconds.items()}
    step = spent.pop("step")["step_ms"]
    total = sum(each["step_ms"] for each in spent.values())
    rows = [
        {"block": name, "ms": each["step_ms"], "ms_deciles": each["step_ms_deciles"]}
        | {"share": each["step_ms"] / total, "gflop": made[name][1]}
        for name, each in spent.items()
    ]
    return {"blocks": rows, "blocks_over_step": total / step}


def check_blocks(cases: Sequence[Case]) -> None:
    """Raise `ValueError` for a case whose blocks are not told apart."""
    for case in cases:
        if (case.batch, case.devices, case.mode) != (1, "1", "step"):
            raise ValueError(
                "--blocks looks at whole steps of one image on one device: leave "
                "--batch, --devices and --modes out"
            )


def blocks_table(rows: Sequence[Row]) -> str:
    """Return the parts of every row that has them as a table; "" if none has."""
    found = [
        {
            "px": row["size_px"],
            "dtype": row["dtype"],
            "loss": row["loss"],
            "block": each["block"],
            "ms": f"{each['ms']:.4g}",
            "share": f"{each['share']:.1%}",
            "GFLOP": f"{each['gflop']:.3g}",
            "GFLOP/s": f"{each['gflop'] / each['ms'] * 1e3:.3g}",
        }
        for row in rows
        for each in row.get("blocks", [])
    ]
    return tabulate(found, headers="keys", disable_numparse=True) if found else ""
