"""Features that compile at once, and pictures, for tests of studies."""

import jax.numpy as jnp
import numpy as np
from tiny import picture

import jnst

MIX = np.random.default_rng(0).normal(0, 1, (3, 4)).astype(np.float32)


def extract(image):
    """Four mixtures of colours, and their means over 2x2 pixels."""
    fine = jnp.einsum("nhwc,cd->nhwd", image, MIX, precision="highest")
    _, height, width, _ = fine.shape
    even = fine[:, : height // 2 * 2, : width // 2 * 2]
    coarse = even.reshape(1, height // 2, 2, width // 2, 2, 4).mean((2, 4))
    return {"fine": fine, "coarse": coarse}


PLAIN = jnst.Recipe(
    terms=(
        jnst.Term("content", "mean_squared", ("coarse",), 1.0),
        jnst.Term("style", "gram", ("fine", "coarse"), 10.0),
    ),
    learning_rate=0.05,
    steps=4,
)
"""One size, four steps."""
BOLD = jnst.Method("bold", PLAIN, {"style_weight": 100.0})
METHODS = [jnst.Method("plain", PLAIN), BOLD]
CONTENTS = {"one": picture(24, 26, 1), "two": picture(24, 26, 2)}
STYLES = {"style": picture(20, 22, 3)}
QUICK = {"size_px": 26, "metrics": ["ssim", "histogram"], "extract": extract}
