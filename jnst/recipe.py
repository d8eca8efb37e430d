"""The one configuration of a run.

A recipe is frozen, hashable and checked when made. Whatever makes two published
methods differ is a field here. Named recipes are in `jnst.recipes`, reading a field
from text is in `jnst.settings`.
"""

import dataclasses
from typing import Any

from jnst.base import check_one_of
from jnst.convolution import CONVOLUTIONS
from jnst.image import RESIZE_METHODS, ROUNDINGS, SIDES
from jnst.initial import INITS
from jnst.losses import (
    CONTENT_LOSSES,
    IMAGE_LOSSES,
    STYLE_LOSSES,
    check_options,
    functions_of,
)
from jnst.losses.rows import RUN_TIME_OPTIONS
from jnst.pooling import POOLINGS
from jnst.vgg import PADDINGS

Options = tuple[tuple[str, Any], ...]
Number = float | int  # kept as a float: 1 is meant as 1.0
VGG_STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
ADAMS = ("adam", "adam_tf")
OPTIMIZERS = (*ADAMS, "sgd", "lbfgs", "lbfgs_torch")
RESULTS = ("last", "ema", "best", "after_best")
MOMENTS = ("resized", "rescaled")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that decides a run's result, given the two images and the weights file.

    Attributes:
      style_loss: Key of `jnst.losses.STYLE_LOSSES`.
      style_options: Options of the style loss, (name, value) pairs.
      style_layers: Layers compared, by any usual name.
      style_layer_weights: One factor a layer; empty for 1 / number of layers each.
      style_weight: Multiplies the style loss; "balance" for the weight that gives it
        the gradient that the named recipe's own style loss has at the first image.
      style_pyramid: Levels of an image pyramid, each half the size of the one before,
        over which the style loss is averaged; 1 for the image alone.
      style_blend: How several styles join: weighted "losses", or one loss against
        weighted "statistics".
      content_loss: Key of `jnst.losses.CONTENT_LOSSES`.
      content_options: Options of the content loss.
      content_layers: Layers compared.
      content_layer_weights: As `style_layer_weights`.
      content_weight: Multiplies the content loss; 0 leaves it out.
      tv_loss: Key of `jnst.losses.IMAGE_LOSSES`.
      tv_options: Options of that loss.
      tv_weight: Multiplies it; 0 leaves it out.
      normalize_gradients: Whether every layer's gradient is divided by its L1 norm.
      diagnostics: Whether the history tells gradient norms and cosines of the terms.
      pooling: Key of `jnst.pooling.POOLINGS`.
      pooling_rescale: Keep the scale of max pooling.
      pooling_ceil: Whether odd sizes round up at a pooling, as in Caffe.
      padding: Key of `jnst.vgg.PADDINGS`.
      padding_layers: Convolutions that `padding` holds for, "all" or "first".
      white: What a pixel of 1.0 is in the network's 0..255 input: 255, or Torch7's 256.
      dtype: Type of activations, "float32" or "bfloat16"; statistics stay float32.
      convolution: One of `jnst.convolution.CONVOLUTIONS`: "auto" for the fastest in
        float32 on this device, "xla" for the definition.
      pixel_scale: What a pixel of 1.0 is in the optimiser's (and total variation's)
        eyes: 1 or 255.
      clip: Whether pixels are clipped to their range after every step.
      init: First image: one of `INITS`; `stylize` also takes a file or an array.
      optimizer: One of `OPTIMIZERS`, or any `optax.GradientTransformation`.
      learning_rate: Step size, in the units of `pixel_scale`.
      decay_rate: Factor on the learning rate every `decay_steps`, continuously.
      decay_steps: See `decay_rate`.
      cooldown: Share of the last scale's steps over which the learning rate falls to 0
        in the end, linearly (Haegele et al, "Scaling Laws and Compute-Optimal Training
        Beyond Fixed Training Durations", 2024).
      beta1: Adam's decay of the first moment.
      beta2: Adam's decay of the second moment.
      epsilon: Adam's epsilon.
      memory: Pairs that L-BFGS keeps.
      restart_every: Steps after which the optimiser starts afresh; 0 for never.
      steps: Steps in all scales together; None for what `scale_steps` adds up to.
      scale_steps: Steps at each scale from the coarsest, the last repeated; of three or
        more, the last are those of the last scale, and the ones before are repeated.
        Where `steps` is given, the shares it is split by.
      scale_ratio: Ratio of neighbouring sizes, coarse to fine; 1 for one size only.
      min_size_px: No scale is smaller, unless the only one.
      moments: How Adam's moments come to the next scale: "resized" alone; or "rescaled"
        too, as the derivatives of losses that are means get smaller with more pixels.
      ema: Decay of the exponential moving average of images; 0 for none.
      returns: Which image is the result: "last", "ema", "best" (lowest loss) or
        "after_best" (the step after the lowest loss, source 004).
      size_px: Size of the result, in pixels of `size_side`.
      size_side: Side that `size_px` means, one of `SIDES`.
      size_rounding: How the other side is rounded: "nearest" or "down".
      aspect: (height, width) ratio files are stretched to; empty keeps their own.
      style_size_px: The style's size; 0 for that of the content's current scale.
      style_aspect: Ratio the style is stretched to; empty keeps its own.
      style_fit: Whether the style is stretched to the content's exact size.
      style_enlarge: Whether a style smaller than its size is enlarged.
      resize: Method of `jnst.image.RESIZE_METHODS`.
      weights: Weights to take where none are asked for: the first that is at hand.
      seed: Seed of all random numbers of a run.
      source: Paper or code, and where we depart from it.
    """

    style_loss: str = "gram"
    style_options: Options = ()
    style_layers: tuple[str, ...] = VGG_STYLE_LAYERS
    style_layer_weights: tuple[float, ...] = ()
    style_weight: Number | str = 1.0
    style_pyramid: int = 1
    style_blend: str = "losses"
    content_loss: str = "mean_squared"
    content_options: Options = ()
    content_layers: tuple[str, ...] = ("relu4_2",)
    content_layer_weights: tuple[float, ...] = ()
    content_weight: Number = 1.0
    tv_loss: str = "tv_mean_l2"
    tv_options: Options = ()
    tv_weight: Number = 0.0
    normalize_gradients: bool = False
    diagnostics: bool = False
    pooling: str = "max"
    pooling_rescale: bool = False
    pooling_ceil: bool = False
    padding: str = "zeros"
    padding_layers: str = "all"
    white: Number = 255.0
    dtype: str = "float32"
    convolution: str = "auto"
    pixel_scale: Number = 1.0
    clip: bool = True
    init: str = "content"
    optimizer: Any = "adam"
    learning_rate: Number = 0.02
    decay_rate: Number = 1.0
    decay_steps: int = 100
    cooldown: Number = 0.0
    beta1: Number = 0.9
    beta2: Number = 0.999
    epsilon: Number = 1e-8
    memory: int = 10
    restart_every: int = 0
    steps: int | None = None
    scale_steps: tuple[int, ...] = (500,)
    scale_ratio: Number = 1.0
    min_size_px: int = 128
    moments: str = "resized"
    ema: Number = 0.0
    returns: str = "last"
    size_px: int = 512
    size_side: str = "longer"
    size_rounding: str = "nearest"
    aspect: tuple[int, ...] = ()
    style_size_px: int = 0
    style_aspect: tuple[int, ...] = ()
    style_fit: bool = False
    style_enlarge: bool = True
    resize: str = "bicubic"
    weights: tuple[str, ...] = ("vgg19",)
    seed: int = 0
    source: str = ""

    def __post_init__(self) -> None:
        """Raise `ValueError` for the first field that no run could use."""
        for field in dataclasses.fields(self):
            if field.type in (Number, Number | str):
                value = getattr(self, field.name)
                value = float(value) if isinstance(value, int) else value
                object.__setattr__(self, field.name, value)
        _check_names(self)
        _check_losses(self)
        _check_numbers(self)


def winograd_serves(recipe: Recipe) -> bool:
    """Tell whether Winograd's convolution can do what a recipe's network does.

    It is for float32 and zeros beyond the border; the first convolution is XLA's.
    """
    zeros = recipe.padding == "zeros" or recipe.padding_layers == "first"
    return zeros and recipe.dtype == "float32"


def _check_names(recipe: Recipe) -> None:
    check_one_of("style loss", recipe.style_loss, STYLE_LOSSES)
    check_one_of("content loss", recipe.content_loss, CONTENT_LOSSES)
    check_one_of("image loss", recipe.tv_loss, IMAGE_LOSSES)
    check_one_of("style_blend", recipe.style_blend, ("losses", "statistics"))
    check_one_of("pooling", recipe.pooling, POOLINGS)
    check_one_of("padding", recipe.padding, PADDINGS)
    check_one_of("padding_layers", recipe.padding_layers, ("all", "first"))
    check_one_of("dtype", recipe.dtype, ("float32", "bfloat16"))
    check_one_of("convolution", recipe.convolution, CONVOLUTIONS)
    if recipe.convolution == "winograd" and not winograd_serves(recipe):
        raise ValueError(
            "convolution=winograd needs dtype=float32, and padding=zeros or "
            "padding_layers=first; set convolution=auto"
        )
    check_one_of("init", recipe.init, INITS)
    if isinstance(recipe.optimizer, str):
        check_one_of("optimizer", recipe.optimizer, OPTIMIZERS)
    check_one_of("returns", recipe.returns, RESULTS)
    check_one_of("moments", recipe.moments, MOMENTS)
    check_one_of("size_side", recipe.size_side, SIDES)
    check_one_of("size_rounding", recipe.size_rounding, ROUNDINGS)
    check_one_of("resize", recipe.resize, RESIZE_METHODS)


def _check_losses(recipe: Recipe) -> None:
    for kind in ("style", "content", "tv"):
        name = getattr(recipe, f"{kind}_loss")
        options = dict(getattr(recipe, f"{kind}_options"))
        check_options(name, options, *functions_of(name))
        for option in RUN_TIME_OPTIONS:
            if option in options:
                raise ValueError(f"{option} is set by the loop, not by {kind}_options")
    for kind in ("style", "content"):
        layers = getattr(recipe, f"{kind}_layers")
        weights = getattr(recipe, f"{kind}_layer_weights")
        if weights and len(weights) != len(layers):
            raise ValueError(
                f"{kind}_layer_weights has {len(weights)} values "
                f"for {len(layers)} layers"
            )
    if recipe.style_blend == "statistics" and not STYLE_LOSSES[recipe.style_loss].blend:
        raise ValueError(
            f"statistics of {recipe.style_loss!r} do not blend; set style_blend=losses"
        )


def _check_numbers(recipe: Recipe) -> None:
    if isinstance(recipe.style_weight, str):
        check_one_of("style_weight", recipe.style_weight, ("balance",))
        recipe = dataclasses.replace(recipe, style_weight=1.0)
    above_zero = ("white", "pixel_scale", "learning_rate", "decay_rate", "epsilon")
    at_least_one = ("decay_steps", "memory", "min_size_px", "size_px", "scale_ratio")
    at_least_one += ("style_pyramid",)
    not_negative = ("style_weight", "content_weight", "tv_weight", "restart_every")
    for names, low, strict in (
        (above_zero, 0, True),
        (at_least_one, 1, False),
        (not_negative + ("style_size_px", "seed"), 0, False),
    ):
        for name in names:
            value = getattr(recipe, name)
            if not (value > low if strict else value >= low) or value == float("inf"):
                words = "above" if strict else "at least"
                raise ValueError(f"{name} must be {words} {low}, got {value}")
    for name in ("ema", "beta1", "beta2"):
        if not 0 <= getattr(recipe, name) < 1:
            raise ValueError(f"{name} must be in [0, 1), got {getattr(recipe, name)}")
    if not 0 <= recipe.cooldown <= 1:
        raise ValueError(f"cooldown must be in [0, 1], got {recipe.cooldown}")
    if recipe.cooldown and str(recipe.optimizer).startswith("lbfgs"):
        raise ValueError(
            f"optimizer={recipe.optimizer} learns from the steps it asked for, which a "
            "cooldown would shorten; set cooldown=0"
        )
    for steps in (recipe.steps, *recipe.scale_steps):
        if steps is not None and steps < 1:
            raise ValueError(f"steps must be at least 1, got {steps}")
    for name in ("aspect", "style_aspect"):
        aspect = getattr(recipe, name)
        if aspect and (len(aspect) != 2 or min(aspect) < 1):
            raise ValueError(f"{name} must be two numbers above 0, got {aspect}")
    if not recipe.style_layers or not recipe.scale_steps:
        raise ValueError("style_layers and scale_steps must not be empty")
    if recipe.style_weight == recipe.content_weight == recipe.tv_weight == 0:
        raise ValueError("all weights are 0: nothing to optimise")
