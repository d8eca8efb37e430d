"""Bounds of fields, which stand with the type where a field is declared.

`learning_rate: Annotated[Number, POSITIVE] = 0.02` says all that there is to say;
`jnst.fitting` holds values to it.
"""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from jnst.base import Number

LARGEST = float(np.finfo(np.float32).max)


class Range(NamedTuple):
    """The numbers that a field may hold; in float32 too, as programs take them.

    Attributes:
      low: The least.
      high: The largest.
      above: Whether `low` itself is too small.
      below: Whether `high` itself is too large.
      text: What to say in place of the bound that is broken.
    """

    low: Number
    high: Number = LARGEST
    above: bool = False
    below: bool = False
    text: str = ""

    def holds(self, value: Number) -> bool:
        """Tell whether a number is within; NaN is not."""
        low = value > self.low if self.above else value >= self.low
        return low and (value < self.high if self.below else value <= self.high)

    def wanted(self, value: Number) -> str:
        """Say what a number outside should have been."""
        if self.text:
            return self.text
        if value >= self.high:
            return f"{'below' if self.below else 'at most'} {_short(self.high)}"
        return f"{'above' if self.above else 'at least'} {_short(self.low)}"


class Choice(NamedTuple):
    """The words that a field may hold.

    Attributes:
      options: A table, or names.
    """

    options: Collection[str]


POSITIVE = Range(0, above=True)
NOT_NEGATIVE = Range(0)
FRACTION = Range(0, 1, text="in [0, 1]")
DECAY = Range(0, 1, below=True, text="in [0, 1)")
WEIGHT = Range(0, 1e18)
"""Of a loss. Adam squares gradients, and float32 ends at the square of 1.8e19."""
SCALE = Range(1e-3, 1e6)
"""Of pixels: 1 and 255 are usual."""
STEPS = Range(1, 10**7)
"""Some hundred sizes of as many steps are still fewer than an int32 counts to."""
SIDE = Range(1, 65535)
"""Of an image in pixels."""
SEED = Range(0, 2**32 - 1)
NATURAL = Range(0, 2**24)
"""Whole numbers that count; float32 tells larger ones not all apart."""
FINITE, WHOLE = Range(-LARGEST), Range(-(2**31), 2**31 - 1)
"""What holds where nothing is declared."""


def _short(number: Number) -> str:
    return f"{number:g}" if isinstance(number, float) else str(number)
