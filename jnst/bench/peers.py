"""Others that run the same objective, timed in turn with us and held to our losses.

To add a peer, add a function to `PEERS` that makes a `Peer` of a case.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnst.base import Params
from jnst.bench import three_passes
from jnst.bench.cases import OBJECTIVE, Case, make_pictures
from jnst.bench.measure import Row, on_host, timings
from jnst.bench.memory import torch_and_jnst_memory
from jnst.bench.prepared import Prepared, objective_of
from jnst.loop.state import init
from jnst.network.layers import backbone_of, canonical_layer, layer_names
from jnst.objective.features import make_network
from jnst.objective.fields import active_terms
from jnst.objective.making import weight_arrays
from jnst.objective.term import TERM_FIELDS
from jnst.program import compiled
from jnst.recipes.recipe import PARTS, Recipe
from jnst.weights.network import as_arrays

Losses = dict[str, np.ndarray]
TOLERANCES = {"float32": (1e-4, 2), "bfloat16": (0.1, 1)}
"""Relative deviation allowed between a peer's loss and ours, and at how many steps.

In bfloat16 each side rounds elsewhere, and Adam's first step, which knows the sign of a
gradient alone, makes of it another image."""
WARMUP = max(steps for _, steps in TOLERANCES.values())
TORCH_FIELDS = {
    *("style_layers", "style_layer_weights", "style_weight", "content_layers"),
    *("content_layer_weights", "content_weight", "tv_weight", "dtype"),
    "precision",
    *("learning_rate", "beta1", "beta2", "epsilon", "convolution", "memory"),
    *("ema", "returns", "decay_steps", "moments", "cooldown"),
}
"""Fields of a recipe that PyTorch's side follows, or that change no number of it."""


class Peer(NamedTuple):
    """Another implementation, ready to run.

    Attributes:
      calls: Functions by name, each of which takes as many steps as ours and waits.
      check: Raises unless our losses {term: [N, steps]} are its own, to a tolerance.
      row: Makes fields of a row from the seconds of all calls and steps a call.
    """

    calls: dict[str, Callable[[], Any]]
    check: Callable[[Losses], None]
    row: Callable[[dict[str, list[float]], int], Row]


def check_agreement(name: str, ours: Losses, theirs: Losses, dtype: str) -> None:
    """Raise `FloatingPointError` unless two sides' terms agree at the first steps.

    Args:
      name: The peer, for the message.
      ours: {"loss" and terms: [N, steps]}.
      theirs: The same.
      dtype: Key of `TOLERANCES`, which hold for the loss and for every term.
    """
    rtol, steps = TOLERANCES[dtype]
    for term in sorted(ours):
        mine, other = ours[term][:, :steps], theirs[term][:, :steps]
        if not np.allclose(mine, other, rtol=rtol, atol=0):
            raise FloatingPointError(
                f"{name} does not compute the same: {term} of the first steps is "
                f"{mine.ravel().tolist()} here and {other.ravel().tolist()} there"
            )


def _flat(recipe: Recipe) -> dict[str, Any]:
    """Fields of objective and optimiser by their flat names."""
    found: dict[str, Any] = {"terms": [t.name for t in recipe.objective.terms]}
    for term in recipe.objective.terms:
        found |= {f"{term.name}_{k}": getattr(term, k) for k in TERM_FIELDS}
    for part in ("objective", "optimization"):
        names = [field.name for field in dataclasses.fields(PARTS[part])]
        found |= {k: getattr(recipe, k) for k in names if k != "terms"}
    return found


def check_torch_recipe(recipe: Recipe) -> None:
    """Raise `ValueError` for what PyTorch's side of the benchmark does not have."""
    ours, usual = _flat(recipe), _flat(OBJECTIVE)
    for name, has in usual.items():
        if name not in TORCH_FIELDS and ours[name] != has:
            raise ValueError(
                f"--peer torch runs the objective of `jnst bench` without --recipe: it "
                f"has {name}={has}, not {ours[name]}"
            )


def torch_spec(case: Case, params: Params, steps: int) -> dict[str, Any]:
    """Tell a recipe to PyTorch's side, in plain numbers and names."""
    recipe, backbone = case.recipe, backbone_of(params)
    terms = {term.name: term for term in active_terms(recipe.objective.terms)}
    weights, factors = weight_arrays(recipe.objective.terms)
    spec: dict[str, Any] = {"steps": steps, "dtype": recipe.dtype}
    spec["precision"] = recipe.precision
    for kind in ("content", "style"):
        names = terms[kind].layers if kind in terms else ()
        spec[f"{kind}_layers"] = [canonical_layer(name, backbone) for name in names]
        spec[f"{kind}_factors"] = [float(x) for x in factors.get(kind, ())]
    for kind in ("content", "style", "tv"):
        spec[f"{kind}_weight"] = float(weights.get(kind, 0.0))
    spec["betas"] = [recipe.beta1, recipe.beta2]
    spec |= {"learning_rate": recipe.learning_rate, "epsilon": recipe.epsilon}
    names = layer_names(backbone)
    used = [*spec["content_layers"], *spec["style_layers"]]
    depth = max((names.index(name) for name in used), default=-1)
    return spec | {"names": names[: depth + 1]}


def torch_arrays(case: Case, params: Params, names: list[str]) -> dict[str, np.ndarray]:
    """Gather what PyTorch's side starts from: pictures, and parameters in use."""
    pictures, flat = make_pictures(case), as_arrays(params)
    used = {k: v for k, v in flat.items() if k.split(".")[0] in (*names, "preprocess")}
    return used | {
        "first": pictures.first[:, 0],
        "contents": pictures.contents[:, 0],
        "style": pictures.style,
    }


def _fields(name: str, theirs: str, seconds: dict[str, list[float]], steps: int) -> Row:
    """Fields of a row that every peer has."""
    found = timings(seconds[theirs], steps)
    ratios = np.divide(seconds["jnst"], seconds[theirs])
    return {
        "peer": name,
        "peer_step_ms": found["step_ms"],
        "peer_step_ms_deciles": found["step_ms_deciles"],
        "peer_samples_ms": found["samples_ms"],
        "ratio": float(np.median(ratios)),
    }


def make_torch(case: Case, params: Params, prepared: Prepared) -> Peer:
    """Set up PyTorch in both of its memory layouts.

    Raises:
      ValueError: If PyTorch is not installed, or has not what the recipe asks.
    """
    check_torch_recipe(case.recipe)
    torch, side = import_torch()
    threads = side.use_threads()
    spec = torch_spec(case, params, prepared.steps_per_call)
    arrays = torch_arrays(case, params, spec["names"])
    calls = {
        f"torch {layout}": side.make_step(
            arrays, spec, layout, side.make_network(arrays, spec, layout)
        )
        for layout in side.LAYOUTS
    }

    def check(ours: Losses) -> None:
        for name, call in calls.items():
            found = [one for _ in range(WARMUP) for one in call()]
            stacked = {k: np.stack([f[k].cpu() for f in found], -1) for k in found[0]}
            check_agreement(name, ours, stacked, case.recipe.dtype)

    def row(seconds: dict[str, list[float]], steps: int) -> Row:
        medians = {name: float(np.median(seconds[name])) for name in calls}
        best = min(medians, key=medians.__getitem__)
        layout = best.removeprefix("torch ")
        found = _fields("torch", best, seconds, steps) | {
            "peer_version": torch.__version__,
            "peer_device": str(side.pick_device()),
            "peer_threads": threads,
            "peer_layout": layout,
            "peer_layouts_ms": {k: 1e3 * v / steps for k, v in medians.items()},
        }
        spec["layout"] = layout
        return found | torch_and_jnst_memory(case, params, arrays, spec)

    return Peer(calls, check, row)


def import_torch() -> tuple[Any, Any]:
    """Import PyTorch and our side of it.

    Raises:
      ValueError: If it is not installed.
    """
    try:
        import torch  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise ValueError(
            "--peer torch needs PyTorch: install the extra 'torch', as in "
            "`pip install 'jnst[torch]'`"
        ) from None
    from jnst.bench import torch_peer

    return torch, torch_peer


def check_pattern(case: Case) -> None:
    """Raise `ValueError` for what is not in the pattern of Keras' example."""
    three_passes.check_terms(case.recipe.objective.terms)
    if case.batch != 1:
        raise ValueError(f"--peer keras runs one image at a time, got {case.batch}")


def make_three_passes(case: Case, params: Params, prepared: Prepared) -> Peer:
    """Set up the pattern of Keras' example, see `jnst.bench.three_passes`.

    Raises:
      ValueError: For a batch, or a recipe that the pattern does not have.
    """
    check_pattern(case)
    objective, first, _ = objective_of(
        case, make_network(params, case.recipe.objective)
    )
    state = init(objective, first)
    given = objective.start.content, objective.start.style
    look, length = prepared.steps_per_call, prepared.steps_per_run
    numbers = jnp.arange(length)
    carry = jax.tree.map(jnp.copy, (state.image, state.optimizer))
    arguments = objective, carry, state, given, numbers
    program, _ = compiled(three_passes.run_steps, arguments, donated=(1,))
    box = [carry, 0]

    def step() -> list[dict[str, jax.Array]]:
        found = []
        for _ in range(look // length):
            here = numbers + box[1]
            box[0], losses = program(objective, box[0], state, given, here)
            box[1] += length
            found.append(losses)
        jax.block_until_ready(box[0])
        return found

    name = "three passes (Keras example's pattern)"

    def check(ours: Losses) -> None:
        theirs = on_host([one for _ in range(WARMUP) for one in step()])
        check_agreement(name, ours, theirs, case.recipe.dtype)

    def row(seconds: dict[str, list[float]], steps: int) -> Row:
        return _fields(name, name, seconds, steps)

    return Peer({name: step}, check, row)


PEERS: dict[str, Callable[[Case, Params, Prepared], Peer]] = {
    "torch": make_torch,
    "keras": make_three_passes,
}
"""Peers by what `--peer` takes."""


def check_peer(peer: str, cases: Sequence[Case]) -> None:
    """Raise `ValueError` before any work if a peer cannot run one of the cases."""
    if peer == "torch":
        import_torch()
    for case in cases:
        if peer == "torch":
            check_torch_recipe(case.recipe)
        else:
            check_pattern(case)
