"""Whether bfloat16 pays on a CPU, as the processor's own flags tell."""

from collections.abc import Collection
from pathlib import Path

import jax

from jnst.processor import INSTRUCTIONS, KNOWN, cpu_flags


def slow_bfloat16(dtypes: Collection[str], *, known: str | Path = KNOWN) -> str | None:
    """Return a line to warn with where bfloat16 is slower than float32.

    On a CPU without `INSTRUCTIONS` products are taken in float32, so that a step takes
    as long as float32's by Winograd's algorithm, and longer by the definition.

    Args:
      dtypes: Types of activations that are about to run.
      known: See `cpu_flags`.

    Returns:
      None on an accelerator, without bfloat16, where the processor has `INSTRUCTIONS`,
      or where nothing is known of it.
    """
    if "bfloat16" not in dtypes or jax.default_backend() != "cpu":
        return None
    flags = cpu_flags(known=known)
    if not flags or flags & set(INSTRUCTIONS):
        return None
    return (
        "dtype=bfloat16 is slower than float32, at best as fast, on this CPU, which "
        f"has neither {' nor '.join(INSTRUCTIONS)}"
    )
