"""What the devices of a program tell each other, read from XLA's text.

Counts are of the instructions as they stand: those in the body of a loop count once, as
XLA counts operations and bytes.
"""

import re
from collections import Counter
from typing import Any, NamedTuple

from jnst.bench.hlo import array_bytes
from jnst.bench.measure import MIB, Row

KINDS = (
    "all-gather",
    "all-reduce",
    "all-to-all",
    "collective-broadcast",
    "collective-permute",
    "ragged-all-to-all",
    "reduce-scatter",
)
# A result, or several in brackets; an asynchronous one begins with "-start".
_INSTRUCTION = re.compile(
    rf"= (\(.*?\)|\S+) ({'|'.join(KINDS)})(-start)?\(", re.MULTILINE
)
_ARRAY = re.compile(r"\b([a-z]+\d*(?:e\dm\d\w*)?)\[([\d,]*)\]")
WITH_OPERAND = ("all-gather", "collective-permute")
"""Those whose asynchronous form lists its operands before its results."""


class Collective(NamedTuple):
    """Instructions of one kind and shape.

    Attributes:
      kind: One of `KINDS`.
      arrays: Types and shapes of the result on one device, such as "f32[1,1,512,64]".
      bytes: Of one result on one device.
      times: How many such instructions there are.
    """

    kind: str
    arrays: str
    bytes: int
    times: int


def collectives(text: str) -> list[Collective]:
    """List a compiled program's collectives, those that move most first.

    Args:
      text: Of `jax.stages.Compiled.as_text`.
    """
    found: Counter[tuple[str, tuple[tuple[str, str], ...]]] = Counter()
    for result, kind, starts in _INSTRUCTION.findall(text):
        arrays = tuple(_ARRAY.findall(result))
        if starts and kind in WITH_OPERAND:  # operands, results, contexts
            arrays = tuple(a for a in arrays if a[0] not in ("u32", "s32") or a[1])
            arrays = arrays[len(arrays) // 2 :]
        found[kind, arrays] += 1
    rows = [
        Collective(
            kind,
            " ".join(f"{name}[{shape}]" for name, shape in arrays),
            sum(array_bytes(*array) for array in arrays),
            times,
        )
        for (kind, arrays), times in found.items()
    ]
    return sorted(rows, key=lambda row: (-row.bytes * row.times, row.kind, row.arrays))


def exchanged(program: Any) -> Row:
    """List what one device gets from the others in a compiled program."""
    found = collectives(program.as_text())
    return {
        "collectives": [row._asdict() for row in found],
        "collective_count": sum(row.times for row in found),
        "collective_mib": sum(row.times * row.bytes for row in found) / MIB,
    }
