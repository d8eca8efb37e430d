"""The pictures that losses are tried on, and what a network sees of them.

Pictures are square, so that they may be turned; sizes are in pixels a side. What is
computed once is kept with the scene: maps, points of a run, gradients of other losses.
"""

import dataclasses
import functools
import importlib.resources
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from jnst.base import Features, Image, Params
from jnst.drivers.networks import load_params
from jnst.drivers.objectives import make_objective
from jnst.drivers.sources import ImageLike, as_array
from jnst.examining.subject import (
    LAYERS,
    Known,
    key_of,
    layers_seen,
    losses_and_pull,
    program,
    quick,
    targets,
)
from jnst.image import load_image, resize_image
from jnst.loop.state import init, shown
from jnst.loop.step import step
from jnst.network.layers import IMAGE_LAYER, backbone_of, canonical_layer
from jnst.objective.features import features_of, make_network
from jnst.objective.kinds import Part
from jnst.objective.term import Term
from jnst.recipes.table import RECIPES

STEPS = 60
"""Of the run that losses are compared along."""
SMALL_PX = 128
"""Side of pictures up to which losses take less time to run than to compile well."""
KEPT = 4
"""Gradients with respect to maps that are kept: at 256 px 30 MB each."""


class Scene(NamedTuple):
    """Two pictures and a network.

    Attributes:
      params: Parameters of the network.
      network: What sees with them, as the default recipe does.
      layers: Layers that it is asked for.
      size_px: Side at which losses are compared with each other.
      seed: Seed of all random numbers.
      picture: From "content" or "style" and a side to the picture [1, side, side, 3].
      look: From an image [1, h, w, 3] to its features, "image" among them.
      maps: From "content" or "style" and a side to features.
      points: Pictures of a run, [1, size_px, size_px, 3] by name: "start", "middle",
        "end"; and "style".
      values: From a loss, the name of a picture and a side to the loss of each layer,
        or one in all.
      gradient: From the same and a factor a layer to the gradient of the weighted sum
        with respect to the pixels, [1, side, side, 3].
    """

    params: Params
    network: PyTree
    layers: tuple[str, ...]
    size_px: int
    seed: int
    picture: Callable[[str, int], Image]
    look: Callable[[Image], Features]
    maps: Callable[[str, int], Features]
    points: Callable[[], dict[str, Image]]
    values: Callable[[Part, str, int], np.ndarray]
    gradient: Callable[[Part, str, int, tuple[float, ...]], Image]


def see(image: Image, network: PyTree, layers: tuple[str, ...]) -> Features:
    """Extract features, "image" among them."""
    return features_of(network, image, (*layers, IMAGE_LAYER))


def pull_back(
    image: Image, network: PyTree, cotangents: Features, layers: tuple[str, ...]
) -> Image:
    """Turn cotangents of features into a gradient with respect to the image."""
    return jax.vjp(lambda x: see(x, network, layers), image)[1](cotangents)[0]


def square(image: np.ndarray) -> np.ndarray:
    """Cut the middle out of an image [H, W, 3]."""
    side = min(image.shape[:2])
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    return image[top : top + side, left : left + side]


def demo_pair() -> tuple[np.ndarray, np.ndarray]:
    """Load the picture pair that jnst brings along, as [H, W, 3] in [0, 1]."""
    with importlib.resources.as_file(importlib.resources.files("jnst.data")) as data:
        names = ("demo_content.jpg", "demo_style.jpg")
        content, style = (load_image(data / name) for name in names)
    return content, style


def run_points(
    content: np.ndarray, style: np.ndarray, params: Params, *, steps: int = STEPS
) -> dict[str, np.ndarray]:
    """Take pictures along a run of the default recipe, at one size.

    Args:
      content: Content image [H, W, 3] in [0, 1], of the style's size.
      style: Style image.
      params: Parameters of the network.
      steps: Steps of the run.

    Returns:
      {"start", "middle", "end": image [H, W, 3]}; the start is the content image.
    """
    objective = make_objective(content, style, weights=params, scale_steps=(steps,))
    state, found = init(objective), {"start": content}
    for n in range(1, steps + 1):
        state, _ = step(objective, state)
        if n == steps // 2:
            found["middle"] = np.asarray(shown(objective, state))
    return found | {"end": np.asarray(shown(objective, state))}


def _pulled(
    maps: Features, known: Known, seed: int, part: Part
) -> tuple[np.ndarray, Features]:
    """Compute a loss at some maps, and its gradient with respect to them."""
    layers = layers_seen(part)
    known = Known(*({k: each[k] for k in layers} for each in known))
    side = maps[IMAGE_LAYER].shape[1]
    compile_ = quick if side <= SMALL_PX else program
    target = compile_(targets)(known, part)
    chosen = {k: maps[k] for k in layers}
    found, pulled = compile_(losses_and_pull)(chosen, target, key_of(seed), part)
    return np.asarray(found, np.float64), pulled


def _cotangents(
    maps: Features, pulled: Features, factors: tuple[float, ...]
) -> Features:
    """Weigh the gradients of layers; what the loss does not look at gets none."""
    each = dict(zip(pulled, factors, strict=len(factors) > 1))
    whole = {k: each.get(k, factors[0]) * pulled[k] for k in pulled}
    return jax.tree.map(jnp.zeros_like, maps) | whole


def make_scene(
    *,
    content: ImageLike = None,
    style: ImageLike = None,
    weights: str | Path | Params | None = None,
    size_px: int = 64,
    seed: int = 0,
    layers: Sequence[str] = (),
) -> Scene:
    """Prepare pictures and a network; nothing is computed before it is asked for.

    Args:
      content: Content image, as in `jnst.stylize`; that of the demo if absent.
      style: Style image, the same.
      weights: Name or path of a weights file, or parameters; None to find VGG19.
      size_px: Side at which losses are compared with each other, in pixels.
      seed: Seed of all random numbers.
      layers: Layers that are needed besides those of the recipes.

    Raises:
      FileNotFoundError: If there are no weights, or a file is missing.
      ValueError: For what is no image, or no layer.
    """
    params = load_params(weights)
    pair: dict[str, np.ndarray] = {}
    pair["content"], pair["style"] = demo_pair()
    for name, given in (("content", content), ("style", style)):
        pair[name] = square(pair[name] if given is None else as_array(name, given))
    usual = [*LAYERS["style"], *LAYERS["content"], *layers]
    names = [canonical_layer(k, backbone_of(params)) for k in usual if k != IMAGE_LAYER]
    needed = tuple(dict.fromkeys(names))
    fields = dataclasses.replace(
        RECIPES["jnst"].objective, terms=(Term("seen", "gram", needed),)
    )
    network = make_network(params, fields, pixels=size_px**2)
    return _scene(pair, params, network, needed, size_px, seed)


def _scene(
    pair: Mapping[str, np.ndarray],
    params: Params,
    network: PyTree,
    layers: tuple[str, ...],
    size_px: int,
    seed: int,
) -> Scene:
    @functools.cache
    def picture(name: str, side: int) -> Image:
        return jnp.asarray(resize_image(pair[name], (side, side)))[None]

    def look(image: Image) -> Features:
        return program(see)(image, network, layers)

    @functools.cache
    def maps(name: str, side: int) -> Features:
        return look(picture(name, side))

    @functools.cache
    def points() -> dict[str, Image]:
        both = (picture(k, size_px)[0] for k in ("content", "style"))
        whole, style = (np.asarray(each) for each in both)
        found = run_points(whole, style, params)
        images = {k: jnp.asarray(v)[None] for k, v in found.items()}
        return images | {"style": picture("style", size_px)}

    def picture_at(name: str, side: int) -> Image:
        stands = name in ("content", "style")
        return picture(name, side) if stands else points()[name]

    @functools.lru_cache(KEPT)
    def at(part: Part, name: str, side: int) -> tuple[np.ndarray, Features, Features]:
        seen = look(picture_at(name, side))
        known = Known(maps("content", side), maps("style", side))
        return *_pulled(seen, known, seed, part), seen

    @functools.lru_cache(1024)
    def values(part: Part, name: str, side: int) -> np.ndarray:
        return at(part, name, side)[0]

    @functools.lru_cache(1024)
    def gradient(part: Part, name: str, side: int, factors: tuple[float, ...]) -> Image:
        _, pulled, seen = at(part, name, side)
        cotangents = _cotangents(seen, pulled, factors)
        image = picture_at(name, side)
        return program(pull_back)(image, network, cotangents, layers)

    known = params, network, layers, size_px, seed
    return Scene(*known, picture, look, maps, points, values, gradient)


def even_weights(scene: Scene, part: Part, name: str, side: int) -> tuple[float, ...]:
    """Weigh layers so that all pull as hard at a picture, together by about 1.

    Returns:
      A factor a layer, 0 for one that does not pull at all; 1 where there is but one.
    """
    count = len(scene.values(part, name, side))
    if count == 1:
        return (1.0,)
    rows = [tuple(row) for row in np.eye(count).tolist()]
    found = [scene.gradient(part, name, side, row) for row in rows]
    norms = [float(jnp.linalg.norm(each)) for each in found]
    least = float(np.finfo(np.float32).tiny)
    return tuple(1 / (n * count) if n > least else 0.0 for n in norms)
