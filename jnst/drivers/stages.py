"""The stages of a plan: pictures at a size, the objective there, balanced weights."""

import dataclasses
from collections.abc import Callable

import jax
import numpy as np
from jaxtyping import Array

from jnst.drivers.plan import Plan
from jnst.image import resize_image
from jnst.loop.iterate import Size
from jnst.loop.optimizers import numbers_of, rule_of, searches_by
from jnst.loop.state import Begin, Start, first_image
from jnst.objective.balance import balanced, first_member
from jnst.objective.fields import ObjectiveFields, active_terms
from jnst.objective.making import Pictures, part_of
from jnst.objective.value import Objective, Structure
from jnst.recipes.schedule import Stage, resized_to
from jnst.scale.building import build
from jnst.scale.memory import tile_for
from jnst.scale.refusals import check_optimizer, check_tiles


def _on_device(pixels: np.ndarray) -> Array:
    return jax.device_put(pixels, may_alias=False)  # the caller may write to its own


def pictures_at(plan: Plan, stage: Stage) -> Pictures:
    """Bring content and styles to a stage's size."""
    schedule = plan.recipe.schedule
    styles = [
        _on_device(resized_to(style.pixels, shape, schedule))
        for style, shape in zip(plan.styles, stage.styles, strict=True)
    ]
    content = None
    if plan.content is not None:
        content = _on_device(resized_to(plan.content.pixels, stage.shape, schedule))
    shares = jax.device_put(np.asarray(plan.shares, np.float32))
    return Pictures(content, styles, shares)


def start_at(plan: Plan, stage: Stage, pictures: Pictures, steps: int) -> Start:
    """Say what a run that begins at a stage begins with."""
    shape, recipe = stage.shape, plan.recipe
    black = np.zeros((1, *shape, 3), np.float32)
    content = _on_device(black) if pictures.content is None else pictures.content
    first = None
    if plan.first is not None:
        first = _on_device(resized_to(plan.first, shape, recipe.schedule))
    return Start(
        content=content,
        style=_on_device(_mean_style(plan, shape)),
        first=first,
        zero=jax.device_put(plan.zero),
        seed=jax.device_put(np.uint32(recipe.run.seed)),
        numbers=numbers_of(recipe.optimization),
        steps=jax.device_put(np.int32(steps)),
        begin=Begin(recipe.run.init, rule_of(recipe.optimization)),
    )


def _mean_style(plan: Plan, shape: tuple[int, int]) -> np.ndarray:
    """Stretch the styles to a shape and weigh them: [1, H, W, 3], or a batch of it."""
    found = np.float32(0)
    for source, share in zip(plan.styles, plan.shares, strict=True):
        pixels = source.pixels.reshape(-1, *source.pixels.shape[-3:])
        each = np.stack([resize_image(p, shape)[None] for p in pixels])
        found = found + np.float32(share) * (
            each if source.pixels.ndim == 4 else each[0]
        )
    return np.asarray(found, np.float32)


def weighed(plan: Plan) -> Plan:
    """Replace weights of "balance" by ones for the first image of a run.

    Raises:
      ValueError: For what tiles do not serve, before any work; or if a gradient is 0 or
        not finite, so that no weight would do.
    """
    check_tiles_of(plan, plan.stages[-1])
    fields = plan.recipe.objective
    if all(term.weight != "balance" for term in fields.terms):
        return plan
    with jax.transfer_guard("allow"):  # once, and step by step: numbers go to and fro
        found = _balanced(plan)
    return dataclasses.replace(
        plan, recipe=dataclasses.replace(plan.recipe, objective=found)
    )


def _balanced(plan: Plan) -> ObjectiveFields:
    stage = plan.stages[0]
    pictures = first_member(pictures_at(plan, stage))
    start = start_at(plan, stage, pictures, stage.steps)
    one = {
        k: v[0] if v is not None and v.ndim == 5 else v
        for k, v in (("style", start.style), ("first", start.first))
    }
    start = dataclasses.replace(start, **one)
    image = first_image(start, jax.random.key(start.seed))
    fields = plan.recipe.objective
    return balanced(fields, plan.reference, plan.extract, pictures, image)


def objective_at(
    plan: Plan, stage: Stage, *, steps: int | None = None
) -> tuple[Objective, float]:
    """Make the objective at a stage of a plan, and the seconds of compiling.

    Args:
      plan: From `weighed`.
      stage: One of its stages.
      steps: Steps that a run of this objective alone takes; the stage's if absent.
    """
    pictures = pictures_at(plan, stage)
    start = start_at(plan, stage, pictures, steps or stage.steps)
    fields = plan.recipe.objective
    return build(fields, plan.extract, pictures, start, mesh=plan.mesh)


def check_tiles_of(plan: Plan, stage: Stage) -> None:
    """Raise `ValueError` if a stage is to be tiled and something does not serve."""
    fields, rule = plan.recipe.objective, rule_of(plan.recipe.optimization)
    if fields.tile_px == "none" or not tile_for(
        fields.tile_px, plan.batch, stage.shape
    ):
        return
    parts = tuple(part_of(term, plan.extract) for term in active_terms(fields.terms))
    asked = fields.normalize_gradients, fields.diagnostics, plan.batch
    structure = Structure(parts, fields.pixel_scale, *asked)
    check_tiles(structure, plan.extract)
    check_optimizer(searches_by(rule, numbers_of(plan.recipe.optimization)))


def sizes_of(plan: Plan, clock: list[float]) -> list[Size]:
    """List the sizes of a plan for `jnst.iterate`; compile times go to `clock`."""

    def maker(stage: Stage) -> Callable[[], Objective]:
        def make() -> Objective:
            objective, seconds = objective_at(plan, stage)
            clock.append(seconds)
            return objective

        return make

    return [Size(stage.steps, maker(stage)) for stage in plan.stages]
