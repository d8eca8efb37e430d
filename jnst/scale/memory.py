"""Which tiles fit into the memory there is."""

from jnst.memory import available_bytes

WHOLE_BYTES = 2000
"""Memory of a run without tiles, a pixel: recipe jnst at 512 px, beside its kernels, by
XLA's account (jaxlib 0.10.2, CPU)."""
TILE_BYTES, PROGRAM_BYTES = 1300, 110_000_000
"""Memory of a tile at work: a pixel of it, and whatever its side; tiles of 256 and 512
px of a picture of 1024, by the same account."""
SHARE_OF_MEMORY = 3
"""An image whose step would take more than this part of the memory is tiled; so is
what a tile may take of it."""
SMALLEST, LARGEST = 128, 1024
UNKNOWN = 2**33
"""Bytes to assume where the system does not say."""
MOST_KEPT = 2**29
"""Bytes of the content's targets at all shifts up to which they are kept; beyond, a
step computes its own, or reads them again: see `jnst.scale.spilling`."""


def tile_bytes(tile_px: int) -> int:
    """Return the memory of a tile at work; 0 for no tiles."""
    return TILE_BYTES * tile_px**2 + PROGRAM_BYTES if tile_px else 0


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
    free = available_bytes()
    budget = (UNKNOWN if free is None else free) // SHARE_OF_MEMORY
    if pixels * WHOLE_BYTES * (batch or 1) <= budget:
        return 0
    side = LARGEST
    while side > SMALLEST and tile_bytes(side) > budget:
        side //= 2
    return 0 if pixels <= side**2 else side
