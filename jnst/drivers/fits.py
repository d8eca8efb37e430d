"""Whether a run fits the memory there is: told before any work, in no time.

Nothing is compiled. What a step keeps is counted from the shapes of the network's maps:
XLA keeps each convolution's output once for the way back, a copy of the maps that a
centred statistic looks at, and little else.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jnst.base import Params
from jnst.drivers.plan import Plan
from jnst.loop.optimizers import make_optimizer, numbers_of, rule_of
from jnst.memory import available_bytes
from jnst.network.layers import IMAGE_LAYER, backbone_of, canonical_layer, layer_names
from jnst.objective.features import Network
from jnst.objective.fields import active_terms
from jnst.objective.term import kind_of
from jnst.scale.memory import MOST_KEPT, tile_bytes, tile_for
from jnst.scale.windows import CUTS

GIB = 2**30
COPYING = ("wasserstein2", "covariance", "bn_statistics", "mean_std", "cmd")
"""Style losses that copy the maps they look at, to centre them."""
OTHER_IMAGES = 8
"""Arrays of the image's size beside the optimiser's: the image, its average, the best
and the last good one, the gradient, content, style, and one on its way."""


class Need(NamedTuple):
    """What a run needs at its largest size.

    Attributes:
      step: Bytes a pixel of what a step keeps.
      state: Bytes a pixel of the state and of what it is compared with.
      pixels: Pixels of all pictures together.
      fixed: Bytes beside these, of a tile at work.
    """

    step: float
    state: float
    pixels: float
    fixed: int = 0

    @property
    def total(self) -> float:
        """Bytes in all, without the weights and the process itself."""
        return (self.step + self.state) * self.pixels + self.fixed


def map_floats(params: Params, layers: list[str]) -> dict[str, float]:
    """Count the floats of each layer's map a pixel of the image, as deep as asked.

    Args:
      params: Parameters of a network.
      layers: Canonical names of the layers asked for.

    Returns:
      {layer: floats a pixel}, of all layers on the way.
    """
    names = layer_names(backbone_of(params))
    depth = max((names.index(layer) for layer in layers), default=-1)
    found, share, channels = {}, 1.0, 3
    for name in names[: depth + 1]:
        if name.startswith("conv"):
            channels = params[name]["bias"].shape[0]
        elif name.startswith("pool"):
            share /= 4
        found[name] = channels * share
    return found


def step_bytes(plan: Plan, *, tiles: bool = False) -> float:
    """Count the bytes a pixel that a step keeps; 0 for a user's own features.

    With tiles it keeps what comes out of some poolings, and a gradient of the largest.
    """
    if not isinstance(plan.extract, Network):
        return 0.0
    fields, params = plan.recipe.objective, plan.extract.params
    asked = {term.name: _layers(plan, term.layers) for term in _active(plan)}
    maps = map_floats(params, [layer for each in asked.values() for layer in each])
    if tiles:
        cuts = [maps[cut] for cut in CUTS if cut in maps]
        kept = sum(cuts) + max(cuts, default=0.0)
    else:
        kept = sum(size for name, size in maps.items() if name.startswith("conv"))
        kept += sum(
            maps[layer]
            for term in _active(plan)
            if term.loss in COPYING
            for layer in asked[term.name]
        )
    return float(kept) * (2 if fields.dtype == "bfloat16" else 4)


def state_bytes(plan: Plan, *, tiled_px: int = 0) -> float:
    """Count the bytes a pixel of the optimiser, the images, the content's targets.

    Args:
      plan: The plan.
      tiled_px: Pixels of a picture that is worked through in tiles, for which targets
        of all shifts may be too many to keep.
    """
    fields = plan.recipe.optimization
    rule, image = rule_of(fields), jax.ShapeDtypeStruct((1, 16, 16, 3), jnp.float32)

    def begin(numbers: dict[str, Any], image: Any) -> Any:
        return make_optimizer(rule, numbers, 0).init(image)

    state = jax.eval_shape(begin, numbers_of(fields), image)
    own = sum(x.size for x in jax.tree.leaves(state) if x.ndim > 1) / 16**2
    targets = 0.0
    if plan.content is not None and isinstance(plan.extract, Network):
        for term in _active(plan):
            if kind_of(term.loss) == "content":
                layers = _layers(plan, term.layers)
                maps = map_floats(plan.extract.params, layers)
                targets += sum(maps[layer] for layer in layers)
    shifts = max(1, plan.recipe.objective.shift_px)
    if 4 * shifts * targets * tiled_px > MOST_KEPT:
        shifts = 1
    return 4 * (own + 3 * OTHER_IMAGES + shifts * targets)


def _active(plan: Plan) -> list:
    return list(active_terms(plan.recipe.objective.terms))


def _layers(plan: Plan, names: tuple[str, ...]) -> list[str]:
    backbone = backbone_of(plan.extract.params)
    return [canonical_layer(name, backbone) for name in names if name != IMAGE_LAYER]


def need_of(plan: Plan) -> Need:
    """Say what a plan needs at its largest size."""
    last = plan.stages[-1]
    shape = max((last.shape, *last.styles), key=math.prod)
    count = math.prod(shape) * (plan.batch or 1)
    if plan.mesh is None and plan.recipe.objective.tile_px != "none":
        tile = tile_for(plan.recipe.objective.tile_px, plan.batch, shape)
        if tile:
            return tiled_need(plan, tile, count)
    pixels = float(count)
    if plan.mesh is not None and jax.default_backend() != "cpu":
        pixels /= plan.mesh.size  # the devices of a CPU share its memory
    return Need(step_bytes(plan), state_bytes(plan), pixels)


def tiled_need(plan: Plan, tile_px: int, pixels: int) -> Need:
    """Say what a picture of so many pixels needs in tiles."""
    state = state_bytes(plan, tiled_px=pixels)
    return Need(step_bytes(plan, tiles=True), state, float(pixels), tile_bytes(tile_px))


def largest_side(plan: Plan, room: int, *, need: Need | None = None) -> int:
    """Return the longest side, a multiple of 16, of a picture like this that fits.

    Args:
      plan: The plan.
      room: Bytes there are.
      need: What it needs, as `need_of` says if absent.
    """
    need = need_of(plan) if need is None else need
    height, width = plan.stages[-1].shape
    share = need.pixels / (height * width)
    pixels = max(0, room - need.fixed) / (need.step + need.state) / share
    ratio = max(height, width) / min(height, width)
    return int((pixels * ratio) ** 0.5) // 16 * 16


def check_fits(plan: Plan, *, room: int | None = None) -> None:
    """Raise `ValueError` for a run that cannot fit, and say which size would.

    Args:
      plan: The plan.
      room: Bytes there are; None for what `available_bytes` says.
    """
    room = available_bytes() if room is None else room
    need = need_of(plan)
    if room is None or need.total <= room:
        return
    height, width = plan.stages[-1].shape
    raise ValueError(
        f"a run at {width}x{height} needs about {need.total / GIB:.3g} GiB beside the "
        f"weights, and {jax.devices()[0].device_kind} has {room / GIB:.3g} GiB free; "
        f"size_px={largest_side(plan, room)} would fit{_tiles(plan)}; force=True "
        "(--force) tries it all the same"
    )


def _tiles(plan: Plan) -> str:
    fields = plan.recipe.objective
    return ", and more with tile_px=auto" if fields.tile_px == "none" else ""
