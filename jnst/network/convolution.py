"""3x3 convolutions of the network: which layer takes which algorithm.

XLA's own convolution serves any device. On a CPU most layers run faster as Winograd's,
`jnst.network.winograd`, and the first as one matrix product; kernels are brought into
the form that these take once, by `prepare`, and ride in the layer's parameters: a layer
that has one of `PREPARED` among its parameters uses it. To change which layers do, edit
`LEAST_CHANNELS`; to change their tiles, `SMALL_TILES_FROM` and `LARGE_IMAGE`.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from jnst.base import Params, check_one_of, matmul
from jnst.network.frugal import Maps, relu
from jnst.network.layers import IMAGE_LAYER, backbone_of, canonical_layer, layer_names
from jnst.network.winograd import transformed_kernel, winograd
from jnst.processor import multiplies_bfloat16

CONVOLUTIONS = ("auto", "xla", "winograd")
PRECISIONS = ("default", "high", "highest")
"""Keys of `jax.lax.Precision`: for float32 a TPU takes 1, 3 or 6 passes in bfloat16, a
GPU TF32, TF32 or float32 itself; a CPU takes float32 always."""
WINOGRAD = "winograd"
"""Name of the transformed kernel among a layer's parameters, [(tile + 2)^2, O, I]."""
COLUMNS = "columns"
"""Name of the kernel of one product among a layer's parameters, [9 I, O]."""
PREPARED = (WINOGRAD, COLUMNS)

LEAST_CHANNELS = {"cpu": 64}
"""By backend: input channels from which Winograd is faster than XLA's convolution, at
any size of map (benchmarks/convolutions.py); other backends never take it unasked. Of
fewer than `FEW_CHANNELS`, and at least so many that come out, one product is."""

FEW_CHANNELS = 5
"""Nine times as many numbers as a map has are written for one product."""

SMALL_TILES_FROM = 512
"""Output channels from which tiles are 2x2: where maps are small and kernels large, the
kernels of 4x4 tiles take the most memory, and reading them as long as multiplying."""

LARGE_IMAGE = 384 * 384
"""Pixels of an image from which all tiles are 4x4: a step takes 0.87 of the time at
512 px, 0.97 at 256 px (AMD EPYC, AVX2, JAX 0.10.2), for 20 MiB more a layer."""


def prepare(
    params: Params,
    layers: Sequence[str],
    *,
    convolution: str,
    dtype: str = "float32",
    pixels: int = 0,
    factors: str | None = None,
) -> Params:
    """Bring frozen kernels into the form that steps use, once.

    Args:
      params: Parameters of a network.
      layers: Layers that are asked of the network, by any usual name. The layer "image"
        may be among them.
      convolution: One of `CONVOLUTIONS`: "auto" for `LEAST_CHANNELS`, "xla" for the
        definition everywhere, "winograd" for every convolution but the first.
      dtype: Type of activations, "float32" or "bfloat16".
      pixels: Of the largest image that the network will see, for `LARGE_IMAGE`.
      factors: Type of Winograd's kernels; None for `dtype` where the device multiplies
        that, and float32 where a CPU would convert it first.

    Returns:
      The parameters as deep as asked, convolutions in the type of activations (float64
      is left alone: rounding would show); those that were given in float32 and are to
      use Winograd or one product have one of `PREPARED` in place of "kernel".

    Raises:
      ValueError: For an unknown convolution or layer.
    """
    check_one_of("convolution", convolution, CONVOLUTIONS)
    backbone = backbone_of(params)
    names = layer_names(backbone)
    asked = [canonical_layer(k, backbone) for k in layers if k != IMAGE_LAYER]
    used = names[: 1 + max(map(names.index, asked), default=-1)]
    least = LEAST_CHANNELS.get(jax.default_backend(), math.inf)
    least = {"auto": least, "xla": math.inf, "winograd": 4}[convolution]
    kept = {"preprocess", "conv3_4", *used}  # the second tells VGG19 from VGG16
    found = {
        name: layer if name == "preprocess" else _cast(layer, dtype)
        for name, layer in params.items()
        if name in kept
    }
    factors = factors or (dtype if multiplies_bfloat16() else "float32")
    for name in used:
        layer, given = found.get(name, {}), params.get(name, {})
        kernel = given.get("kernel")
        if kernel is None or kernel.dtype != jnp.float32:
            continue
        *_, incoming, outgoing = kernel.shape
        if incoming >= least:
            deep = outgoing >= SMALL_TILES_FROM
            tile = 2 if deep and pixels < LARGE_IMAGE else 4
            found[name] = {
                "bias": layer["bias"],
                WINOGRAD: transformed_kernel(kernel, tile).astype(factors),
            }
        elif convolution == "auto" and incoming < FEW_CHANNELS and outgoing >= least:
            columns = layer["kernel"].reshape(-1, outgoing)
            found[name] = {"bias": layer["bias"], COLUMNS: columns}
    return found


def _cast(layer: dict[str, Array], dtype: str) -> dict[str, Array]:
    """Cast a layer to the type of activations; of float32 there may be more digits."""

    def cast(leaf: Array) -> Array:
        half = dtype == "bfloat16"
        wanted = jnp.dtype(dtype if half else jnp.promote_types(leaf.dtype, dtype))
        return leaf if leaf.dtype == wanted else leaf.astype(wanted)

    return {name: cast(leaf) for name, leaf in layer.items()}


def convolve(
    maps: Maps,
    layer: dict[str, Array],
    *,
    padding: str,
    precision: str = "highest",
    rectify: bool = False,
) -> Maps:
    """Convolve with a layer's 3x3 kernel and add its bias.

    Args:
      maps: Of shape [N, H, W, I].
      layer: {"kernel": [3, 3, I, O], "bias": [O]}, or one of `PREPARED` in place of
        the kernel.
      padding: How the border is continued, as `jnp.pad` calls it.
      precision: One of `PRECISIONS`; Winograd's, whose transforms would amplify
        rounding, is always the highest that the type of its kernel has.
      rectify: Whether a ReLU follows.

    Returns:
      Of shape [N, H, W, O], of the type of `maps`.

    Raises:
      ValueError: If Winograd is asked for what it does not do.
    """
    bias = layer["bias"].astype(maps.dtype).reshape(1, 1, 1, -1)
    zeros = padding == "constant"
    if WINOGRAD in layer:
        if not zeros or maps.dtype not in (jnp.float32, jnp.bfloat16):
            raise ValueError(
                "Winograd's convolution has zeros beyond the border and float32 or "
                f"bfloat16 maps, not {padding!r} and {maps.dtype}; set convolution=xla"
            )
        return winograd(maps, layer[WINOGRAD], bias, rectify)
    if COLUMNS in layer:
        found = _product(maps, layer[COLUMNS], padding)
        return relu(found, bias) if rectify else found + bias
    if not zeros:
        maps = jnp.pad(maps, ((0, 0), (1, 1), (1, 1), (0, 0)), padding)
    found = lax.conv_general_dilated(
        maps,
        layer["kernel"].astype(maps.dtype),
        window_strides=(1, 1),
        padding="SAME" if zeros else "VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision=lax.Precision[precision.upper()],
    )
    return jax.nn.relu(found + bias) if rectify else found + bias


def _product(maps: Maps, columns: Array, padding: str) -> Maps:
    """Multiply all windows [9 I] with a kernel, which is convolving."""
    height, width = maps.shape[1:3]
    around = jnp.pad(maps, ((0, 0), (1, 1), (1, 1), (0, 0)), padding)
    rows = lax.concatenate([around[:, :, b : b + width] for b in range(3)], 3)
    windows = lax.concatenate([rows[:, a : a + height] for a in range(3)], 3)
    return matmul(windows, columns.astype(maps.dtype))
