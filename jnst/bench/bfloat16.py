"""Whether bfloat16 pays on a CPU, as the processor's own flags tell."""

from collections.abc import Collection
from pathlib import Path

import jax

INSTRUCTIONS = ("avx512_bf16", "amx_bf16")
"""Flags of an x86 processor that multiplies bfloat16 itself; others convert first."""


def cpu_flags(*, known: str | Path = "/proc/cpuinfo") -> set[str]:
    """Return the flags of an x86 processor; none where Linux does not tell of them.

    Args:
      known: Where Linux tells of it.
    """
    lines = Path(known).read_text().splitlines() if Path(known).exists() else []
    found = [line.partition(":")[2] for line in lines if line.startswith("flags")]
    return set(found[0].split()) if found else set()


def slow_bfloat16(
    dtypes: Collection[str], *, known: str | Path = "/proc/cpuinfo"
) -> str | None:
    """Return a line to warn with where bfloat16 is slower than float32.

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
        "dtype=bfloat16 is slower than float32 on this CPU, which has neither "
        f"{' nor '.join(INSTRUCTIONS)}"
    )
