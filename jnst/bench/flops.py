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
from jnst.network.layers import (
    IMAGE_LAYER,
    backbone_of,
    canonical_layer,
    layer_names,
)
from jnst.objective.fields import active_terms
from jnst.objective.term import Term, kind_of
from jnst.recipes.recipe import Recipe

GRAM_LIKE = ("gram", "scaled_gram", "covariance", "activation_shift_gram")
"""Style losses whose cost is that of one C x C matrix a layer."""
REPEATING = ("lbfgs",)
"""Optimisers that evaluate the objective an unknown number of times a step."""


def _layers(terms: list[Term], backbone: str) -> list[str]:
    names = [layer for term in terms for layer in term.layers]
    return [canonical_layer(name, backbone) for name in names if name != IMAGE_LAYER]


def style_terms(recipe: Recipe) -> list[Term]:
    """List the terms that compare styles."""
    terms = active_terms(recipe.objective.terms)
    return [term for term in terms if kind_of(term.loss) == "style"]


def counted(recipe: Recipe) -> str:
    """Say what of a recipe's step `step_flops` counts."""
    known = all(term.loss in GRAM_LIKE for term in style_terms(recipe))
    return "network, style loss" if known else "network"


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
    terms, total = list(active_terms(recipe.objective.terms)), 0.0
    for level in range(max(term.pyramid for term in terms)):
        here = [term for term in terms if term.pyramid > level]
        side = size_px // 2**level
        wanted = _layers(here, backbone)
        flops, sizes = _convolutions(params, wanted, side, ceil=ceil)
        total += 2 * flops
        for term in style_terms(recipe):
            if term in here and term.loss in GRAM_LIKE:
                pairs = [sizes[layer] for layer in _layers([term], backbone)]
                total += sum(4.0 * c * c * side * side for side, c in pairs)
    return total
