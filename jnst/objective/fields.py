"""The first part of a recipe: what is compared, and the network it is seen through."""

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Any

from jnst.base import shown
from jnst.bounds import SCALE, SIDE, Choice, Range
from jnst.fitting import fit_fields, fitted, plain
from jnst.network.convolution import CONVOLUTIONS, PRECISIONS
from jnst.network.pooling import POOLINGS
from jnst.network.vgg import PADDINGS
from jnst.objective.term import Term

VGG_STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
TERMS = (
    Term("content", "mean_squared", ("relu4_2",)),
    Term("style", "gram", VGG_STYLE_LAYERS),
    Term("tv", "tv_mean_l2", weight=0.0),
)
"""The terms of a recipe that does not say otherwise."""
MOST_TERMS = 100
"""Each is compiled: more would take an hour."""
TILE = Range(64, SIDE.high)
TILES = ("none", "auto")


@fitted
@dataclasses.dataclass(frozen=True, kw_only=True)
class ObjectiveFields:
    """What an image is compared by.

    Attributes:
      terms: The terms, whose weighted sum is the loss; names must differ.
      shift_px: Whole pixels below which the steps shift the image in turn, as many
        shifts as pixels, so that no pooling grid shows; 0 for none. Terms that are
        functions of features turn it off, since they may compare positions, and so
        does a change of the optimiser to L-BFGS, which compares gradients of steps.
      normalize_gradients: Whether every layer's gradient is divided by its L1 norm.
      diagnostics: Whether the history tells gradient norms and cosines of the terms.
      pooling: Key of `jnst.network.pooling.POOLINGS`.
      pooling_rescale: Keep the scale of max pooling.
      pooling_ceil: Whether odd sizes round up at a pooling, as in Caffe.
      padding: Key of `jnst.network.vgg.PADDINGS`.
      padding_layers: Convolutions that `padding` holds for, "all" or "first".
      white: What a pixel of 1.0 is in the network's 0..255 input: 255, or Torch7's 256.
      dtype: Type of activations, "float32" or "bfloat16"; statistics stay float32.
      precision: Of the network's convolutions on accelerators, one of
        `jnst.network.convolution.PRECISIONS`; all other products, and Winograd's, are
        of the highest.
      convolution: One of `jnst.network.convolution.CONVOLUTIONS`: "auto" for the
        fastest in float32 on this device, "xla" for the definition.
      pixel_scale: What a pixel of 1.0 is in the optimiser's (and total variation's)
        eyes: 1 or 255.
      tile_px: Side of the tiles, in pixels, by which a step works through an image
        that is larger: less memory, the same result. "none" for no tiles, "auto" for
        tiles where the image would not fit into memory.
    """

    terms: tuple[Term, ...] = TERMS
    shift_px: Annotated[int, Range(0, 64)] = 0
    normalize_gradients: bool = False
    diagnostics: bool = False
    pooling: Annotated[str, Choice(POOLINGS)] = "max"
    pooling_rescale: bool = False
    pooling_ceil: bool = False
    padding: Annotated[str, Choice(PADDINGS)] = "zeros"
    padding_layers: Annotated[str, Choice(("all", "first"))] = "all"
    white: Annotated[float, SCALE] = 255.0
    dtype: Annotated[str, Choice(("float32", "bfloat16"))] = "float32"
    precision: Annotated[str, Choice(PRECISIONS)] = "high"
    convolution: Annotated[str, Choice(CONVOLUTIONS)] = "auto"
    pixel_scale: Annotated[float, SCALE] = 1.0
    tile_px: Annotated[int, TILE] | Annotated[str, Choice(TILES)] = "none"

    def __post_init__(self) -> None:
        """Raise `ValueError` for the first field that no run could use."""
        object.__setattr__(self, "terms", terms_of(self.terms))
        fit_fields(self)
        _check_terms(self.terms)
        if self.convolution == "winograd" and not winograd_serves(self):
            raise ValueError(
                "convolution=winograd needs padding=zeros or padding_layers=first; set "
                "convolution=auto"
            )


def terms_of(value: Any) -> tuple[Term, ...]:
    """Return terms as a tuple.

    Raises:
      ValueError: If something else is among them.
    """
    terms = plain(value)
    for term in terms if isinstance(terms, tuple) else (terms,):
        if not isinstance(term, Term):
            kind = type(term).__name__
            raise ValueError(f"terms must be of jnst.Term, got {kind} {shown(term)}")
    return terms if isinstance(terms, tuple) else (terms,)


def check_count(terms: Sequence[Any]) -> None:
    """Raise `ValueError` for more terms than any run could use."""
    if len(terms) > MOST_TERMS:
        raise ValueError(f"terms must be at most {MOST_TERMS}, got {len(terms)}")


def _check_terms(terms: Sequence[Term]) -> None:
    check_count(terms)
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

    It is for zeros beyond the border; the first convolution is another's.
    """
    return fields.padding == "zeros" or fields.padding_layers == "first"
