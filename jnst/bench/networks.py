"""The network a benchmark runs: weights by name, or random ones of the same shape."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jnst.base import Params
from jnst.network.layers import backbone_of
from jnst.weights import load_described
from jnst.weights.network import PREPROCESSING, convolutions, published_channels

RANDOM = "random"
"""In place of weights: a VGG19 with seeded kernels, for machines without weights."""


def random_params(backbone: str, *, most_channels: int = 512) -> Params:
    """Draw a published network's kernels (He et al 2015); time is that of real ones.

    Args:
      backbone: Key of `jnst.network.layers.BACKBONES`.
      most_channels: Widest layer; fewer than 512 make a small network for a test.

    Returns:
      Parameters of a network with torchvision's preprocessing.
    """
    kernel, bias = PREPROCESSING["torch"]
    params: Params = {
        "preprocess": {"kernel": jnp.asarray(kernel), "bias": jnp.asarray(bias)}
    }
    incoming, rng = 3, np.random.default_rng(0)
    for name, channels in zip(
        convolutions(backbone), published_channels(backbone), strict=True
    ):
        channels = min(channels, most_channels)
        shape = (3, 3, incoming, channels)
        drawn = rng.standard_normal(shape, np.float32)
        drawn *= np.float32((2 / (9 * incoming)) ** 0.5)
        params[name] = {"kernel": jnp.asarray(drawn), "bias": jnp.zeros(channels)}
        incoming = channels
    return params


def load_network(weights: str | None) -> tuple[Params, dict[str, Any]]:
    """Load what a benchmark's `weights` names.

    Args:
      weights: Name or path as in `load_weights`, None for the usual, or `RANDOM`.

    Returns:
      Parameters; and what a report says of them.

    Raises:
      FileNotFoundError: If there are no such weights; "random" needs none.
      ValueError: For an unknown name or a damaged file.
    """
    if weights == RANDOM:
        return random_params("vgg19"), {"title": "random VGG19", "backbone": "vgg19"}
    params, known = load_described(weights)
    return params, {**known, "backbone": backbone_of(params)}
