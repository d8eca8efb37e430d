"""`stylize` and `features`: from files or arrays to results."""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from jnst.base import FeatureMap, Params, check_one_of
from jnst.image import check_image, load_image
from jnst.initial import INITS
from jnst.layers import (
    IMAGE_LAYER,
    backbone_of,
    canonical_layer,
    check_image_size,
)
from jnst.memory import release_freed
from jnst.program import keep_programs
from jnst.recipe import Recipe
from jnst.recipes import RECIPES
from jnst.result import Inputs, Plan, Progress, Result
from jnst.run import run, weighed
from jnst.schedule import Source, full_shape, stages, style_shape
from jnst.settings import check_field
from jnst.targets import network_params
from jnst.vgg import extract_jit
from jnst.weights import list_weights, load_described

ImageLike = str | Path | np.ndarray | Any


def as_array(what: str, image: ImageLike) -> np.ndarray:
    """Return a file or a float array [H, W, 3] as float32.

    Raises:
      FileNotFoundError: If there is no such file.
      ValueError: If it is no image, or an array of another shape, type or range.
    """
    if isinstance(image, str | Path):
        return load_image(image)
    array = np.asarray(image)
    check_image(what, array)
    return array.astype(np.float32)


def as_source(what: str, image: ImageLike, *, sized: bool) -> Source:
    """Wrap an image with the rule for its size; `sized` if `size_px` was asked for."""
    from_file = isinstance(image, str | Path)
    pixels = as_array(what, image)
    if not from_file and (pixels.min() < 0 or pixels.max() > 1):
        low, high = pixels.min(), pixels.max()
        raise ValueError(f"{what} must be in [0, 1], got {low:g} to {high:g}")
    return Source(pixels, own_size=not from_file and not sized, plain=not from_file)


def _tidy(value: Any) -> Any:
    """Bring a field's value to its type: lists and mappings to tuples."""
    if isinstance(value, Mapping):
        return tuple(value.items())
    if isinstance(value, list):
        return tuple(value)
    return value


def resolve(recipe: str | Recipe, changes: Mapping[str, Any]) -> Recipe:
    """Return a named recipe with some of its fields changed.

    Raises:
      ValueError: For an unknown recipe or field, or a value no run could use.
    """
    if isinstance(recipe, str):
        check_one_of("recipe", recipe, RECIPES)
        recipe = RECIPES[recipe]
    for name in changes:
        check_field(name)
    tidy = {name: _tidy(value) for name, value in changes.items()}
    return dataclasses.replace(recipe, **_following(recipe, tidy), **tidy)


def _following(recipe: Recipe, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Fields that follow from others that change, where they are not given.

    Options belong to a loss and weights of layers to layers; a style loss other than
    the recipe's own has no weight yet, so that it is balanced.
    """
    follow: dict[str, Any] = {}
    for kind in ("style", "content", "tv"):
        if changes.get(f"{kind}_loss", getattr(recipe, f"{kind}_loss")) != getattr(
            recipe, f"{kind}_loss"
        ):
            follow[f"{kind}_options"] = ()
    for kind in ("style", "content"):
        if f"{kind}_layers" in changes:
            follow[f"{kind}_layer_weights"] = ()
    if "style_options" in follow:
        follow |= {"style_weight": "balance", "style_blend": "losses"}
    return {name: value for name, value in follow.items() if name not in changes}


def _as_params(weights: Any, preferred: Sequence[str] = ()) -> tuple[Params, Any]:
    """Return parameters and their provenance.

    Where nothing is asked for, the first of a recipe's `preferred` weights that is at
    hand is taken.
    """
    if isinstance(weights, Mapping):
        return dict(weights), {}
    if weights is None and len(preferred) > 1 and not os.environ.get("JNST_WEIGHTS"):
        at_hand = {row["name"] for row in list_weights() if row["found"]}
        weights = next((name for name in preferred if name in at_hand), None)
    return load_described(weights)


def _blend(blend: Sequence[float] | None, count: int) -> list[float]:
    weights = [1.0] * count if blend is None else [float(w) for w in blend]
    if len(weights) != count:
        raise ValueError(f"blend has {len(weights)} weights for {count} styles")
    if not (min(weights) >= 0 and 0 < sum(weights) < float("inf")):
        raise ValueError(f"blend must be weights >= 0 with a sum above 0, got {blend}")
    return [weight / sum(weights) for weight in weights]


def _without_content(recipe: Recipe) -> Recipe:
    """Turn a recipe into one for textures: no content, not even to begin with."""
    init = "noise" if recipe.init in ("content", "noise_mix") else recipe.init
    return dataclasses.replace(recipe, content_weight=0.0, init=init)


def _initial(
    recipe: Recipe, init: ImageLike | None, content: Any
) -> tuple[Recipe, np.ndarray | None]:
    """Split `init` into the name of a row of `INITS`, or an image."""
    if init is None:
        return recipe, None
    if isinstance(init, str) and (init in INITS or not Path(init).exists()):
        check_one_of("init (and no such file)", init, INITS)
        if content is None and init in ("content", "noise_mix"):
            raise ValueError(f"init {init!r} needs a content image")
        return dataclasses.replace(recipe, init=init), None
    return recipe, as_array("init", init)


def _check_network(params: Params, recipe: Recipe, shapes: Sequence[tuple]) -> None:
    """Raise before any work if a layer is unknown or an image too small for it."""
    backbone = backbone_of(params)
    layers = [*recipe.style_layers]
    layers += recipe.content_layers if recipe.content_weight else ()
    names = [canonical_layer(k, backbone) for k in layers if k != IMAGE_LAYER]
    if not names:
        return
    for shape in shapes:
        check_image_size(
            shape,
            names,
            backbone=backbone,
            padding=recipe.padding,
            padding_layers=recipe.padding_layers,
            ceil=recipe.pooling_ceil,
        )


def stylize(
    content: ImageLike | None,
    style: ImageLike | Sequence[ImageLike],
    recipe: str | Recipe = "jnst",
    steps: int | None = None,
    init: ImageLike | None = None,
    seed: int = 0,
    size_px: int | None = None,
    weights: str | Path | Params | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    *,
    on_start: Callable[[Plan], None] | None = None,
    blend: Sequence[float] | None = None,
    shape: tuple[int, int] | None = None,
    save_every: int = 0,
    **changes: Any,
) -> Result:
    """Optimise an image to have the content of one image and the style of others.

    Args:
      content: A path, or a float array [H, W, 3] in [0, 1]; None for a texture.
      style: The same, or a list of several. Sizes may differ. Files are resized as
        the recipe says; arrays keep their size unless `size_px` is given.
      recipe: Key of `jnst.RECIPES`, or a `Recipe`.
      steps: Number of steps in all sizes together; None for the recipe's.
      init: Key of `jnst.initial.INITS`, a path, or an array [H, W, 3] whose values
        outside [0, 1] are kept; None for the recipe's.
      seed: Seed of all random numbers.
      size_px: Size of the result, in pixels: the longer side, for files the side that
        the recipe means.
      weights: Name or path of a weights file, or parameters; None to find VGG19.
      on_progress: Called with a `Progress` after each chunk of steps.
      on_start: Called with the `Plan` before any step.
      blend: Weight of each style, >= 0; equal ones if absent.
      shape: Height and width of a texture; the style's if absent.
      save_every: Steps after which `on_progress` must be called, at least; 0 for none.
      **changes: Any field of `Recipe`.

    Returns:
      A `Result`: image, history, recipe in effect, seconds.

    Raises:
      ValueError: For anything no run could use, before any step.
      FileNotFoundError: For a missing image, or no weights anywhere.
      NonFiniteLossError: If a loss becomes NaN or infinite.
    """
    keep_programs()
    changes |= {"seed": seed} | ({"steps": steps} if steps is not None else {})
    changes |= {"size_px": size_px} if size_px is not None else {}
    chosen = resolve(recipe, changes)
    reference = RECIPES[recipe] if isinstance(recipe, str) else recipe
    if reference.style_weight == "balance":
        reference = RECIPES["jnst"]
    chosen, first = _initial(chosen, init, content)
    sized = size_px is not None
    given = list(style) if isinstance(style, list | tuple) else [style]
    if not given:
        raise ValueError("style must be at least one image, got an empty list")
    styles = [as_source("style", each, sized=sized) for each in given]
    source = None if content is None else as_source("content", content, sized=sized)
    if source is None:
        chosen = _without_content(chosen)
    elif shape is not None:
        raise ValueError("shape is for textures; with a content image use size_px")
    if shape is not None and min(shape) < 1:
        raise ValueError(f"shape must be at least 1x1, got {shape[0]}x{shape[1]}")
    final = shape or full_shape(source or styles[0], chosen, style=source is None)
    nominal = chosen.size_px
    if shape is not None or (source or styles[0]).own_size:
        nominal = max(final)
    plan = stages(final, nominal, chosen)
    params, known = _as_params(weights, chosen.weights)
    sizes = [stage.shape for stage in plan]
    sizes += [style_shape(s, at, plan[-1], chosen) for s in styles for at in plan]
    _check_network(params, chosen, sizes)
    shares = _blend(blend, len(styles))
    inputs = Inputs(source, styles, shares, first, reference)
    if on_start:
        on_start(Plan(plan, chosen, known))
    chosen = weighed(params, inputs, plan, chosen)
    params = network_params(params, chosen)  # kernels that nobody else holds are freed
    release_freed()
    result = run(params, inputs, plan, chosen, on_progress, save_every)
    return result._replace(weights=known)


def features(
    image: ImageLike,
    layers: str | Sequence[str],
    weights: str | Path | Params | None = None,
    pooling: str = "max",
) -> dict[str, FeatureMap]:
    """Compute feature maps of an image at its own size.

    Args:
      image: A path, or a float array [H, W, 3] in [0, 1].
      layers: Layers by any usual name: relu4_2, conv4_2 (before the ReLU),
        block4_conv2 (Keras, after it).
      weights: As in `stylize`.
      pooling: Key of `jnst.pooling.POOLINGS`.

    Returns:
      {layer as named: feature map [1, h, w, C], float32}.

    Raises:
      ValueError: For an unknown layer, or an image too small for it.
      FileNotFoundError: For a missing image, or no weights anywhere.
    """
    names = (layers,) if isinstance(layers, str) else tuple(layers)
    pixels = jnp.asarray(as_array("image", image))[None]
    params, _ = _as_params(weights)
    return extract_jit(params, pixels, names, (("pooling", pooling),))
