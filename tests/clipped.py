"""Pictures whose white and black are clipped: there features of a window tie exactly.

NumPy alone, so that `data/make_traces.py` draws the same ones in another environment.
"""

import numpy as np


def clipped(height, width, seed=0):
    """Waves of too much contrast in 8 bits, and a grey corner: [H, W, 3], 0 to 1.

    A third of it is white, black or flat; levels are exact in float32.
    """
    rows, columns = np.mgrid[:height, :width]
    tints = np.array([0.0, 0.25, 0.5]) * (1 - 2 * seed) + seed
    waves = np.sin(rows[..., None] / 7 + tints) + np.cos(columns[..., None] / 5 - tints)
    grain = (7 * rows + 3 * columns**2 + 5 * rows * columns + 11 * seed) % 13 - 6
    levels = np.round(128 + 160 * waves + 3 * grain[..., None])
    levels[-height // 4 :, : width // 3] = 90 + 40 * seed
    return (np.clip(levels, 0, 255) / 255).astype(np.float32)
