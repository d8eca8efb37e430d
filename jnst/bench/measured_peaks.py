"""What the device at hand reaches, measured, where no vendor's figure is known.

Operations are those of one large product of matrices; bytes those of the triad of
STREAM, a = b + s c, three arrays each far larger than any cache. The best call of
several counts: a peak is what nothing goes beyond. A few seconds in all, once a process
and only if a row asks.

References:
  McCalpin, "Memory Bandwidth and Machine Balance in Current High Performance
  Computers", IEEE TCCA Newsletter, December 1995. As there, the read of `a` that a
  cache makes before it writes is not counted.
"""

import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

SIDES = {"cpu": 2048}
"""Side of the square matrices by backend: on two cores a product takes 0.2 s, and
reaches 0.94 of what one of 3072 does."""
ACCELERATOR_SIDE = 8192
TRIAD_MIB = {"cpu": 128}
"""Size of one array by backend, four times what most caches hold."""
ACCELERATOR_TRIAD_MIB = 256
CALLS = 5
TRIAD_CALLS = 25
"""More, as each takes some 20 ms, and whoever else uses the memory is felt at once."""


class Measured(NamedTuple):
    """A peak.

    Attributes:
      value: TFLOP/s, or 1e9 bytes a second.
      source: How it was measured, in words.
    """

    value: float
    source: str


def multiply(
    by: str, dtype: str, side: int, *, precision: str = "default"
) -> Callable[[], Any]:
    """Return a function that multiplies two seeded square matrices and waits.

    Args:
      by: "xla", or "numpy" for the library of the host's NumPy, in float32.
      dtype: "float32" or "bfloat16".
      side: Rows and columns.
      precision: One of `jnst.network.convolution.PRECISIONS`.
    """
    pair = np.random.default_rng(0).standard_normal((2, side, side), np.float32)
    if by == "numpy":
        return lambda: np.matmul(*pair)
    left, right = jnp.asarray(pair, dtype)
    # Sums in float32, as in the network: a CPU would take twice as long with others.
    how: Any = {"precision": precision, "preferred_element_type": jnp.float32}
    product = functools.partial(jnp.matmul, **how)
    program = jax.jit(product).lower(left, right).compile()
    return lambda: jax.block_until_ready(program(left, right))


def triad(mib: int) -> Callable[[], Any]:
    """Return a function that computes a = b + s c into `a` and waits.

    Args:
      mib: Size of each of the three float32 arrays. `a` is donated, since memory that
        the system has yet to give takes four times as long: what a call returns is
        gone with the next.
    """
    size = (mib * 2**20 // 4,)
    one, other = jnp.ones(size, jnp.float32), jnp.ones(size, jnp.float32)
    box = [jnp.zeros(size, jnp.float32)]
    jitted = jax.jit(lambda a, b, c, s: b + s * c, donate_argnums=0, keep_unused=True)
    scale = jnp.float32(3)
    program = jitted.lower(box[0], one, other, scale).compile()

    def call() -> Any:
        box[0] = jax.block_until_ready(program(box[0], one, other, scale))
        return box[0]

    return call


def best_seconds(call: Callable[[], Any], calls: int) -> float:
    """Return the least seconds of so many calls, after one that is not counted."""
    call()
    found = []
    for _ in range(calls):
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return min(found)


@functools.cache
def _product(by: str, dtype: str, precision: str, side: int, calls: int) -> Measured:
    seconds = best_seconds(multiply(by, dtype, side, precision=precision), calls)
    rate = 2 * side**3 / seconds / 1e12
    words = f"measured: {side} x {side} matmul in {dtype}, {by}, best of {calls}"
    return Measured(rate, words)


def measured_tflops(
    dtype: str, *, precision: str = "default", side: int | None = None
) -> Measured:
    """Measure operations a second, once a process for each type and precision.

    Args:
      dtype: "float32" or "bfloat16". What a device does in float32 it can do for
        bfloat16 too, so that for that the better of both counts.
      precision: One of `jnst.network.convolution.PRECISIONS`; a CPU has one.
      side: Of the matrices; by backend if absent.

    Returns:
      TFLOP/s, on a CPU of XLA or of NumPy's library, whichever is faster.
    """
    backend = jax.default_backend()
    side = side or SIDES.get(backend, ACCELERATOR_SIDE)
    ways = [("xla", kind) for kind in dict.fromkeys(("float32", dtype))]
    if backend == "cpu":
        ways, precision = [("numpy", "float32"), *ways], "default"
    found = [_product(*way, precision, side, CALLS) for way in ways]
    return max(found, key=lambda one: one.value)


@functools.cache
def _triad(mib: int, calls: int) -> Measured:
    seconds = best_seconds(triad(mib), calls)
    words = f"measured: triad of 3 x {mib} MiB, best of {calls}"
    return Measured(3 * mib * 2**20 / seconds / 1e9, words)


def measured_gb_per_s(*, mib: int | None = None) -> Measured:
    """Measure bytes a second to and from memory, once a process.

    Args:
      mib: Size of each of three arrays; by backend if absent.

    Returns:
      1e9 bytes a second.
    """
    usual = TRIAD_MIB.get(jax.default_backend(), ACCELERATOR_TRIAD_MIB)
    return _triad(mib or usual, TRIAD_CALLS)
