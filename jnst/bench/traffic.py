"""Bytes that a compiled program moves to and from a device's main memory.

XLA's own figure, "bytes accessed", counts every array that an instruction reads or
writes, wherever it lies. A TPU's compiler keeps many in the chip's vector memory, which
its text tells by their memory space (`S(1)`): these are left out here. Counted is what
XLA's analysis counts (`HloCostAnalysis` in openxla/xla), but for that:

- an instruction reads its operands and writes its results, each once: a convolution's
  tiles that read an edge again, or a second pass over one operand, are not seen;
- a fusion likewise; an operand of which it takes slices alone counts by these, and one
  that it updates in place by the update;
- an asynchronous copy, or a collective, counts where it starts: the read if its source
  is in main memory, the write if its target is. What uses a prefetched copy later reads
  no main memory;
- parameters, tuples, bitcasts and constants move nothing by themselves;
- the body of a loop counts once, as XLA counts it; of branches, the dearest one;
- arrays count as they lie, padded to whole tiles.

So it is the traffic of a program whose every instruction streams its arrays once.
"""

import re
from collections.abc import Iterator
from typing import Any

from jnst.bench.hlo import HBM, Array, Computation, Instruction, Module, read_module

FREE = {
    *("parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all"),
    *("partition-id", "replica-id", "opt-barrier", "add-dependency", "domain"),
    *("copy-done", "slice-done", "async-done", "async-update", "send-done"),
    *("recv-done", "all-gather-done", "all-reduce-done", "collective-permute-done"),
}
"""Instructions that move nothing by themselves."""
SLICES = ("slice", "dynamic-slice", "gather")
"""Those that read no more than they return."""
UPDATES = {"dynamic-update-slice": 1, "scatter": 2}
"""Those that write in place, and which operand is the update."""
LISTED = ("copy-start", "slice-start", "async-start", "collective-permute-start")
LISTED += ("all-gather-start",)
"""Asynchronous ones, whose result lists what they read and then what they write."""
NAMES_ALONE = ("ConcatBitcast", "AllocateBuffer")
"""Custom calls that give arrays a name and touch no byte."""
LIBRARIES = re.compile(r'custom_call_target="__(?:cublas|cudnn|onednn)')
"""Library calls, of whose insides XLA's analysis knows nothing (a GPU's products)."""
FROM_TEXT = "compiled text, arrays in main memory"
FROM_XLA = "XLA's bytes accessed; caches may serve a part"


def in_hbm(arrays: tuple[Array, ...]) -> int:
    """Add up the bytes of those arrays that lie in main memory."""
    return sum(array.bytes for array in arrays if array.space == HBM)


def _whole(arrays: tuple[Array, ...]) -> int:
    return sum(array.bytes for array in arrays)


def _users(computation: Computation, name: str) -> Iterator[tuple[Instruction, int]]:
    """Find who takes a value and at which place, also under a bitcast's name."""
    for user in computation.values():
        for place, operand in enumerate(user.operands):
            if operand == name and user.opcode == "bitcast" and not user.root:
                yield from _users(computation, user.name)
            elif operand == name:
                yield user, place


def _taken(module: Module, name: str, number: int, whole: int) -> int:
    """Return how much of a parameter a fused computation reads."""
    computation = module.computations[name]
    total = 0
    for own in computation.values():
        if own.opcode != "parameter" or own.operands != (str(number),):
            continue
        for user, place in _users(computation, own.name):
            if user.opcode in SLICES and place == 0:
                total += _whole(user.arrays)
            elif user.opcode in UPDATES and place == 0:
                continue  # in place: what is not updated is not touched
            elif user.opcode == "fusion":
                total += _taken(module, user.called["calls"][0], place, whole)
            else:
                return whole
    return min(total, whole)


def _given(module: Module, name: str, value: str) -> list[int]:
    """Return how much of each of its results a fused computation writes."""
    computation = module.computations[name]
    own = computation[value]
    if own.opcode in UPDATES:
        update = computation[own.operands[UPDATES[own.opcode]]]
        return [_whole(update.arrays)]
    if own.opcode == "bitcast":
        return _given(module, name, own.operands[0])
    if own.opcode == "tuple":
        return [size for x in own.operands for size in _given(module, name, x)]
    if own.opcode == "fusion":
        inner = own.called["calls"][0]
        return _given(module, inner, _root(module.computations[inner]))
    return [array.bytes for array in own.arrays]


def _root(computation: Computation) -> str:
    return next(name for name, one in computation.items() if one.root)


def _fusion(module: Module, here: Computation, own: Instruction) -> int:
    """Count a fusion: what it takes of each operand, what it gives of each result."""
    inner = own.called["calls"][0]
    total = 0
    for number, operand in enumerate(own.operands):
        whole = in_hbm(here[operand].arrays)
        total += _taken(module, inner, number, whole) if whole else 0
    given = _given(module, inner, _root(module.computations[inner]))
    if len(given) != len(own.arrays):
        return total + in_hbm(own.arrays)
    pairs = zip(own.arrays, given, strict=True)
    return total + sum(
        min(size, array.bytes) for array, size in pairs if array.space == HBM
    )


def _instruction(module: Module, here: Computation, own: Instruction) -> int:
    """Count one instruction and what it calls."""
    given = [here[name] for name in dict.fromkeys(own.operands) if name in here]
    if own.opcode in FREE or own.target in NAMES_ALONE:
        return 0
    if own.opcode in ("while", "call", "conditional"):
        parts = [name for names in own.called.values() for name in names]
        sizes = [_computation(module, name) for name in parts]
        return max(sizes) if own.opcode == "conditional" else sum(sizes)
    if own.opcode == "fusion":
        return _fusion(module, here, own)
    if own.opcode == "slice-start":  # the source is listed whole
        source, result = own.arrays[:2]
        return result.bytes * ((source.space == HBM) + (result.space == HBM))
    if own.opcode in LISTED:
        return in_hbm(own.arrays)
    if own.opcode in SLICES:
        read = _whole(own.arrays) if in_hbm(given[0].arrays) else 0
        return read + in_hbm(own.arrays)
    if own.opcode in UPDATES:
        update = given[UPDATES[own.opcode]].arrays
        return in_hbm(update) + (_whole(update) if in_hbm(own.arrays) else 0)
    return sum(in_hbm(one.arrays) for one in given) + in_hbm(own.arrays)


def _computation(module: Module, name: str) -> int:
    here = module.computations[name]
    return sum(_instruction(module, here, own) for own in here.values())


def hbm_bytes(text: str) -> int:
    """Count the bytes that one run of a program moves to and from main memory.

    Args:
      text: Of `jax.stages.Compiled.as_text`.

    Returns:
      Bytes, of one pass through every loop.

    Raises:
      ValueError: If the text has no entry.
    """
    module = read_module(text)
    return _computation(module, module.entry)


def account(program: Any, device_kind: str) -> dict[str, Any]:
    """Say how many operations and bytes a compiled program takes, and who says so.

    Args:
      program: A `jax.stages.Compiled`.
      device_kind: `jax.Device.device_kind` of what it was compiled for.

    Returns:
      "flops_xla", operations by XLA's analysis, None where it cannot look into calls of
      a library; "hbm_bytes" and "hbm_bytes_source". A TPU's text tells which arrays
      lie in its main memory. On others caches do it unseen, so that XLA's own count
      stands; or that of the text, if there are library calls, which XLA leaves out.
    """
    cost, text = program.cost_analysis(), program.as_text()
    library = bool(LIBRARIES.search(text))
    counted = library or device_kind.startswith("TPU")
    return {
        "flops_xla": None if library else cost["flops"],
        "hbm_bytes": float(hbm_bytes(text) if counted else cost["bytes accessed"]),
        "hbm_bytes_source": FROM_TEXT if counted else FROM_XLA,
    }
