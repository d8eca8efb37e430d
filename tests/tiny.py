"""A VGG of a few channels with seeded weights, and small pictures to feed it."""

import jax
import jax.numpy as jnp
import numpy as np

from jnst.network.layers import BACKBONES

CAFFE_MEANS = (103.939, 116.779, 123.68)  # blue, green, red, in grey levels
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")


def tiny_arrays(backbone="vgg19", channels=4, seed=0):
    """Parameters in the layout of `jnst.base.Params`, NumPy float64.

    Kernels are drawn so that no channel dies and no activation grows: the first layer
    brings 0..255 down to about 1, later ones keep that size, and most of their mean is
    taken out because inputs past a ReLU are positive.
    """
    rng = np.random.default_rng(seed)
    params = {
        "preprocess": {
            "kernel": 255 * np.eye(3)[:, ::-1],  # RGB in [0, 1] to BGR in 0..255
            "bias": -np.asarray(CAFFE_MEANS),
        }
    }
    width = 3
    for block, count in enumerate(BACKBONES[backbone], start=1):
        for index in range(1, count + 1):
            kernel = rng.normal(0, np.sqrt(2 / (9 * width)), (3, 3, width, channels))
            if width == 3:
                kernel /= 50
            else:
                kernel -= 0.8 * kernel.mean(axis=(0, 1), keepdims=True)
                kernel *= 1.5
            bias = rng.uniform(0, 0.2, channels)
            params[f"conv{block}_{index}"] = {"kernel": kernel, "bias": bias}
            width = channels
    return params


def tiny_params(backbone="vgg19", channels=4, seed=0, dtype=np.float32):
    """`tiny_arrays` as JAX arrays of one type."""
    arrays = tiny_arrays(backbone, channels, seed)
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), arrays)


def tiny_lpips(seed=0, dtype=np.float32):
    """LPIPS on an AlexNet of a few channels: {"network", "heads"}."""
    rng = np.random.default_rng(seed)
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    kernel = np.diag(1 / deviation)
    network = {"preprocess": {"kernel": kernel, "bias": -mean / deviation}}
    channels = (3, 4, 5, 4, 3, 3)
    for n, size in enumerate((11, 5, 3, 3, 3)):
        shape = (size, size, *channels[n : n + 2])
        layer = {"kernel": rng.normal(0, 1 / size, shape)}
        network[f"conv{n + 1}"] = layer | {"bias": rng.uniform(0, 0.2, shape[3])}
    heads = [rng.uniform(0, 1, n) for n in channels[1:]]
    weights = {"network": network, "heads": heads}
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), weights)


def picture(height, width, seed=0, dtype=np.float32):
    """Smooth waves with some noise, in [0, 1], shape [height, width, 3]."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    phases = rng.uniform(0, 6.3, (2, 3))
    waves = np.sin(rows[..., None] / 3 + phases[0])
    waves = waves + np.sin(columns[..., None] / 4 + phases[1])
    noisy = 0.5 + waves / 6 + rng.uniform(-0.15, 0.15, (height, width, 3))
    return noisy.astype(dtype)


def batch(array, dtype=np.float32):
    """[H, W, C] as a JAX array [1, H, W, C]."""
    return jnp.asarray(array, dtype)[None]


def feature_map(height=5, width=4, channels=3, seed=0, dtype=np.float32):
    """A seeded feature map [1, H, W, C] with values about 1."""
    values = np.random.default_rng(seed).normal(0.5, 1, (1, height, width, channels))
    return jnp.asarray(values, dtype)
