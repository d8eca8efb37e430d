"""XLA's text of a compiled program, as instructions with the memory they lie in.

The text is that of `jax.stages.Compiled.as_text`: computations, one of them the entry,
each a list of instructions in the order they run. A layout in it, such as
`{3,2,1,0:T(8,128)(2,1)S(1)}`, gives the order of the dimensions from the fastest, the
tiles that an array is padded to, and the memory space: none or 0 is the device's main
memory, 1 a TPU's on-chip vector memory (VMEM), others are smaller still, or the host's.
"""

import math
import re
from typing import NamedTuple

import numpy as np

HBM = 0
"""The memory space of what lies in the device's main memory."""
_ARRAY = re.compile(r"\b([a-z]+\d*(?:e\dm\d\w*)?)\[([\d,]*)\](?:\{([^{}]*)\})?")
_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{$")
_INSTRUCTION = re.compile(r"^\s+(ROOT )?%?([\w.\-]+) = ")
_CALLED = re.compile(r"\b(\w+)=(?:%([\w.\-]+)|\{(%[^{}]*)\})")


BYTES = {"pred": 1, "bf16": 2, "token": 0, "opaque": 0}
"""Of an element, for types whose name does not tell."""


class Array(NamedTuple):
    """One array.

    Attributes:
      bytes: As it lies in memory, padded to whole tiles.
      space: Memory space, see `HBM`.
    """

    bytes: int
    space: int


class Instruction(NamedTuple):
    """One instruction.

    Attributes:
      name: Its own.
      opcode: What it does, such as "fusion" or "copy-start".
      arrays: Its result, or all arrays of a tuple.
      operands: Names of what it takes; of a parameter, its number.
      called: Names of computations by attribute: {"calls": ("fused_computation",)}.
      target: What a custom call calls, else "".
      root: Whether it is what its computation returns.
    """

    name: str
    opcode: str
    arrays: tuple[Array, ...]
    operands: tuple[str, ...]
    called: dict[str, tuple[str, ...]]
    target: str
    root: bool


Computation = dict[str, Instruction]


class Module(NamedTuple):
    """A program.

    Attributes:
      computations: Instructions by name, by name of their computation.
      entry: Name of the computation that a call runs.
    """

    computations: dict[str, Computation]
    entry: str


def array_bytes(kind: str, shape: str) -> int:
    """Return the bytes of an array of XLA's, such as ("bf16", "1,512,64")."""
    each = BYTES.get(kind)
    if each is None:
        each = int(re.sub(r"\D.*", "", re.sub(r"^\D+", "", kind))) / 8
    return int(np.ceil(each * math.prod(int(n) for n in shape.split(",") if n)))


def _padded(shape: str, layout: str) -> str:
    """Round the fastest dimensions up to whole tiles, such as T(8,128)."""
    found = re.search(r"T\(([\d,]+)\)", layout)
    order = [int(n) for n in layout.partition(":")[0].split(",") if n]
    sides = [int(n) for n in shape.split(",") if n]
    if not found or len(order) != len(sides):
        return shape
    tile = [int(n) for n in found[1].split(",")]
    for dimension, side in zip(order, reversed(tile), strict=False):
        sides[dimension] = -(-sides[dimension] // side) * side
    return ",".join(str(side) for side in sides)


def _array(kind: str, shape: str, layout: str) -> Array:
    space = re.search(r"S\((\d+)\)", layout)
    size = array_bytes(kind, _padded(shape, layout))
    return Array(size, int(space[1]) if space else HBM)


def read_arrays(text: str) -> tuple[Array, ...]:
    """Read the arrays of a result's type, in the order they stand in."""
    return tuple(_array(*found) for found in _ARRAY.findall(text))


def _closing(text: str, start: int) -> int:
    """Return the place after the bracket that closes the one at `start`."""
    depth = 0
    for place in range(start, len(text)):
        depth += (text[place] == "(") - (text[place] == ")")
        if depth == 0:
            return place + 1
    return len(text)


def _read_instruction(line: str) -> Instruction | None:
    found = _INSTRUCTION.match(line)
    if not found:
        return None
    begin = found.end()
    several = line[begin] == "("
    end = _closing(line, begin) if several else line.index(" ", begin)
    opens = line.index("(", end)
    closes = _closing(line, opens)
    inside, rest = line[opens + 1 : closes - 1], line[closes:]
    rest = rest.partition(", metadata=")[0].partition(", backend_config=")[0]
    names = re.findall(r"%([\w.\-]+)", inside) or [inside]
    called = {
        key: tuple(re.findall(r"[\w.\-]+", one or many))
        for key, one, many in _CALLED.findall(rest)
    }
    target = re.search(r'custom_call_target="([^"]*)"', rest)
    return Instruction(
        found[2],
        line[end:opens].strip(),
        read_arrays(line[begin:end]),
        tuple(names),
        called,
        target[1] if target else "",
        bool(found[1]),
    )


def read_module(text: str) -> Module:
    """Read the text of a compiled program.

    Args:
      text: Of `jax.stages.Compiled.as_text`.

    Returns:
      Its computations.

    Raises:
      ValueError: If it has no entry.
    """
    computations: dict[str, Computation] = {}
    entry, here = "", {}
    for line in text.splitlines():
        header = _COMPUTATION.match(line)
        if header:
            here = computations.setdefault(header[2], {})
            entry = header[2] if header[1] else entry
        elif instruction := _read_instruction(line):
            here[instruction.name] = instruction
    if not entry:
        raise ValueError("the text of a program has no ENTRY computation")
    return Module(computations, entry)
