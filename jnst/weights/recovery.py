"""The original VGG19, exactly, from Gatys' normalised one and the original biases.

Normalising divides each filter by a scale and makes up for it in the next layer, so
that the network's function stays the same up to that scale. The biases carry the scale:
with b the original and b' the normalised ones, it is s[o] = b'[o] / b[o].
"""

import numpy as np

from jnst.weights.network import Network, check_arrays, convolutions, original_biases


def channel_scales(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return by what each output channel of a normalised VGG19 is scaled.

    Args:
      arrays: Flat arrays of the normalised network.

    Returns:
      {"conv1_1": float64 [64], ...}; normalised features are the original ones times
      these.

    Raises:
      ValueError: If a scale is not positive and finite: then these are not the
        normalised weights of VGG19.
    """
    scales = {}
    for name, original in original_biases().items():
        bias = arrays[f"{name}.bias"].astype(np.float64)
        scales[name] = bias / original.astype(np.float64)
        if not (np.isfinite(scales[name]) & (scales[name] > 0)).all():
            raise ValueError(
                f"array '{name}.bias' is not the original VGG19's times positive "
                "scales; these are not its normalised weights"
            )
    return scales


def recover_original(normalised: Network) -> Network:
    """Undo Gatys' normalisation of VGG19.

    Args:
      normalised: The network of `vgg_normalised.pth`.

    Returns:
      The network that Keras and Caffe have, computed in float64 and rounded once:
      W[i, o] = W'[i, o] * s_before[i] / s[o], with s_before = 1 for the first layer.

    Raises:
      ValueError: If the arrays are not a normalised VGG19.

    References:
      Gatys et al, "Image Style Transfer Using Convolutional Neural Networks", CVPR
      2016, section 2, describe the normalisation.
    """
    arrays = dict(normalised.arrays)
    where = normalised.provenance["source"]
    check_arrays(where, arrays, "vgg19")
    try:
        scales = channel_scales(arrays)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    before = np.ones(3)
    for name in convolutions("vgg19"):
        kernel = arrays[f"{name}.kernel"].astype(np.float64)
        kernel = kernel * before[:, None] / scales[name]
        arrays[f"{name}.kernel"] = kernel.astype(np.float32)
        arrays[f"{name}.bias"] = original_biases()[name]
        before = scales[name]
    return Network(arrays, {**normalised.provenance, "name": "vgg19"})
