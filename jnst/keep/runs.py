"""A run as a checkpoint has it: what is written of an event, and read to go on."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import jsonschema
import numpy as np
from jaxtyping import PyTree
from jsonschema.exceptions import best_match

from jnst.base import shown
from jnst.drivers.plan import Plan
from jnst.drivers.record import device, versions
from jnst.drivers.result import Begun
from jnst.keep.leaves import Arrays, to_arrays, to_tree
from jnst.loop.history import History, join
from jnst.loop.iterate import Event
from jnst.loop.optimizers import Rule, numbers_of, rule_of
from jnst.loop.state import begin
from jnst.objective.term import Term
from jnst.recipes.settings import read_terms, record
from jnst.splitting import put

STATE, HISTORY = "state", "history."
COUNT: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": 2**31}
SPAN = {"type": "number", "minimum": 0}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["kind", "step", "steps", "shape", "losses", "terms", "asked"],
    "properties": {
        "kind": {"const": "run"},
        "output": {"type": "string"},
        "step": COUNT | {"minimum": 1},
        "steps": COUNT,
        "shape": {"type": "array", "items": COUNT, "minItems": 2, "maxItems": 2},
        "tile_px": COUNT,
        "losses": {"type": "array", "items": {"type": "string"}},
        "terms": {"type": "array", "items": {"type": "object"}},
        "asked": {"type": "object"},
        "seconds": SPAN,
        "compile_seconds": SPAN,
        "versions": {"type": "object"},
        "command": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "params": {"type": "object"},
                "own": {
                    "type": "array",
                    "items": {
                        "type": "array",
                        "items": {"type": "string"},
                        "minItems": 3,
                        "maxItems": 3,
                    },
                },
            },
        },
    },
}
"""The form of a run's document."""


def check_document(document: Mapping[str, Any]) -> None:
    """Raise `ValueError` if a document is not that of a run."""
    error = best_match(jsonschema.Draft202012Validator(SCHEMA).iter_errors(document))
    if error is not None:
        at = ".".join(str(part) for part in error.absolute_path)
        why = error.message if len(error.message) < 90 else f"{error.message[:90]}..."
        raise ValueError(f"its document is none of a run: {shown(at)}: {shown(why)}")


def arrays_of(event: Event, history: Sequence[History]) -> Arrays:
    """Copy to the host what a run that goes on needs.

    Args:
      event: Where the run is.
      history: Losses of all steps so far, by chunk.
    """
    losses = join(history)
    return {
        **to_arrays(event.state, STATE),
        **{f"{HISTORY}{name}": np.array(values) for name, values in losses.items()},
    }


def document_of(plan: Plan, event: Event, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Tell what a run is, and where it is.

    Args:
      plan: Its weights are numbers.
      event: Where the run is.
      asked: From `identity_of`, before weights were balanced.
    """
    return {
        "kind": "run",
        "step": event.step,
        "steps": event.steps,
        "shape": list(event.objective.start.shape),
        "tile_px": event.objective.structure.tile_px,
        "losses": list(event.losses),
        "terms": record(plan.recipe)["terms"],
        "asked": asked,
        "seconds": event.seconds,
        "compile_seconds": event.compile_seconds,
        "versions": versions(),
        "device": device(),
    }


def state_of(
    rule: Rule, numbers: Mapping[str, Any], shape: Sequence[int], batch: int | None
) -> PyTree:
    """Return the shapes of a state, computing nothing.

    Args:
      rule: What of the optimiser is compiled.
      numbers: Its scalars.
      shape: Height and width of the image.
      batch: Number of pictures; None for one.
    """
    image = jax.ShapeDtypeStruct((1, *shape, 3), jnp.float32)
    like = jax.eval_shape(
        lambda image, numbers, key: begin(image, rule, numbers, key),
        image,
        dict(numbers),
        jax.random.key(0),
    )
    if batch is None:
        return like
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct((batch, *x.shape), x.dtype), like
    )


def begun_of(
    plan: Plan, arrays: Mapping[str, np.ndarray], document: Mapping[str, Any]
) -> Begun:
    """Rebuild where a run was.

    Args:
      plan: Of the same run; its weights may still be "balance".
      arrays: Of a checkpoint.
      document: Of it, as `check_document` has it.

    Raises:
      ValueError: If the state is not that of this plan, or not where it says.
    """
    shape, step = tuple(document["shape"]), document["step"]
    total = sum(stage.steps for stage in plan.stages)
    if document["steps"] != total or not 0 < step < total:
        raise ValueError(f"it is at step {step} of {document['steps']}, not of {total}")
    if shape != shape_at(plan, step):
        raise ValueError(f"it is at {shape}, where step {step} is at another size")
    fields = plan.recipe.optimization
    like = state_of(rule_of(fields), numbers_of(fields), shape, plan.batch)
    state = to_tree(arrays, like, STATE)
    if not np.all(np.asarray(state.step) == step):
        raise ValueError(f"its state is not at step {step}")
    whole = _weighed(plan, document["terms"])
    state = put(state, plan.mesh, batch=plan.batch)
    history = _history(arrays, whole, step, document["losses"])
    spans = document.get("seconds", 0.0), document.get("compile_seconds", 0.0)
    return Begun(whole, jax.device_put(state), history, *spans)


def shape_at(plan: Plan, step: int) -> tuple[int, int]:
    """Return height and width of the image as a step has left it."""
    end = 0
    for stage in plan.stages:
        end += stage.steps
        if step <= end:
            return stage.shape
    raise ValueError(f"there is no step {step}")


def _weighed(plan: Plan, terms: Sequence[Mapping[str, Any]]) -> Plan:
    """Take the weights that were balanced as the run began.

    Raises:
      ValueError: If anything else is not as in the recipe.
    """
    objective = plan.recipe.objective
    found = [_balanced(*each) for each in _pairs(objective.terms, read_terms(terms))]
    objective = dataclasses.replace(objective, terms=tuple(found))
    recipe = dataclasses.replace(plan.recipe, objective=objective)
    return dataclasses.replace(plan, recipe=recipe)


def _pairs(now: Sequence[Term], then: Sequence[Term]) -> list[tuple[Term, Term]]:
    if [term.name for term in now] != [term.name for term in then]:
        raise ValueError("its terms are not those of the recipe")
    return list(zip(now, then, strict=True))


def _balanced(term: Term, then: Term) -> Term:
    if term.weight != "balance":
        return term
    if isinstance(then.weight, str):
        raise ValueError(f"its weight of {term.name!r} is no number")
    more = {"weight": then.weight, "layer_weights": then.layer_weights}
    return dataclasses.replace(term, **more)


def _history(
    arrays: Mapping[str, np.ndarray], plan: Plan, step: int, names: Sequence[str]
) -> History:
    batch = () if plan.batch is None else (plan.batch,)
    found = {
        name.removeprefix(HISTORY): values
        for name, values in arrays.items()
        if name.startswith(HISTORY)
    }
    if "loss" not in found or set(names) != set(found):
        raise ValueError("its history is not of the losses that it names")
    for name, values in found.items():
        if values.shape != (*batch, step) or values.dtype != np.float32:
            raise ValueError(
                f"its history of {name!r} is {values.dtype} {list(values.shape)}"
            )
    return {name: found[name] for name in names}
