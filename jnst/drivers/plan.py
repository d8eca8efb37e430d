"""All that is decided before a run: pictures, sizes, network, weights; then objectives.

`make_plan` checks everything that can be wrong, before any work.
"""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import numpy as np
from jax.sharding import Mesh
from jaxtyping import PyTree

from jnst.base import Number, check_one_of
from jnst.bounds import SIDE, Range
from jnst.drivers.networks import own_of, vgg_of, with_layers
from jnst.drivers.shapes import Given, plan_stages
from jnst.drivers.sources import (
    ImageLike,
    as_content,
    as_source,
    as_styles,
    batch_of,
)
from jnst.fitting import fit
from jnst.loop.initial import INITS
from jnst.memory import release_freed
from jnst.objective.features import Own
from jnst.objective.fields import ObjectiveFields
from jnst.objective.term import kind_of
from jnst.recipes.changing import changed, named, resolve
from jnst.recipes.recipe import Recipe
from jnst.recipes.schedule import Source, Stage
from jnst.recipes.table import RECIPES
from jnst.scale.meshes import OWN_WHOLE, check_splits, make_mesh, sides_of

Share = Annotated[Number, Range(0, text="weights >= 0 with a sum above 0")]


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is about to run.

    Attributes:
      stages: Sizes and steps from coarse to fine.
      recipe: The recipe in effect; weights may still be "balance".
      reference: Fields whose terms "balance" measures by.
      weights: Provenance of the weights file; empty for parameters given as arrays.
      name: Name of the recipe it is made of; empty for one without.
      content: Content image; None for a texture.
      styles: Style images.
      shares: Weight of each style, summing to 1.
      blend: The same as it was given.
      first: First image, in [0, 1]; None for the recipe's.
      init: What was given for it.
      extract: Where features come from.
      zero: Colour that the network sees as zero.
      mesh: Devices that the run is split over; None for one.
    """

    stages: list[Stage]
    recipe: Recipe
    reference: ObjectiveFields
    weights: dict[str, str]
    name: str
    content: Source | None
    styles: list[Source]
    shares: list[float]
    blend: list[float] | None
    first: np.ndarray | None
    init: Any
    extract: PyTree
    zero: np.ndarray
    mesh: Mesh | None = None

    @property
    def batch(self) -> int | None:
        """Number of pictures; None for one."""
        content = [self.content] if self.content else []
        return batch_of([*content, *self.styles])

    @property
    def inputs(self) -> dict[str, Any]:
        """Where the pictures are from, as a record keeps it."""
        return {
            "recipe_name": self.name or None,
            "content": self.content.about if self.content else None,
            "styles": [style.about for style in self.styles],
            "blend": self.blend,
            "init": self.init,
            "devices": None if self.mesh is None else list(self.mesh.devices.shape),
        }


def _shares(blend: Sequence[float] | None, count: int) -> list[float]:
    weights = [1.0] * count if blend is None else list(blend)
    if len(weights) != count:
        raise ValueError(f"blend has {len(weights)} weights for {count} styles")
    if not (min(weights) >= 0 and 0 < sum(weights) < float("inf")):
        raise ValueError(f"blend must be weights >= 0 with a sum above 0, got {blend}")
    return [weight / sum(weights) for weight in weights]


def without_content(recipe: Recipe) -> Recipe:
    """Turn a recipe into one for textures: no content, not even to begin with."""
    terms = tuple(
        dataclasses.replace(term, weight=0.0)
        if kind_of(term.loss) == "content"
        else term
        for term in recipe.objective.terms
    )
    init = "noise" if recipe.run.init in ("content", "noise_mix") else recipe.run.init
    return dataclasses.replace(recipe, terms=terms, init=init)


def _initial(
    recipe: Recipe, init: ImageLike | None, content: Any, batch: int | None
) -> tuple[Recipe, np.ndarray | None, Any]:
    """Split `init` into the name of a row of `INITS`, or an image; and what is told."""
    if init is None:
        return recipe, None, None
    if isinstance(init, str) and (init in INITS or not os.path.isfile(init)):
        check_one_of("init (and no such file)", init, INITS)
        if content is None and init in ("content", "noise_mix"):
            raise ValueError(f"init {init!r} needs a content image")
        return dataclasses.replace(recipe, init=init), None, init
    source = as_source("init", init, sized=False, outside=True)
    if source.pixels.ndim == 4 and len(source.pixels) != batch:
        raise ValueError(f"init has {len(source.pixels)} images for {batch or 1}")
    return recipe, source.pixels, source.about


class Request(NamedTuple):
    """What a user asks for beside fields; see `jnst.stylize`.

    Attributes:
      content: One image, a batch, or None for a texture.
      style: One or several.
      recipe: Name, or a recipe.
      size_px: Size asked for by hand.
      weights: Name, path or parameters.
      extract: A user's own features, in place of a network and its weights.
      init: First image.
      blend: Weight of each style.
      shape: Height and width of a texture.
      devices: Devices to split the run over; None for one.
      members: Members of a sweep that run side by side, as pictures of a batch do.
    """

    content: Any
    style: Any
    recipe: str | Recipe
    size_px: int | None = None
    weights: Any = None
    extract: Callable[..., Any] | None = None
    init: ImageLike | None = None
    blend: Sequence[float] | None = None
    shape: tuple[int, int] | None = None
    devices: Any = None
    members: int | None = None


def make_plan(request: Request, changes: Mapping[str, Any]) -> Plan:
    """Decide all that a run needs, and raise for what no run could use.

    Args:
      request: What is asked for.
      changes: Fields of the recipe.

    Raises:
      ValueError: For anything no run could use.
      FileNotFoundError: For a missing image, or no weights anywhere.
    """
    content, style, recipe, size_px, weights, extract, init = request[:7]
    blend, shape = _fitted(request)
    if extract is not None and weights is not None:
        raise ValueError("extract brings features of its own: leave weights out")
    sized = size_px is not None
    chosen = resolve(recipe, all_changes(request, changes))
    source, styles = as_content(content, sized=sized), as_styles(style, sized=sized)
    batch = batch_of([*([source] if source else []), *styles])
    chosen, first, told = _initial(chosen, init, content, batch)
    chosen = without_content(chosen) if source is None else chosen
    reference = _reference(recipe).objective
    mesh = make_mesh(request.devices, request.members or batch)
    if extract is None:
        seen = vgg_of(weights, chosen, reference, spread=mesh is not None)
    elif mesh is None:
        seen = own_of(extract, chosen)
    else:
        raise ValueError(f"extract cannot be split over devices: {OWN_WHOLE}")
    found = plan_stages(Given(source, styles, shape), chosen.schedule, seen)
    if mesh is not None:
        shapes = [stage.shape for stage in found]
        seen_too = [shape for stage in found for shape in stage.styles]
        check_splits(chosen.objective, sides_of(mesh), shapes, styles=seen_too)
    network = seen.extract(int(np.prod(found[-1].shape)))
    if isinstance(network, Own):
        chosen = with_layers(chosen, network, found[-1].shape)
    release_freed()
    return Plan(
        stages=found,
        recipe=chosen,
        reference=reference,
        weights=seen.weights,
        name=recipe if isinstance(recipe, str) else "",
        content=source,
        styles=styles,
        shares=_shares(blend, len(styles)),
        blend=None if blend is None else list(blend),
        first=first,
        init=told,
        extract=network,
        zero=seen.zero,
        mesh=mesh,
    )


def all_changes(request: Request, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return all that changes the recipe: the fields, and the size asked for."""
    asked = request.size_px
    return {**changes, **({} if asked is None else {"size_px": asked})}


def renumbered(plan: Plan, request: Request, changes: Mapping[str, Any]) -> Plan:
    """Plan a run that differs from another in numbers and the first image alone.

    Args:
      plan: The other, whose pictures, sizes and network are taken.
      request: What is asked for, as in `make_plan`.
      changes: Fields of the recipe.

    Returns:
      What `make_plan` would; none of the work is done twice.

    Raises:
      ValueError: For a field, or a first image, that no run could use.
    """
    chosen = changed(request.recipe, all_changes(request, changes))
    several = request.content, plan.batch
    chosen, first, told = _initial(chosen, request.init, *several)
    chosen = without_content(chosen) if plan.content is None else chosen
    if isinstance(plan.extract, Own):
        chosen = with_layers(chosen, plan.extract, plan.stages[-1].shape)
    return dataclasses.replace(
        plan,
        recipe=chosen,
        reference=_reference(request.recipe).objective,
        name=request.recipe if isinstance(request.recipe, str) else "",
        first=first,
        init=told,
    )


def _fitted(request: Request) -> tuple[Any, Any]:
    """Return blend and shape of a request as tuples of numbers, where there are any.

    Raises:
      ValueError: If they are something else.
    """
    blend, shape = request.blend, request.shape
    if blend is not None:
        blend = fit("blend", blend, tuple[Share, ...])
    if shape is not None:
        shape = fit("shape", shape, tuple[int, ...])
        text = "x".join(str(side) for side in shape)
        if len(shape) != 2:
            raise ValueError(f"shape must be height and width, got {text or 'nothing'}")
        if min(shape) < 1 or max(shape) > SIDE.high:
            bound = "least 1x1" if min(shape) < 1 else f"most {SIDE.high} a side"
            raise ValueError(f"shape must be at {bound}, got {text}")
    return blend, shape


def _reference(recipe: Any) -> Recipe:
    """Return the recipe whose own terms "balance" measures by."""
    found = named(recipe)
    unsure = any(term.weight == "balance" for term in found.objective.terms)
    return RECIPES["jnst"] if unsure else found
