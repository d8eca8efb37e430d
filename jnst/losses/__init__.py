"""Every loss by name: the tables, and `compute` to try one on raw arrays.

A style loss is a pair of pure functions and one row: `statistic(features)` summarises
a feature map [1, H, W, C], `distance(statistic, target)` compares two summaries. A row
gets, with no more work, the command-line option, recipe validation, the contract tests
and its line in `jnst losses`. To add a loss: write the pair in the file of its family,
add a row to `style_table` or `other_tables`.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jnst.base import Scalar, check_one_of, shown
from jnst.losses.other_tables import CONTENT_LOSSES, IMAGE_LOSSES
from jnst.losses.rows import (
    ContentLoss as ContentLoss,
)
from jnst.losses.rows import (
    ImageLoss as ImageLoss,
)
from jnst.losses.rows import (
    StyleLoss as StyleLoss,
)
from jnst.losses.rows import check_options, with_options
from jnst.losses.style_table import STYLE_LOSSES


def functions_of(name: str) -> tuple[Any, ...]:
    """Return the functions of the loss `name`, whichever table it is in.

    Raises:
      ValueError: If no table has it.
    """
    if name in STYLE_LOSSES:
        return STYLE_LOSSES[name].statistic, STYLE_LOSSES[name].distance
    if name in CONTENT_LOSSES:
        return CONTENT_LOSSES[name].target, CONTENT_LOSSES[name].distance
    check_one_of("loss", name, [*STYLE_LOSSES, *CONTENT_LOSSES, *IMAGE_LOSSES])
    row = IMAGE_LOSSES[name]
    return (row.value,) if row.constants is None else (row.constants, row.value)


def _batched(array: Any) -> jax.Array:
    try:
        array = jnp.asarray(array)
    except (TypeError, ValueError):  # text, objects, ragged lists
        raise ValueError(f"features must be an array, got {shown(array)}") from None
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise ValueError(f"features must be floats, got {array.dtype}")
    array = array[None] if array.ndim == 3 else array
    if array.ndim != 4 or array.shape[0] != 1:
        raise ValueError(
            f"features must be [H, W, C] or [1, H, W, C], got {array.shape}"
        )
    return array


def _all_batched(arrays: Any) -> Any:
    # Not `jax.tree.map`, which would sort the layers of a joint loss by name.
    if isinstance(arrays, dict):
        return {layer: _batched(array) for layer, array in arrays.items()}
    return _batched(arrays)


def _check_alike(ours: Any, theirs: Any) -> None:
    """Raise unless two arrays, or two dicts of them, have the same channels."""
    pair = [each if isinstance(each, dict) else {"": each} for each in (ours, theirs)]
    found = [{k: v.shape[-1] for k, v in each.items()} for each in pair]
    if found[0] != found[1]:
        first, second = (list(each.values()) for each in found)
        where = "" if list(found[0]) == list(found[1]) else ", under other names"
        raise ValueError(
            f"generated has {first} channels and target {second}{where}; they must be "
            "the same"
        )


def compute(
    name: str,
    generated: Any,
    target: Any = None,
    key: jax.Array | None = None,
    *,
    masks: tuple[Any, Any] | None = None,
    style: Any = None,
    **options: Any,
) -> Scalar:
    """Compute any loss on raw arrays, without a network.

    Args:
      name: Key of `STYLE_LOSSES`, `CONTENT_LOSSES` or `IMAGE_LOSSES`.
      generated: Features of the generated image, [H, W, C] or [1, H, W, C]; a dict of
        them in layer order for joint losses; the image itself for image losses.
      target: The same of the style or content image; the content image for image
        losses that need one.
      key: PRNG key, for keyed losses.
      masks: Region masks [R, H, W] of both, for guided losses.
      style: Features of the style image, for content losses that need them.
      **options: Options of the loss, see `jnst losses NAME`.

    Returns:
      Scalar, the formula of the loss's reference.

    Raises:
      ValueError: For an unknown loss or option, or arrays of the wrong shape.
    """
    functions = functions_of(name)
    check_options(name, options, *functions)
    first, second = (with_options(functions[n], options) for n in (0, -1))
    generated = _all_batched(generated)
    if target is not None:
        target = _all_batched(target)
        _check_alike(generated, target)
    if name in IMAGE_LOSSES:
        return second(generated, *([first(target)] if functions[1:] else []))
    if target is None:
        raise ValueError(f"loss {name!r} compares two arrays, but target is missing")
    if name in CONTENT_LOSSES:
        style = None if style is None else _batched(style)
        keyed = {"key": key} if CONTENT_LOSSES[name].keyed else {}
        return second(generated, first(target, style), **keyed)
    ours, theirs = ({"masks": each} for each in masks) if masks else ({}, {})
    keyed = {"key": key} if STYLE_LOSSES[name].keyed else {}
    return second(first(generated, **ours), first(target, **theirs), **keyed)
