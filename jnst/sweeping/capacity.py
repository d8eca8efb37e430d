"""How many members run side by side: what the device's memory holds, and what pays."""

import math

import jax

from jnst.loop.state import init
from jnst.objective.value import Objective

AT_ONCE = {"cpu": 1}
"""Members at once by backend, where more gain nothing: of the time of as many one by
one, two take 0.9 to 1.2 and four 1.0 to 1.3 (three recipes at 128 px on two cores;
`benchmarks/sweep_ratio.py --at-once 0,2,4`). Accelerators are unmeasured."""
BYTES_A_PIXEL = 3 * 1024
"""Memory of a step by pixels of a member, beside its state: twice what XLA asks for on
a CPU and a TPU v5e (benchmarks/README.md)."""
SHARE_OF_MEMORY = 0.5
MOST_AT_ONCE = 64


def usual_at_once(objective: Objective, count: int) -> int:
    """Choose how many members run at once, by the device's memory.

    Args:
      objective: Of one member at its largest size.
      count: Members there are.
    """
    backend = jax.default_backend()
    if backend in AT_ONCE:
        return min(count, AT_ONCE[backend])
    memory = (jax.devices()[0].memory_stats() or {}).get("bytes_limit", 2**33)
    fits = int(SHARE_OF_MEMORY * memory) // bytes_a_member(objective)
    return max(1, min(count, fits, MOST_AT_ONCE))


def bytes_a_member(objective: Objective) -> int:
    """Estimate the memory that one member takes beside what all share."""
    state = jax.eval_shape(init, objective)
    own = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(state) if x.ndim > 1)
    height, width = objective.start.shape
    return 3 * own + BYTES_A_PIXEL * height * width


def even_length(count: int, at_once: int) -> int:
    """Return the length of as few chunks as possible, all as long or nearly so."""
    return math.ceil(count / math.ceil(count / at_once))
