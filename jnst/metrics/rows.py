"""What a row of the table of metrics is, and what its functions may be given.

A metric's function compares one pair, as [H, W, C]; `jnst.metrics.compute` maps it over
batches. To add a metric: write the function, and a row in `jnst.metrics.table`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxtyping import Array, Float

from jnst.base import check_same_shape
from jnst.network.layers import too_small

Picture = Float[Array, "_ _ 3"]
Map = Float[Array, "_ _ _"]
Maps = dict[str, Map]
"""Feature maps of one picture by layer."""


class Metric(NamedTuple):
    """A judge of pictures.

    Attributes:
      function: From a result and what it is compared with to a scalar: pictures
        [H, W, 3] in [0, 1]; a map [H, W, C] each; or, if `layers` are several, {layer:
        map} each. With `load` it takes the loaded arrays as `weights`.
      source: Paper or code it is from.
      range: Values it can have, in words.
      better: "lower" or "higher": which way a better result lies.
      reference: "content" or "style": what a result is compared with.
      captures: What it sees, in a few words.
      blind: What it does not see.
      takes: "images" or "maps": what `jnst.metrics.compute` is given.
      layers: Layers of VGG whose maps it looks at; none for pixels.
      least: Fewest pixels a side of both pictures.
      needs: What it computes with beside JAX, for people; "" for nothing.
      load: Returns the arrays it needs, or raises `FileNotFoundError` that says what
        to install; None if it needs none, or a VGG alone.
    """

    function: Callable[..., Any]
    source: str
    range: str
    better: str
    reference: str
    captures: str
    blind: str
    takes: str = "images"
    layers: tuple[str, ...] = ()
    least: int = 1
    needs: str = ""
    load: Callable[[], Any] | None = None


def check_pair(what: str, result: Map, reference: Map, least: int) -> None:
    """Check that two pictures or maps can be compared position by position.

    Args:
      what: What needs the size, for the message.
      result: Array [H, W, C].
      reference: The other.
      least: Fewest pixels a side.

    Raises:
      ValueError: If their sizes differ, or are below the least.
    """
    check_same_shape("result and reference", result, reference)
    shape = (result.shape[0], result.shape[1])
    if min(shape) < least:
        raise ValueError(too_small(shape, what, least))
