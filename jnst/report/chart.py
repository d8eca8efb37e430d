"""Curves as SVG inside a page: small, and styled by the page's own sheet alone.

matplotlib's SVG sets styles inside elements, which a page's policy forbids, and is an
extra. To add a mark to a chart, draw it in `chart` and give it a class in `page.css`.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from jnst.base import Number
from jnst.report.page import as_text

WIDTH, HEIGHT = 640, 300
"""Of the drawing, in its own units; the page scales it."""
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 10, 40
MOST_POINTS = 600
COLOURS = 8
"""Classes c0 to c7 of `page.css`; further curves repeat them in dashes."""


class Curve(NamedTuple):
    """A curve.

    Attributes:
      name: What the legend says.
      x: Where it is known, [n].
      y: Its values, [n]; what is not finite is left out, and so is what is not above 0
        on a logarithmic axis.
    """

    name: str
    x: np.ndarray
    y: np.ndarray


class Axis(NamedTuple):
    """An axis.

    Attributes:
      label: What it shows.
      log: Whether it is logarithmic.
    """

    label: str
    log: bool = False


def chart(
    curves: Sequence[Curve], x: Axis, y: Axis, *, marks: Sequence[float] = ()
) -> str:
    """Draw curves with axes and a legend.

    Args:
      curves: What to draw.
      x: The axis across.
      y: The axis upwards.
      marks: Where on `x` thin lines stand.

    Returns:
      HTML: a figure. Where nothing can be drawn it says so.
    """
    kept = [_thinned(_visible(curve, x, y)) for curve in curves]
    seen = [curve for curve in kept if len(curve.x)]
    if not seen:
        return '<p class="none">nothing to draw</p>'
    low_x, high_x = _span([c.x for c in seen], x.log, room=0.0)
    low_y, high_y = _span([c.y for c in seen], y.log, room=0.04)
    across = _scale(low_x, high_x, LEFT, WIDTH - RIGHT, x.log)
    up = _scale(low_y, high_y, HEIGHT - BOTTOM, TOP, y.log)
    drawn = [
        *(_tick_y(up(v), v) for v in ticks(low_y, high_y, y.log)),
        *(_tick_x(across(v), v) for v in ticks(low_x, high_x, x.log)),
        *(_line("mark", across(v), TOP, across(v), HEIGHT - BOTTOM) for v in marks),
        *(_path(c, n, across, up) for n, c in enumerate(kept) if len(c.x)),
        f'<text class="label" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 4}" '
        f'text-anchor="middle">{as_text(x.label)}</text>',
    ]
    said = f"{y.label} over {x.label}: {', '.join(c.name for c in curves)}"
    return (
        f'<figure class="chart"><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{as_text(said)}">{"".join(drawn)}</svg>'
        f"<figcaption>{as_text(y.label)}: {_legend(kept)}</figcaption></figure>"
    )


def _visible(curve: Curve, x: Axis, y: Axis) -> Curve:
    across, up = np.asarray(curve.x, np.float64), np.asarray(curve.y, np.float64)
    known = np.isfinite(across) & np.isfinite(up)
    for values, axis in ((across, x), (up, y)):
        known &= (values > 0) | (not axis.log)
    return Curve(curve.name, across[known], up[known])


def _thinned(curve: Curve) -> Curve:
    """Leave out points that lie closer than can be seen."""
    count = len(curve.x)
    if count <= MOST_POINTS:
        return curve
    at = np.unique(np.linspace(0, count - 1, MOST_POINTS).round().astype(int))
    return Curve(curve.name, curve.x[at], curve.y[at])


def _span(
    values: Sequence[np.ndarray], log: bool, *, room: float
) -> tuple[float, float]:
    """Return the ends of an axis; there is `room` beyond, as a share of it."""
    low = min(float(each.min()) for each in values)
    high = max(float(each.max()) for each in values)
    if log:
        low, high = math.log10(low), math.log10(high)
    if high - low < 1e-9 * max(1.0, abs(high)):  # a single value needs an axis too
        low, high = low - 0.5, high + 0.5
    low, high = low - room * (high - low), high + room * (high - low)
    return (10**low, 10**high) if log else (low, high)


def _scale(
    low: float, high: float, start: Number, end: Number, log: bool
) -> Callable[[float], float]:
    """Return where on the drawing a value lies."""
    of: Callable[[float], float] = math.log10 if log else float
    first, last = of(low), of(high)
    return lambda v: round(start + (of(v) - first) / (last - first) * (end - start), 1)


def ticks(low: Number, high: Number, log: bool) -> list[float]:
    """Return at most about seven round numbers between two."""
    if log:
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        steps = (1, 2, 5) if len(decades) <= 3 else (1,)
        every = max(1, len(decades) // 6)
        found = [step * 10.0**d for d in decades[::every] for step in steps]
    else:
        unit = 10.0 ** math.floor(math.log10((high - low) / 5))
        size = next(unit * s for s in (1, 2, 5, 10) if (high - low) / (unit * s) <= 7)
        first, last = math.ceil(low / size), math.floor(high / size)
        found = [size * n for n in range(first, last + 1)]
    return [v for v in found if low <= v <= high]


def _number(value: float) -> str:
    return f"{value:.4g}"


def _line(kind: str, x1: Number, y1: Number, x2: Number, y2: Number) -> str:
    return f'<line class="{kind}" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>'


def _tick_x(at: float, value: float) -> str:
    return (
        _line("grid", at, TOP, at, HEIGHT - BOTTOM)
        + f'<text x="{at}" y="{HEIGHT - BOTTOM + 15}" text-anchor="middle">'
        f"{_number(value)}</text>"
    )


def _tick_y(at: float, value: float) -> str:
    return (
        _line("grid", LEFT, at, WIDTH - RIGHT, at)
        + f'<text x="{LEFT - 6}" y="{at + 4}" text-anchor="end">{_number(value)}</text>'
    )


def _kind(number: int) -> str:
    dashed = " dashed" if number >= COLOURS else ""
    return f"c{number % COLOURS}{dashed}"


def _path(
    curve: Curve,
    number: int,
    across: Callable[[float], float],
    up: Callable[[float], float],
) -> str:
    """Draw one curve; of a single point a short stroke."""
    points = [f"{across(x)} {up(y)}" for x, y in zip(curve.x, curve.y, strict=True)]
    if len(points) == 1:
        points.append(points[0])  # round ends make a dot of it
    return f'<path class="curve {_kind(number)}" d="M{"L".join(points)}"/>'


def _legend(curves: Sequence[Curve]) -> str:
    return " ".join(
        f'<span class="{_kind(n)}">{as_text(curve.name)}</span>'
        for n, curve in enumerate(curves)
    )
