"""The first part of a recipe: what is compared, and the network it is seen through."""

import dataclasses
from collections.abc import Sequence

from jnst.base import check_one_of
from jnst.network.convolution import CONVOLUTIONS
from jnst.network.pooling import POOLINGS
from jnst.network.vgg import PADDINGS
from jnst.objective.term import Term, tidy_fields

VGG_STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
TERMS = (
    Term("content", "mean_squared", ("relu4_2",)),
    Term("style", "gram", VGG_STYLE_LAYERS),
    Term("tv", "tv_mean_l2", weight=0.0),
)
"""The terms of a recipe that does not say otherwise."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ObjectiveFields:
    """What an image is compared by.

    Attributes:
      terms: The terms, whose weighted sum is the loss; names must differ.
      normalize_gradients: Whether every layer's gradient is divided by its L1 norm.
      diagnostics: Whether the history tells gradient norms and cosines of the terms.
      pooling: Key of `jnst.network.pooling.POOLINGS`.
      pooling_rescale: Keep the scale of max pooling.
      pooling_ceil: Whether odd sizes round up at a pooling, as in Caffe.
      padding: Key of `jnst.network.vgg.PADDINGS`.
      padding_layers: Convolutions that `padding` holds for, "all" or "first".
      white: What a pixel of 1.0 is in the network's 0..255 input: 255, or Torch7's 256.
      dtype: Type of activations, "float32" or "bfloat16"; statistics stay float32.
      convolution: One of `jnst.network.convolution.CONVOLUTIONS`: "auto" for the
        fastest in float32 on this device, "xla" for the definition.
      pixel_scale: What a pixel of 1.0 is in the optimiser's (and total variation's)
        eyes: 1 or 255.
    """

    terms: tuple[Term, ...] = TERMS
    normalize_gradients: bool = False
    diagnostics: bool = False
    pooling: str = "max"
    pooling_rescale: bool = False
    pooling_ceil: bool = False
    padding: str = "zeros"
    padding_layers: str = "all"
    white: float = 255.0
    dtype: str = "float32"
    convolution: str = "auto"
    pixel_scale: float = 1.0

    def __post_init__(self) -> None:
        """Raise `ValueError` for the first field that no run could use."""
        tidy_fields(self)
        _check_terms(self.terms)
        check_one_of("pooling", self.pooling, POOLINGS)
        check_one_of("padding", self.padding, PADDINGS)
        check_one_of("padding_layers", self.padding_layers, ("all", "first"))
        check_one_of("dtype", self.dtype, ("float32", "bfloat16"))
        check_one_of("convolution", self.convolution, CONVOLUTIONS)
        if self.convolution == "winograd" and not winograd_serves(self):
            raise ValueError(
                "convolution=winograd needs dtype=float32, and padding=zeros or "
                "padding_layers=first; set convolution=auto"
            )
        for name in ("white", "pixel_scale"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")


def _check_terms(terms: Sequence[Term]) -> None:
    names = [term.name for term in terms]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two terms are called {name!r}; names must differ")
    if not active_terms(terms):
        raise ValueError("all weights are 0: nothing to optimise")


def active_terms(terms: Sequence[Term]) -> tuple[Term, ...]:
    """List the terms whose weight is not 0."""
    return tuple(term for term in terms if term.weight != 0)


def winograd_serves(fields: ObjectiveFields) -> bool:
    """Tell whether Winograd's convolution can do what a recipe's network does.

    It is for float32 and zeros beyond the border; the first convolution is XLA's.
    """
    zeros = fields.padding == "zeros" or fields.padding_layers == "first"
    return zeros and fields.dtype == "float32"
