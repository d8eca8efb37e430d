"""PyTorch as a peer: a recipe told to it, and the best of its variants.

`torch_peer.py` is PyTorch's side and knows nothing of JAX; this is ours of it.
"""

import dataclasses
import functools
import gc
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import numpy as np

from jnst.base import Params
from jnst.bench.agreement import Losses, Peer, check_agreement, peer_fields
from jnst.bench.cases import OBJECTIVE, Case, make_pictures
from jnst.bench.measure import Row
from jnst.bench.memory import torch_and_jnst_memory
from jnst.bench.prepared import Prepared
from jnst.network.layers import backbone_of, canonical_layer, layer_names
from jnst.objective.fields import active_terms
from jnst.objective.making import weight_arrays
from jnst.objective.term import TERM_FIELDS
from jnst.recipes.recipe import PARTS, Recipe
from jnst.weights.network import as_arrays

TRIALS = 2
"""Calls of a variant's trial, after the first."""
FINALISTS = 2
"""Variants that are timed in turn with us: the fastest of their trials."""
TORCH_FIELDS = {
    *("style_layers", "style_layer_weights", "style_weight", "content_layers"),
    *("content_layer_weights", "content_weight", "tv_weight", "dtype"),
    "precision",
    *("learning_rate", "beta1", "beta2", "epsilon", "convolution", "memory"),
    *("ema", "returns", "decay_steps", "moments", "cooldown"),
}
"""Fields of a recipe that PyTorch's side follows, or that change no number of it."""


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


class Trial(NamedTuple):
    """A variant of PyTorch's that ran a little.

    Attributes:
      call: Takes as many steps as ours and waits; the state goes on from call to call.
      losses: Terms at its first steps, [N, steps].
      step_ms: The better of `TRIALS` calls, per step.
      compile_s: By how much the first call took longer: PyTorch compiles there, and
        chooses among its kernels.
    """

    call: Callable[[], Any]
    losses: Losses
    step_ms: float
    compile_s: float


def try_variant(make: Callable[[], Callable[[], Any]], steps: int) -> Trial:
    """Set up one variant and call it a few times.

    Args:
      make: Sets up a call of `steps` steps.
      steps: Steps of a call.

    Returns:
      Its times, and its losses from the first step on.
    """
    call, found, seconds = make(), [], []
    for _ in range(1 + TRIALS):
        start = time.perf_counter()
        found += call()
        seconds.append(time.perf_counter() - start)
    losses = {k: np.stack([f[k].cpu() for f in found], -1) for k in found[0]}
    best = min(seconds[1:])
    return Trial(call, losses, 1e3 * best / steps, max(0.0, seconds[0] - best))


def one_line(error: Exception) -> str:
    """Return an error's type and first line; after a colon, the next one too."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = lines[: 2 if lines and lines[0].endswith(":") else 1]
    return " ".join([f"{type(error).__name__}:", *told])


def try_variants(
    variants: Mapping[str, Callable[[], Callable[[], Any]]],
    steps: int,
    may_fail: Collection[str],
) -> tuple[dict[str, Trial], dict[str, str]]:
    """Try variants one after the other; only the calls of the best are kept alive.

    Args:
      variants: What sets each up, by name.
      steps: Steps of a call.
      may_fail: Variants that are left out where they fail, as without a C++ compiler.

    Returns:
      Trials by name, the fastest first: those beyond the first `FINALISTS` have no
      call any more, and the memory behind it is free. And why others were left out.
    """
    trials: dict[str, Trial] = {}
    left_out: dict[str, str] = {}
    for name, make in variants.items():
        try:
            trials[name] = try_variant(make, steps)
        except Exception as error:  # of many types: PyTorch's, compilers', Triton's
            if name not in may_fail:
                raise
            left_out[name] = one_line(error)
        order = sorted(trials, key=lambda name: trials[name].step_ms)
        for slow in order[FINALISTS:]:
            trials[slow] = trials[slow]._replace(call=_gone)
        trials = {name: trials[name] for name in order}
        gc.collect()
    return trials, left_out


def _gone() -> None:
    raise RuntimeError("a variant that was not among the fastest is called again")


def make_torch(case: Case, params: Params, prepared: Prepared) -> Peer:
    """Try PyTorch's variants, and set up the fastest.

    Raises:
      ValueError: If PyTorch is not installed, or has not what the recipe asks.
    """
    check_torch_recipe(case.recipe)
    torch, side = import_torch()
    threads, steps = side.use_threads(), prepared.steps_per_call
    spec = torch_spec(case, params, steps)
    arrays = torch_arrays(case, params, spec["names"])
    names = side.variant_names(spec["dtype"])

    def make(name: str) -> Callable[[], Any]:
        network = side.make_network(arrays, spec, name)
        return side.make_step(arrays, spec, name, network)

    side.forget_compiled()
    makers = {name: functools.partial(make, name) for name in names}
    trials, left_out = try_variants(makers, steps, side.compiled_names(names))
    calls = {f"torch {k}": trials[k].call for k in list(trials)[:FINALISTS]}

    def check(ours: Losses) -> None:
        for name, trial in trials.items():
            check_agreement(f"torch {name}", ours, trial.losses, case.recipe.dtype)

    def row(seconds: dict[str, list[float]], steps: int) -> Row:
        medians = {name: float(np.median(seconds[name])) for name in calls}
        best = min(medians, key=medians.__getitem__)
        variant = best.removeprefix("torch ")
        found = peer_fields("torch", best, seconds, steps) | {
            "peer_version": torch.__version__,
            "peer_device": str(side.pick_device()),
            "peer_threads": threads,
            "peer_variant": variant,
            "peer_layout": side.VARIANTS[variant].layout,
            "peer_variants_ms": {k: trial.step_ms for k, trial in trials.items()},
            "peer_left_out": left_out,
            "peer_compile_s": trials[variant].compile_s,
        }
        told = spec | {"variant": variant}
        return found | torch_and_jnst_memory(case, params, arrays, told)

    return Peer(calls, check, row)
