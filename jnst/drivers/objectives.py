"""`make_objective`, `coarse_to_fine` and `features`: the middle, for anybody's use."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Unpack

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jnst.base import Params
from jnst.drivers.networks import load_params
from jnst.drivers.plan import Plan, Request, make_plan
from jnst.drivers.sources import ImageLike, as_array
from jnst.drivers.stages import objective_at, sizes_of, weighed
from jnst.loop.iterate import Size
from jnst.network.vgg import extract as extract_features
from jnst.objective.value import Objective
from jnst.recipes.changes import RunChanges
from jnst.recipes.recipe import Recipe


def _plan(request: Request, changes: dict[str, Any]) -> Plan:
    """Plan a run whose first image, if any, comes among the changes."""
    request = request._replace(init=changes.pop("init", None))
    return weighed(make_plan(request, changes))


def make_objective(
    content: ImageLike | Sequence[ImageLike] | None,
    style: ImageLike | Sequence[ImageLike],
    recipe: str | Recipe = "jnst",
    *,
    size_px: int | None = None,
    weights: str | Path | Params | None = None,
    extract: Callable[..., Any] | None = None,
    blend: Sequence[float] | None = None,
    shape: tuple[int, int] | None = None,
    devices: int | str | Sequence[int] | None = None,
    **changes: Unpack[RunChanges],
) -> Objective:
    """Make what `stylize` minimises at its full size, as a value.

    Args:
      content: As in `jnst.stylize`, as all that follows.
      style: One or several; an array [N, H, W, 3] for a batch.
      recipe: Key of `jnst.RECIPES`, or a `Recipe`.
      size_px: Size in pixels.
      weights: Name or path of a weights file, or parameters.
      extract: Features of one's own.
      blend: Weight of each style.
      shape: Height and width of a texture.
      devices: Devices to split it over.
      **changes: Any field of `Recipe`, by its flat name; `init` may be an image.

    Returns:
      An `Objective`, a pytree: `objective(image)` is a scalar that can be
      differentiated in any way, `jnst.init` and `jnst.step` optimise it.

    Raises:
      ValueError: For anything no run could use.
      FileNotFoundError: For a missing image, or no weights anywhere.
    """
    asked = size_px, weights, extract, None, blend, shape, devices
    plan = _plan(Request(content, style, recipe, *asked), {**changes})
    return objective_at(plan, plan.stages[-1], steps=plan.recipe.schedule.steps)[0]


def coarse_to_fine(
    content: ImageLike | Sequence[ImageLike] | None,
    style: ImageLike | Sequence[ImageLike],
    recipe: str | Recipe = "jnst",
    *,
    size_px: int | None = None,
    weights: str | Path | Params | None = None,
    extract: Callable[..., Any] | None = None,
    blend: Sequence[float] | None = None,
    shape: tuple[int, int] | None = None,
    devices: int | str | Sequence[int] | None = None,
    **changes: Unpack[RunChanges],
) -> list[Size]:
    """List the sizes that `stylize` goes through, for `jnst.iterate`.

    Args:
      content: As in `make_objective`, as all that follows.
      style: One or several.
      recipe: Key of `jnst.RECIPES`, or a `Recipe`.
      size_px: Size in pixels.
      weights: Name or path of a weights file, or parameters.
      extract: Features of one's own.
      blend: Weight of each style.
      shape: Height and width of a texture.
      devices: Devices to split it over.
      **changes: Any field of `Recipe`.

    Returns:
      Sizes from the coarsest, each with its steps; an objective is made when the run
      comes to it.

    Raises:
      ValueError: For anything no run could use.
      FileNotFoundError: For a missing image, or no weights anywhere.
    """
    asked = size_px, weights, extract, None, blend, shape, devices
    return sizes_of(_plan(Request(content, style, recipe, *asked), {**changes}), [])


def features(
    image: ImageLike,
    layers: str | Sequence[str],
    weights: str | Path | Params | None = None,
    pooling: str = "max",
) -> dict[str, Array]:
    """Compute feature maps of an image at its own size.

    On a JAX array it is pure: it can be jitted, mapped and differentiated.

    Args:
      image: A path, a `PIL.Image`, or a float array [H, W, 3] in [0, 1]; an array
        [N, H, W, 3] for several.
      layers: Layers by any usual name: relu4_2, conv4_2 (before the ReLU),
        block4_conv2 (Keras, after it).
      weights: As in `stylize`.
      pooling: Key of `jnst.network.pooling.POOLINGS`.

    Returns:
      {layer as named: feature map [1, h, w, C], or [N, h, w, C], float32}.

    Raises:
      ValueError: For an unknown layer, or an image too small for it.
      FileNotFoundError: For a missing image, or no weights anywhere.
    """
    names = (layers,) if isinstance(layers, str) else tuple(layers)
    if not (isinstance(image, jax.Array) or getattr(image, "ndim", 0) == 4):
        image = as_array("image", image)
    pixels = jnp.asarray(image)
    if pixels.ndim not in (3, 4) or pixels.shape[-1] != 3:
        shape = list(pixels.shape)
        raise ValueError(f"image must be [H, W, 3] or [N, H, W, 3], got {shape}")
    pixels = pixels[None] if pixels.ndim == 3 else pixels
    return _features(load_params(weights), pixels, names, pooling)


def _compute(
    params: Params, pixels: Array, layers: tuple[str, ...], pooling: str
) -> Any:
    return extract_features(params, pixels, layers, pooling=pooling)


_features = jax.jit(_compute, static_argnums=(2, 3))
