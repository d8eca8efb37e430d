"""Instructions of the CPU that stay unused, read off a program that XLA compiles."""

import os
import platform
import re
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from jnst.doctor.finding import LOOK, OK, Finding, Found
from jnst.processor import INSTRUCTIONS, cpu_flags

SPELT: dict[str, str] = {
    # As Linux has it: as LLVM has it. What a step's speed depends on, widest last.
    "avx": "avx",
    "avx2": "avx2",
    "fma": "fma",
    "avx512f": "avx512f",
    "avx512_bf16": "avx512bf16",
    "amx_bf16": "amx-bf16",
}
"""Instructions that are looked for."""
CAP = re.compile(r"--xla_cpu_max_isa=(\S+)")


def compiled_for() -> set[str]:
    """Return the instructions that XLA compiles for, by LLVM's names.

    A program for the CPU carries the features it was compiled with.

    Returns:
      None of them where a program tells nothing of it.
    """
    host = jax.devices("cpu")[0]
    given = jax.ShapeDtypeStruct((8,), jnp.float32, sharding=_on(host))
    program = jax.jit(lambda x: x + 1).lower(given).compile()
    executable: Any = program.runtime_executable()
    text = executable.serialize()
    return {each.decode() for each in re.findall(rb"\+([a-z][\w.-]+)", text)}


def _on(device: Any) -> Any:
    return jax.sharding.SingleDeviceSharding(device)


def _lines(flags: set[str], used: set[str]) -> Iterator[Finding]:
    """Say what a CPU has that is not used.

    Args:
      flags: Linux' names of what it has.
      used: LLVM's names of what XLA compiles for; empty if nobody tells.
    """
    has = [name for name in SPELT if name in flags]
    idle = [name for name in has if used and SPELT[name] not in used]
    cap = CAP.search(os.environ.get("XLA_FLAGS", ""))
    if cap:
        words = f"XLA_FLAGS caps the CPU's instructions at {cap[1]}"
        yield Finding("cpu", LOOK, words, "take --xla_cpu_max_isa out of XLA_FLAGS")
    if idle:
        words = f"JAX compiles without {', '.join(idle)}, which this CPU has"
        advice = "take --xla_cpu_max_isa out of XLA_FLAGS" if cap else "update jaxlib"
        yield Finding("cpu", LOOK, words, advice)
    if not cap and not idle:
        known = f"with {', '.join(has)}" if has and used else "for this CPU"
        yield Finding("cpu", OK, f"JAX compiles {known}")
    half = [name for name in INSTRUCTIONS if name in flags]
    if half and jax.default_backend() == "cpu":
        words = (
            f"this CPU multiplies bfloat16 itself ({', '.join(half)}), unused so far"
        )
        advice = "--set dtype=bfloat16; `jnst bench --dtypes float32,bfloat16` compares"
        yield Finding("cpu", LOOK, words, advice)


def instructions() -> Found:
    """Tell what of the CPU's instructions is not used."""
    flags, used = cpu_flags(), compiled_for()
    named = set(SPELT.values())
    facts = {
        "has": [name for name in SPELT if name in flags],
        "compiled_for": sorted(used & named),
        "machine": platform.machine(),
    }
    return Found(facts, list(_lines(flags, used)))
