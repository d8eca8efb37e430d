"""Floating-point operations of a step, counted by hand.

What is counted is the mathematics of the model, as in "model FLOPs utilisation"
(Chowdhery et al, PaLM, 2022, appendix B), not what a compiler made of it: a Winograd
convolution executes fewer and gets no discount. One multiply-add is 2. Counted are

- every convolution up to the deepest layer in use, forward and backward to its input;
  kernels are frozen and get no gradient, so that a step is 2 times a forward pass and
  not 3; coarser levels of `style_pyramid` likewise;
- for the losses of `GRAM_LIKE`, one C x C matrix of inner products a layer and its
  gradient with respect to the features, 2 C^2 H W each.

Left out is all that is linear in the number of pixels (ReLU, pooling, content and
image losses, the optimiser) and what other style losses do.
"""

from jnst.base import Params
from jnst.layers import backbone_of, canonical_layer, layer_names
from jnst.recipe import Recipe
from jnst.targets import IMAGE_LAYER, active_terms

GRAM_LIKE = ("gram", "scaled_gram", "covariance", "activation_shift_gram")
"""Style losses whose cost is that of one C x C matrix a layer."""
REPEATING = ("lbfgs",)
"""Optimisers that evaluate the objective an unknown number of times a step."""


def _layers(recipe: Recipe, kinds: tuple[str, ...], backbone: str) -> list[str]:
    active = active_terms(recipe)
    names = [
        layer
        for kind in kinds
        if kind in active
        for layer in getattr(recipe, f"{kind}_layers")
    ]
    return [canonical_layer(name, backbone) for name in names if name != IMAGE_LAYER]


def _convolutions(
    params: Params, layers: list[str], side: int, *, ceil: bool
) -> tuple[float, dict[str, tuple[int, int]]]:
    """FLOPs of one forward pass, and (side, channels) of every layer on the way."""
    names, flops, channels = layer_names(backbone_of(params)), 0.0, 3
    sizes: dict[str, tuple[int, int]] = {}
    depth = max((names.index(layer) for layer in layers), default=-1)
    for name in names[: depth + 1]:
        if name.startswith("conv"):
            height, width, incoming, channels = params[name]["kernel"].shape
            flops += 2.0 * height * width * incoming * channels * side * side
        elif name.startswith("pool"):
            side = (side + ceil) // 2
        sizes[name] = side, channels
    return flops, sizes


def step_flops(recipe: Recipe, params: Params, size_px: int) -> float | None:
    """Count the floating-point operations of one step on one image.

    Args:
      recipe: The recipe.
      params: Parameters of the network, whose shapes are what counts.
      size_px: Side of the square image.

    Returns:
      Operations; None where one step has no fixed number of them.
    """
    if recipe.optimizer in REPEATING or recipe.diagnostics:
        return None
    backbone, ceil = backbone_of(params), recipe.pooling_ceil
    style = _layers(recipe, ("style",), backbone)
    total = 0.0
    for level in range(recipe.style_pyramid if style else 1):
        kinds = ("style",) if level else ("content", "style")
        wanted = _layers(recipe, kinds, backbone)
        side = size_px // 2**level
        flops, sizes = _convolutions(params, wanted, side, ceil=ceil)
        total += 2 * flops
        if recipe.style_loss in GRAM_LIKE:
            pairs = [sizes[layer] for layer in style]
            total += sum(4.0 * c * c * side * side for side, c in pairs)
    return total
