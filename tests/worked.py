"""The shared inputs of the catalogue of losses (losses.md, section 0).

All are exact in binary floating point. Argument order in worked values is (generated,
target). The catalogue's numbers were computed in NumPy float64 and compared with the
reference projects' own PyTorch and TensorFlow functions; its section 0 gives 1e-5 as a
safe relative tolerance in float32.
"""

import numpy as np

RTOL = 1e-5

A = np.array(
    [[[1, 2], [0.5, 1.25], [3, 0]], [[2, 1.5], [1.25, 0.75], [0, 2.5]]], np.float64
)
B = np.array(
    [[[0.25, 1], [2, 0.5], [1.5, 1.25]], [[1, 0.375], [3, 2], [0.5, 2.25]]], np.float64
)
S = np.array([[[0.5, 0.75], [2, 0.25]], [[1, 3], [0.75, 1.75]]], np.float64)


def _x(height, width, channels=3):
    h, w, c = np.ogrid[:height, :width, :channels]
    return ((7 * h + 3 * w**2 + 5 * c * h + 6 * c + 3 * h * w) % 13) / 16


def _y(height, width, channels=3):
    h, w, c = np.ogrid[:height, :width, :channels]
    return ((5 * h + 3 * w**2 + 7 * c * h + 7 * c + 3 * h * w + 1) % 13) / 16


X, Y = _x(3, 4), _y(3, 4)
X8, Y8 = _x(8, 8), _y(8, 8)
U, UT = X[:2, :, :2], Y[:2, :, :2]

PAIRS = {"A,B": (A, B), "A,S": (A, S), "X,Y": (X, Y), "U,UT": (U, UT)}
