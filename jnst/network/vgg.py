"""VGG16 and VGG19 as feature extractors: pooling, padding, depth.

Images are RGB in [0, 1], shape [N, H, W, 3]; `params["preprocess"]` turns them into
what the weights were trained on. A network is described by its parameters alone:
which backbone it is, and how wide, is read from them. To add a padding, add a row to
`PADDINGS`; poolings are in `jnst.network.pooling`, backbones and layer names in
`jnst.network.layers`.
"""

import functools
from collections.abc import Sequence

import flax.linen as nn
import jax
import numpy as np
from jaxtyping import Float

from jnst.base import FeatureMaps, Images, Params, check_one_of, matmul
from jnst.network import frugal
from jnst.network.convolution import PRECISIONS, PREPARED, convolve
from jnst.network.layers import BACKBONES as BACKBONES
from jnst.network.layers import (
    backbone_of,
    canonical_layer,
    check_image_size,
    layer_names,
)
from jnst.network.pooling import POOLINGS, pool

PADDINGS: dict[str, str] = {
    "zeros": "constant",
    "replicate": "edge",
    "reflect": "reflect",
}
"""How a convolution sees beyond the border, as `jnp.pad` calls it."""


def _late_relus(names: Sequence[str], wanted: Sequence[str], pooling: str) -> set[str]:
    """List the ReLUs that come after their pooling: a quarter of the work and memory.

    With max pooling values and derivatives stay what they were: the first largest
    pixel is the same where it is positive, and elsewhere there is no derivative. A
    ReLU that is asked for itself keeps its place.
    """
    if not POOLINGS[pooling].commutes:
        return set()
    pairs = zip(names, names[1:], strict=False)
    return {relu for relu, after in pairs if after.startswith("pool")} - set(wanted)


class Convolution(nn.Module):
    """A layer of `jnst.network.convolution.convolve`, which its parameters decide.

    Attributes:
      features: Output channels.
      padding: As `jnp.pad` calls it.
      precision: One of `jnst.network.convolution.PRECISIONS`.
    """

    features: int
    padding: str
    precision: str

    @nn.compact
    def __call__(self, x: FeatureMaps, rectify: bool = False) -> FeatureMaps:
        """Map [N, H, W, I] to [N, H, W, features], and rectify if asked."""
        shape = (3, 3, x.shape[-1], self.features)
        layer = {"bias": self.param("bias", nn.initializers.zeros, shape[-1:])}
        prepared = [k for k in PREPARED if self.has_variable("params", k)]
        for name in prepared:
            layer[name] = self.get_variable("params", name)
        if not prepared:
            start = nn.initializers.lecun_normal()
            layer["kernel"] = self.param("kernel", start, shape)
        how = {"padding": self.padding, "precision": self.precision}
        return convolve(x, layer, rectify=rectify, **how)


class VGG(nn.Module):
    """The convolutional part of a VGG, up to the deepest layer asked for.

    Attributes:
      backbone: Key of `BACKBONES`.
      channels: Output channels of each convolution, by name.
      layers: Canonical names of the layers to return.
      pooling: Key of `jnst.network.pooling.POOLINGS`.
      pooling_rescale: See `Pooling.rescale`.
      pooling_ceil: See `pool`.
      padding: Key of `PADDINGS`.
      padding_layers: "all" or "first": the convolutions `padding` holds for; the
        others pad with zeros.
      precision: One of `jnst.network.convolution.PRECISIONS`.
      after: Layer whose output comes in; "" for preprocessed pixels.
    """

    backbone: str
    channels: tuple[tuple[str, int], ...]
    layers: tuple[str, ...]
    pooling: str = "max"
    pooling_rescale: bool = False
    pooling_ceil: bool = False
    padding: str = "zeros"
    padding_layers: str = "all"
    precision: str = "highest"
    after: str = ""

    @nn.compact
    def __call__(self, x: FeatureMaps) -> dict[str, FeatureMaps]:
        """Map preprocessed pixels [N, H, W, 3] to {layer: [N, h, w, C]}."""
        features = {}
        names = layer_names(self.backbone)
        first = names.index(self.after) + 1 if self.after else 0
        depth = max(names.index(layer) for layer in self.layers)
        names = names[first : depth + 1]
        late, joined = self._relus_elsewhere(names)
        for before, name, after in zip(
            ["", *names[:-1]], names, [*names[1:], ""], strict=True
        ):
            if name.startswith("conv"):
                x = self._convolve(x, name, rectify=after in joined)
            elif name.startswith("pool"):
                x = self._pool(x, rectify=before in late)
            elif name not in late | joined:
                x = frugal.relu(x) if self._prepared() else nn.relu(x)
            if name in self.layers:
                features[name] = x
        return features

    def _prepared(self) -> set[str]:
        """List the convolutions that `jnst.network.convolution.prepare` prepared."""
        layers = self.variables.get("params", {})
        return {name for name, layer in layers.items() if {*layer} & {*PREPARED}}

    def _relus_elsewhere(self, names: Sequence[str]) -> tuple[set[str], set[str]]:
        """List the ReLUs that wait for a pooling, and those a convolution does."""
        late, prepared = _late_relus(names, self.layers, self.pooling), self._prepared()
        pairs = zip(names, names[1:], strict=False)
        free = prepared - set(self.layers)
        return late, {after for name, after in pairs if name in free} - late

    def _pool(self, x: FeatureMaps, rectify: bool) -> FeatureMaps:
        """Pool, and rectify if a ReLU has waited for it."""
        apply = functools.partial(
            pool, x, self.pooling, rescale=self.pooling_rescale, ceil=self.pooling_ceil
        )
        if self._prepared() and POOLINGS[self.pooling].commutes:
            return apply(reduce=frugal.pooled_relu)
        return nn.relu(apply()) if rectify else apply()

    def _convolve(self, x: FeatureMaps, name: str, rectify: bool) -> FeatureMaps:
        first_only = self.padding_layers == "first" and name != "conv1_1"
        mode = PADDINGS["zeros" if first_only else self.padding]
        layer = Convolution(dict(self.channels)[name], mode, self.precision, name=name)
        return layer(x, rectify)


def preprocess(params: Params, image: Images) -> Images:
    """Turn RGB in [0, 1] into the network's input, as the weights file says."""
    kernel, bias = params["preprocess"]["kernel"], params["preprocess"]["bias"]
    return matmul(image, kernel) + bias.reshape(1, 1, 1, 3)


def mean_pixel(params: Params) -> Float[np.ndarray, "3"]:
    """Return the RGB colour in [0, 1] that the network sees as zero."""
    layer = jax.device_get(params["preprocess"])
    return np.linalg.solve(layer["kernel"].T, -layer["bias"])


def extract(
    params: Params,
    image: FeatureMaps,
    layers: Sequence[str],
    *,
    pooling: str = "max",
    pooling_rescale: bool = False,
    pooling_ceil: bool = False,
    padding: str = "zeros",
    padding_layers: str = "all",
    dtype: str | None = None,
    precision: str = "highest",
    after: str = "",
) -> dict[str, FeatureMaps]:
    """Compute feature maps, only as deep as asked.

    Args:
      params: Parameters of a VGG, see `jnst.base.Params`.
      image: RGB in [0, 1], shape [N, H, W, 3].
      layers: Layers by any of their usual names, see `canonical_layer`.
      pooling: Key of `jnst.network.pooling.POOLINGS`.
      pooling_rescale: Keep the scale of max pooling, see `Pooling.rescale`.
      pooling_ceil: Round sizes up, see `pool`.
      padding: Key of `PADDINGS`.
      padding_layers: "all" or "first", see `VGG`.
      dtype: Type of activations, such as "bfloat16"; None keeps the image's.
      precision: Of the convolutions, one of `jnst.network.convolution.PRECISIONS`.
      after: A pooling whose output `image` is, [N, h, w, C], in place of pixels; it
        may be a part of that map.

    Returns:
      {name as given: feature map [N, h, w, C]}.

    Raises:
      ValueError: For an unknown layer or option, or an image too small for them.

    References:
      Simonyan & Zisserman, "Very Deep Convolutional Networks", ICLR 2015, table 1.
    """
    check_one_of("pooling", pooling, POOLINGS)
    check_one_of("padding", padding, PADDINGS)
    check_one_of("padding_layers", padding_layers, ("all", "first"))
    check_one_of("precision", precision, PRECISIONS)
    backbone = backbone_of(params)
    wanted = {name: canonical_layer(name, backbone) for name in layers}
    if not wanted:
        return {}
    if not after:
        check_image_size(
            (image.shape[1], image.shape[2]),
            wanted.values(),
            backbone=backbone,
            padding=padding,
            padding_layers=padding_layers,
            ceil=pooling_ceil,
        )
    network = VGG(
        backbone,
        channels=tuple(
            (name, leaf["bias"].shape[0])
            for name, leaf in params.items()
            if name != "preprocess"
        ),
        layers=tuple(sorted(set(wanted.values()))),
        pooling=pooling,
        pooling_rescale=pooling_rescale,
        pooling_ceil=pooling_ceil,
        padding=padding,
        padding_layers=padding_layers,
        precision=precision,
        after=after,
    )
    variables = {"params": {k: v for k, v in params.items() if k != "preprocess"}}
    pixels = image if after else preprocess(params, image)
    found = network.apply(variables, pixels.astype(dtype) if dtype else pixels)
    return {name: found[layer] for name, layer in wanted.items()}  # type: ignore
