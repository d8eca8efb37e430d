"""What a step in tiles does not need until its end, in the host's memory.

While tiles go through the network nobody looks at the optimiser's state, the average
and the last good image: 48 bytes a pixel with Adam. On an accelerator they wait in
pinned memory of the host, and are on the device only for the update. On a CPU memory is
the host's already.
"""

from typing import Any

import jax

from jnst.memory import available_bytes
from jnst.scale.weighing import bytes_of

HOST = "pinned_host"
LARGE = 8
"""A state is large that takes more than this part of the device's free memory: 1/8."""


def is_large(tree: Any) -> bool:
    """Tell whether a tree of arrays should wait in the host's memory."""
    if jax.default_backend() == "cpu":
        return False
    free = available_bytes()
    size = sum(bytes_of(leaf) for leaf in jax.tree.leaves(tree))
    return free is not None and size > free / LARGE


def is_parked(tree: Any) -> bool:
    """Tell whether arrays of a tree are in the host's memory."""
    return any(
        isinstance(leaf, jax.Array) and leaf.sharding.memory_kind == HOST
        for leaf in jax.tree.leaves(tree)
    )


def parked(tree: Any) -> Any:
    """Bring the arrays of a tree into the host's memory; scalars stay."""
    return _moved(tree, HOST)


def unparked(tree: Any) -> Any:
    """Bring them back into the device's memory."""
    return _moved(tree, "device") if is_parked(tree) else tree


def _moved(tree: Any, kind: str) -> Any:
    def one(leaf: Any) -> Any:
        if not isinstance(leaf, jax.Array) or leaf.ndim < 2:
            return leaf
        return jax.device_put(leaf, leaf.sharding.with_memory_kind(kind))

    return jax.tree.map(one, tree)
