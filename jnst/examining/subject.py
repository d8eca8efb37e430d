"""A loss of any table as one function: of maps, of what they are held against, a key.

Maps are {layer: [1, h, w, C]}; the layer "image" is the image itself. A `Part` of an
objective says which loss; what is called is what a run calls.
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from jnst.base import Features
from jnst.losses.rows import least_side
from jnst.network.layers import IMAGE_LAYER
from jnst.objective.features import View
from jnst.objective.fields import TERMS
from jnst.objective.kinds import KINDS, Against, Losses, Part
from jnst.objective.making import part_of
from jnst.objective.term import Term, kind_of
from jnst.program import jitted

Maps = dict[str, Array]
LAYERS = {term.name: term.layers for term in TERMS}
"""Layers that a loss looks at where nobody says which, by its kind: a recipe's own."""
ON_PIXELS = frozenset({"laplacian"})
"""Content losses that are meant for the layer "image"."""

QUICK: dict[str, str | bool] = {
    "xla_backend_optimization_level": "0",
    "xla_llvm_disable_expensive_passes": True,
}


class Known(NamedTuple):
    """What a loss is held against.

    Attributes:
      content: Maps of the content image.
      style: Maps of the style image, of any size.
    """

    content: Features
    style: Features


def make_subject(
    loss: str, *, layers: tuple[str, ...] = (), options: Mapping[str, Any] | None = None
) -> Part:
    """Check a loss with its layers and options, as a recipe would.

    Args:
      loss: Key of a loss table.
      layers: Layers it looks at; a recipe's own of that kind if none.
      options: Options of the loss.

    Raises:
      ValueError: For an unknown loss, layer or option.
    """
    if not isinstance(loss, str):
        raise ValueError(f"loss must be the name of a loss, got {type(loss).__name__}")
    kind = kind_of(loss)
    usual = (IMAGE_LAYER,) if loss in ON_PIXELS else LAYERS.get(kind, ())
    chosen = tuple((options or {}).items())
    term = Term("examined", loss, tuple(layers) or usual, options=chosen)
    return part_of(term, None)


def layers_seen(part: Part) -> tuple[str, ...]:
    """List the layers whose maps a loss needs: of one on pixels the image."""
    return part.layers or (IMAGE_LAYER,)


def is_joint(part: Part) -> bool:
    """Tell whether a loss takes all its layers at once."""
    return getattr(part.row, "joint", False)


def _view(maps: Features) -> View:
    first = next(iter(maps.values()))
    image = maps.get(IMAGE_LAYER, first)
    return View(image, image, ((image.shape[1], image.shape[2]),), (maps,))


def targets(known: Known, part: Part) -> PyTree:
    """Compute what a loss compares with."""
    share = jnp.ones(1, jax.tree.leaves(known)[0].dtype)
    views = _view(known.content), [_view(known.style)]
    return KINDS[part.kind].targets(part, *views, share)


def losses(maps: Features, target: PyTree, key: Array, part: Part) -> Losses:
    """Compute the loss of every layer, or one in all."""
    against = Against(target, jnp.ones(1), key, False)
    return KINDS[part.kind].losses(part, _view(maps), against)


def losses_and_pull(
    maps: Features, target: PyTree, key: Array, part: Part
) -> tuple[Losses, Features]:
    """Compute `losses`, and the gradient of their sum with respect to the maps.

    Of losses that take layers apart, the gradient at a layer is that of its own loss.
    """

    def total(x: Features) -> tuple[Array, Losses]:
        found = losses(x, target, key, part)
        return jnp.sum(found), found

    (_, found), pulled = jax.value_and_grad(total, has_aux=True)(maps)
    return found, pulled


def program(function: Callable[..., Any]) -> Any:
    """Return one of this module's functions as XLA compiles it, for any part."""
    return jitted(function, static=1, donated=())


@functools.cache
def quick(function: Callable[..., Any]) -> Any:
    """Return one of this module's functions compiled in a hurry, for small maps.

    Without LLVM's optimisations compiling takes a third of the time on a CPU.
    """
    options = QUICK if jax.default_backend() == "cpu" else {}
    static = len(inspect.signature(function).parameters) - 1
    return jax.jit(function, static_argnums=static, compiler_options=options)


def key_of(seed: int) -> Array:
    """Return the key that losses that sample are given throughout a report."""
    return jax.random.key(seed)


def as_type(maps: PyTree, dtype: Any) -> PyTree:
    """Turn arrays into JAX's, of one type."""
    return jax.tree.map(lambda each: jnp.asarray(each, dtype), maps)


def raw_side(part: Part) -> int:
    """Return the side of small maps: what a loss needs twice over, 8 at least."""
    least = least_side(part.row, dict(part.options))
    return max(8, 2 * (least + least % 2))


def raw_part(part: Part) -> Part:
    """Return a loss on one layer of small maps, or on two if it takes several."""
    if part.kind == "image":
        return part
    chosen = part.layers[:2] if is_joint(part) else part.layers[:1]
    return part._replace(layers=chosen)


def raw_maps(
    part: Part,
    make: Callable[[int, int, int, int], Mapping[str, np.ndarray]],
    *,
    shape: tuple[int, int],
) -> dict[str, dict[str, np.ndarray]]:
    """Make small maps by name, as a loss takes them.

    Args:
      part: From `raw_part`.
      make: From height, width, channels and seed to maps by name, `degenerate.maps`.
      shape: Height and width of the first layer; the second of two has half of both.

    Returns:
      {name: maps}; with three channels where the loss looks at the image.
    """
    by_layer = {}
    for n, layer in enumerate(layers_seen(part)):
        channels = 3 if layer == IMAGE_LAYER else 5 - n
        by_layer[layer] = make(shape[0] >> n, shape[1] >> n, channels, n)
    names = next(iter(by_layer.values()))
    return {name: {k: maps[name] for k, maps in by_layer.items()} for name in names}


REFERENCES = {"style": "gram", "content": "mean_squared", "image": "tv_mean_l2"}
"""What losses are measured by, by their kind."""


def reference(part: Part) -> Part:
    """Return the loss that another is measured by, at the same layers."""
    return make_subject(REFERENCES[part.kind], layers=part.layers)


def gram_beside(part: Part) -> Part:
    """Return Gram's loss, at the layers of a style loss or else at a recipe's own."""
    layers = part.layers if part.kind == "style" else ()
    return make_subject(REFERENCES["style"], layers=layers)
