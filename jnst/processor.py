"""The host's processor, as Linux tells of it: its name, its flags, what they serve."""

import functools
import hashlib
import platform
from pathlib import Path

import jax

KNOWN = "/proc/cpuinfo"
"""Where Linux tells of it."""
INSTRUCTIONS = ("avx512_bf16", "amx_bf16")
"""Flags of an x86 processor that multiplies bfloat16 itself; others convert first."""
VECTORS = {"avx512f": "AVX-512", "avx2": "AVX2"}
"""Flags, the widest first, and their names."""


def _fields(known: str | Path) -> dict[str, str]:
    """Read what is told of the first core; {} where there is no such file."""
    found: dict[str, str] = {}
    lines = Path(known).read_text().splitlines() if Path(known).exists() else []
    for line in lines:
        name, _, value = line.partition(":")
        found.setdefault(name.strip(), value.strip())
    return found


def cpu_flags(*, known: str | Path = KNOWN) -> set[str]:
    """Return the flags of an x86 processor; none where Linux does not tell of them.

    Args:
      known: See `KNOWN`.
    """
    return set(_fields(known).get("flags", "").split())


def cpu_name(*, known: str | Path = KNOWN) -> str:
    """Name the host's CPU and its widest vectors.

    Args:
      known: See `KNOWN`; elsewhere the platform's own name will do.
    """
    fields = _fields(known)
    model = fields.get("model name") or platform.processor() or platform.machine()
    flags = fields.get("flags", "").split()
    widest = [name for flag, name in VECTORS.items() if flag in flags]
    return ", ".join([model, *widest[:1]])


def cpu_digest(*, known: str | Path = KNOWN) -> str:
    """Return what is equal where programs for the CPU may use the same instructions.

    Args:
      known: See `KNOWN`.
    """
    fields = _fields(known)
    told = [fields.get(name, "") for name in ("flags", "Features")]
    words = " ".join([platform.machine(), platform.processor(), *told])
    return hashlib.sha256(words.encode()).hexdigest()[:16]


@functools.cache
def _cpu_multiplies_bfloat16() -> bool:
    return bool(cpu_flags() & set(INSTRUCTIONS))


def multiplies_bfloat16() -> bool:
    """Tell whether JAX's first device multiplies bfloat16 faster than float32.

    Accelerators do; a CPU does if it has one of `INSTRUCTIONS`.
    """
    return jax.default_backend() != "cpu" or _cpu_multiplies_bfloat16()
