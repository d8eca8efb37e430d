"""Whole loops against TensorFlow's own, on pictures whose white and black are clipped.

`data/traces.json` says who made it and with which versions; `data/make_traces.py` is
the three sources' loops.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from clipped import clipped

import jnst

TRACES = json.loads((Path(__file__).parent / "data" / "traces.json").read_text())
CHANGES = {"keras": {"learning_rate": 0.1}}  # its 100 belongs to 400 x 600 pixels
AFTER_THREE = {"notebook-transfer": 1e-5}
"""What rounding grows to: Adam at a rate of 10 grey levels amplifies it most."""
RUNS = [
    (name, convolution)
    for name in TRACES["losses"]
    for convolution in sorted({jnst.RECIPES[name].convolution, "xla"})
]
"""As the recipe is, and by the definition."""


@pytest.mark.weights
@pytest.mark.parametrize(("name", "convolution"), RUNS)
def test_losses_are_tensorflows(name, convolution):
    expected = np.array(TRACES["losses"][name])
    result = jnst.stylize(
        clipped(64, 96, seed=0),
        clipped(64, 96, seed=1),
        name,
        steps=len(expected),
        convolution=convolution,
        **CHANGES.get(name, {}),
    )
    found = np.abs(result.history["loss"] / expected - 1)
    assert found[:3].max() < min(1e-4, AFTER_THREE.get(name, 1))
    assert found.max() < AFTER_THREE.get(name, 2e-3)


def test_the_pictures_are_clipped_and_partly_flat():
    for seed in (0, 1):
        levels = 255 * clipped(64, 96, seed)
        extreme = ((levels == 0) | (levels == 255)).all(axis=-1)
        assert 0.25 < extreme.mean() < 0.4 and np.ptp(levels[-16:, :32]) == 0
        np.testing.assert_allclose(levels, np.round(levels), atol=1e-4)
