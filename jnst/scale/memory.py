"""Which tiles fit into the memory there is."""

from pathlib import Path

import jax

WHOLE_BYTES = 1500
"""Memory of a step without tiles, by pixels."""
TILE_BYTES = 2000
"""Memory of a tile at work, by its pixels."""
SHARE_OF_MEMORY = 3
"""An image whose step would take more than this part of the memory is tiled; so is
what a tile may take of it."""
SMALLEST, LARGEST = 128, 1024
UNKNOWN = 2**33
"""Bytes to assume where the system does not say."""


def available() -> int:
    """Return the bytes of memory that are free, of the device that JAX uses."""
    if jax.default_backend() != "cpu":
        found = jax.local_devices()[0].memory_stats() or {}
        return found.get("bytes_limit", UNKNOWN) - found.get("bytes_in_use", 0)
    known = Path("/proc/meminfo")
    lines = known.read_text().splitlines() if known.exists() else []
    kib = [int(x.split()[1]) for x in lines if x.startswith("MemAvailable:")]
    return 1024 * kib[0] if kib else UNKNOWN


def tile_for(asked: int | str, batch: int | None, shape: tuple[int, int]) -> int:
    """Return the side of an image's tiles; 0 for the whole at once.

    Args:
      asked: Pixels; "auto" for the largest that fit, if the whole does not.
      batch: Number of pictures; None for one.
      shape: Height and width of the image.
    """
    pixels = shape[0] * shape[1]
    if not isinstance(asked, str):
        return 0 if pixels <= asked**2 else asked
    budget = available() // SHARE_OF_MEMORY
    if pixels * WHOLE_BYTES * (batch or 1) <= budget:
        return 0
    side = LARGEST
    while side > SMALLEST and side**2 * TILE_BYTES > budget:
        side //= 2
    return 0 if pixels <= side**2 else side
