"""What a row of a loss table is, and how options reach its functions.

Features are NHWC with N = 1; a statistic is any pytree of arrays. Options are
keyword-only arguments of a row's own functions: what a function does not name, it
does not get.
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple

from jnst.base import Scalar, Statistic, check_one_of, shown
from jnst.bounds import NATURAL, NOT_NEGATIVE, POSITIVE, Range
from jnst.fitting import fit

RUN_TIME_OPTIONS = ("key", "image_size", "masks")
"""Keyword arguments that the loop supplies, never a recipe."""


class StyleLoss(NamedTuple):
    """A pair of pure functions that together define one style loss.

    Attributes:
      statistic: Summarises a feature map [1, H, W, C] as a pytree; if `joint`, a
        {layer: feature map} of all its layers. Constants that depend on H and W may
        ride along in it.
      distance: Scalar >= 0 between the statistic of the image and that of the style,
        in this order, and 0 when they are equal.
      source: Paper or code it is from.
      captures: What it compares, in a few words.
      size_free: Whether an image and its own tiling are at distance 0, so that the
        style image may have any size.
      keyed: Whether `distance` takes `key`, a PRNG key folded with the step.
      joint: Whether `statistic` takes all layers at once.
      blend: Averages several statistics with weights into one, where the source does
        so; None where only distances can be averaged.
      least: From options to the fewest positions a side of a map; None for 1.
      whole: Why a map cannot be split over devices; empty where it can.
      moments: Makes the statistic from `jnst.losses.pooled.Pooled`, which add up over
        tiles, where it is a function of these; None where it does not add up.
    """

    statistic: Callable[..., Statistic]
    distance: Callable[..., Scalar]
    source: str = ""
    captures: str = ""
    size_free: bool = True
    keyed: bool = False
    joint: bool = False
    blend: Callable[..., Statistic] | None = None
    least: Callable[..., int] | None = None
    whole: str = ""
    moments: Callable[..., Statistic] | None = None


def content_itself(content: Any, style: Any) -> Any:
    """Take the content's features as the target of a content loss."""
    del style
    return content


class ContentLoss(NamedTuple):
    """One content loss: a scalar >= 0 between the image's features and a target.

    Attributes:
      distance: Function of the image's features [1, H, W, C] and the target.
      source: Paper or code it is from.
      captures: What it compares, in a few words.
      target: Makes the target from the content's and the first style's features at
        the layer, once a size; the content's features where nothing else is said.
      keyed: Whether `distance` takes `key`, a PRNG key folded with the step.
      needs_style: Whether `target` reads the style's features.
      least: From options to the fewest positions a side of a map; None for 1.
      whole: Why a map cannot be split over devices; empty where it can.
      over: "mean" or "sum" where the distance is that, over positions, of something
        that is 0 where both maps are equal, so that it adds up over tiles; else "".
    """

    distance: Callable[..., Scalar]
    source: str = ""
    captures: str = ""
    target: Callable[..., Any] = content_itself
    keyed: bool = False
    needs_style: bool = False
    least: Callable[..., int] | None = None
    whole: str = ""
    over: str = ""


class ImageLoss(NamedTuple):
    """One loss on the pixels alone.

    Attributes:
      value: Function of an image [1, H, W, 3] in the scale the optimiser sees, and of
        the constants if there are any.
      source: Paper or code it is from.
      captures: What it measures, in a few words.
      constants: Makes constants from the content image [1, H, W, 3] in [0, 1], once a
        size; None where the image alone will do.
      least: From options to the fewest pixels a side; None for 1.
      whole: Why a map cannot be split over devices; empty where it can.
      channels: "mean" or "sum" where the value is that of the values of each colour
        channel by itself, [1, H, W, 1], so that a large image may be looked at one
        channel after the other; else "".
    """

    value: Callable[..., Scalar]
    source: str = ""
    captures: str = ""
    constants: Callable[..., Any] | None = None
    least: Callable[..., int] | None = None
    whole: str = ""
    channels: str = ""


def option_names(*functions: Callable[..., Any]) -> list[str]:
    """List the options that a loss's functions take between them."""
    names = []
    for function in functions:
        for name, parameter in inspect.signature(function).parameters.items():
            if parameter.kind is parameter.KEYWORD_ONLY and name not in names:
                names.append(name)
    return names


def check_options(
    loss: str, options: Mapping[str, Any], *functions: Callable[..., Any]
) -> None:
    """Raise `ValueError` for an option that none of a loss's functions takes."""
    known = option_names(*functions)
    for name in options:
        if not known:
            raise ValueError(f"loss {loss!r} takes no options, got {shown(name)}")
        check_one_of(f"option of loss {loss!r}", name, known)


ROWS: dict[str, Any] = {"style": StyleLoss, "content": ContentLoss, "image": ImageLoss}
"""What a row of a table is, by the kind of its losses."""
COUNT = NATURAL._replace(low=1)
OPTION_RANGES: dict[str, Range] = {
    "bandwidth": POSITIVE,
    "bins": NATURAL,
    "epsilon": NOT_NEGATIVE,
    "log_epsilon": NOT_NEGATIVE,
    "max_iterations": COUNT,
    "multiplier": POSITIVE,
    "patch": COUNT,
    "pool": COUNT,
    "samples": NATURAL,
    "sigma2": POSITIVE,
    "stride": COUNT,
    "style_samples": COUNT,
    "threshold": NOT_NEGATIVE,
}
"""Bounds of options, by name, whichever of our losses has them."""


def check_row(name: str, kind: str, row: Any) -> None:
    """Raise `ValueError` if a row of a loss table is none.

    Args:
      name: Key of the loss.
      kind: Key of `ROWS`.
      row: What the table has for it.
    """
    wanted = ROWS[kind]
    if not isinstance(row, wanted):
        raise ValueError(
            f"the row of {kind} loss {name!r} must be a jnst.losses.{wanted.__name__}, "
            f"got {type(row).__name__} {shown(row)}"
        )
    for field, value in row._asdict().items():
        if wanted.__annotations__[field] not in (str, bool) and not (
            callable(value) or (value is None and field in wanted._field_defaults)
        ):
            raise ValueError(
                f"{field} of {kind} loss {name!r} must be a function, got "
                f"{shown(value)}"
            )


def check_values(
    field: str,
    loss: str,
    options: Mapping[str, Any],
    *functions: Callable[..., Any],
) -> None:
    """Raise `ValueError` for an option of another type or out of bounds.

    Args:
      field: Where the options are from, for messages.
      loss: Name of the loss.
      options: Values by name.
      *functions: Functions of the loss.
    """
    for function in functions:
        for name, parameter in inspect.signature(function).parameters.items():
            if name in options:
                kind = parameter.annotation
                typed = kind is not parameter.empty and not isinstance(kind, str)
                declared = Annotated[kind, OPTION_RANGES.get(name)] if typed else Any
                fit(f"{field}: {name} of loss {loss!r}", options[name], declared)


def as_float(value: Any, annotation: Any) -> Any:
    """Turn a whole number into a float where a float is meant, as in `beta=1`."""
    meant = annotation in (float, float | None, float | str)
    return float(value) if meant and type(value) is int else value


def with_options(
    function: Callable[..., Any], options: Mapping[str, Any]
) -> Callable[..., Any]:
    """Bind those of `options` that `function` takes."""
    parameters = inspect.signature(function).parameters
    known = {name: options[name] for name in option_names(function) if name in options}
    return functools.partial(
        function,
        **{k: as_float(v, parameters[k].annotation) for k, v in known.items()},
    )


def least_side(row: Any, options: Mapping[str, Any]) -> int:
    """Return the fewest positions a side that a row's loss can be computed on."""
    least = getattr(row, "least", None)
    return 1 if least is None else with_options(least, options)()
