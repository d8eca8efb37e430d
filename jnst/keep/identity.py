"""What makes two runs one: recipe, pictures, network, sizes; and where they differ."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from jnst.base import shown
from jnst.drivers.plan import Plan
from jnst.files import as_json
from jnst.recipes.settings import record
from jnst.splitting import AXES
from jnst.studying.folder import differences

Asked = dict[str, Any]


def identity_of(plan: Plan) -> Asked:
    """Return all that decides the bits of a run's picture, as JSON has it.

    Args:
      plan: Of the run; its weights may still be "balance".
    """
    mesh, inputs = plan.mesh, plan.inputs
    return as_json({
        "content": inputs["content"],
        "styles": inputs["styles"],
        "init": inputs["init"],
        "blend": plan.shares,
        "weights": plan.weights.get("tensors_sha256"),
        "recipe": record(plan.recipe),
        "stages": [stage._asdict() for stage in plan.stages],
        "devices": [mesh.shape[name] for name in AXES] if mesh else None,
        "double": bool(jnp.zeros(0).dtype == jnp.float64),
    })  # fmt: skip


def difference(now: Mapping[str, Any], then: Mapping[str, Any]) -> str:
    """Say in a few words where two runs differ first; "" if nowhere.

    Args:
      now: From `identity_of`.
      then: The same of a checkpoint.
    """
    for what in ("content", "init"):
        found = _other_picture(what, now.get(what), then.get(what))
        if found:
            return found
    styles, before = now.get("styles"), then.get("styles")
    if isinstance(styles, list) and isinstance(before, list):
        for one, other in zip(styles, before, strict=False):
            found = _other_picture("style", one, other)
            if found:
                return found
    if now.get("weights") != then.get("weights"):
        return f"weights: {_short(now)} now, {_short(then)} then"
    found = differences(dict(now), dict(then))
    return found.removeprefix("recipe ").removeprefix("terms ")


def _other_picture(what: str, now: Any, then: Any) -> str:
    """Tell pictures apart by their hashes; a name alone changes nothing."""
    pair = isinstance(now, Mapping) and isinstance(then, Mapping)
    if not pair or now.get("sha256") == then.get("sha256"):
        return ""
    if now.get("name") == then.get("name"):
        return f"{what} {shown(now.get('name'))} has changed"
    return f"{what} is {shown(now.get('name'))} now, {shown(then.get('name'))} then"


def _short(asked: Mapping[str, Any]) -> str:
    return str(asked.get("weights"))[:12]


def unnamed(asked: Asked) -> Asked:
    """Return an identity without the names of pictures, which decide nothing."""

    def bare(about: Any) -> Any:
        if isinstance(about, list):
            return [bare(each) for each in about]
        if isinstance(about, Mapping):
            return {k: v for k, v in about.items() if k != "name"}
        return about

    pictures = ("content", "styles", "init")
    return {k: bare(v) if k in pictures else v for k, v in asked.items()}
