"""Keyword arguments that change a recipe, for type checkers.

A test holds these to the fields, so that a misspelt one is caught while it is typed.
Fields of terms that a recipe adds (`histogram_weight`) are known only when it runs.
"""

from typing import Any, TypedDict

from jnst.base import Options
from jnst.objective.term import Term


class Changes(TypedDict, total=False):
    """Fields that every function takes by keyword."""

    terms: tuple[Term, ...]
    content_loss: Any
    content_layers: tuple[str, ...] | list[str]
    content_weight: float | str
    content_layer_weights: tuple[float, ...] | list[float]
    content_options: Options | dict[str, Any]
    content_pyramid: int
    content_blend: str
    style_loss: Any
    style_layers: tuple[str, ...] | list[str]
    style_weight: float | str
    style_layer_weights: tuple[float, ...] | list[float]
    style_options: Options | dict[str, Any]
    style_pyramid: int
    style_blend: str
    tv_loss: Any
    tv_layers: tuple[str, ...] | list[str]
    tv_weight: float | str
    tv_layer_weights: tuple[float, ...] | list[float]
    tv_options: Options | dict[str, Any]
    tv_pyramid: int
    tv_blend: str
    shift_px: int
    normalize_gradients: bool
    diagnostics: bool
    pooling: str
    pooling_rescale: bool
    pooling_ceil: bool
    padding: str
    padding_layers: str
    white: float
    dtype: str
    precision: str
    convolution: str
    pixel_scale: float
    tile_px: int | str
    optimizer: Any
    learning_rate: float
    decay_rate: float
    decay_steps: float
    cooldown: float
    beta1: float
    beta2: float
    epsilon: float
    memory: int
    restart_every: int
    moments: str
    ema: float
    returns: str
    clip: bool
    scale_steps: tuple[int, ...] | list[int]
    scale_ratio: float
    min_size_px: int
    size_side: str
    size_rounding: str
    aspect: tuple[int, ...] | list[int]
    style_size_px: int
    style_aspect: tuple[int, ...] | list[int]
    style_fit: bool
    style_enlarge: bool
    resize: str
    source: str


class RunChanges(Changes, total=False):
    """The same, with what `stylize` has as arguments of its own."""

    steps: int | None
    init: Any
    seed: int


class RecipeChanges(RunChanges, total=False):
    """All that a recipe is made of, whole parts included."""

    size_px: int
    weights: tuple[str, ...]
    objective: Any
    optimization: Any
    schedule: Any
    run: Any
