"""The one format weights are kept in: safetensors, with where they come from inside.

The header's strings are: format (a version), name, backbone, preprocessing, title,
source, source_sha256, licence, jnst (version), tensors_sha256. The last is a digest
over the arrays' names, types, shapes and bytes in order of name; it identifies the
numbers whatever file they came from.
"""

import hashlib
import importlib.metadata
from pathlib import Path
from typing import Any

import numpy as np

from jnst.base import Params
from jnst.files import StrPath, atomic_write
from jnst.weights import network, readers
from jnst.weights.network import FORMAT, Arrays, Network

KERAS_FACTS = {
    # block1_conv1 of the published Keras file, [row, column, BGR input, output]
    (0, 0, 0, 0): 0.341195,
    (0, 0, 0, 1): 0.095631,
    (0, 0, 0, 2): 0.017745,
    (0, 1, 0, 0): 0.339992,
    (1, 0, 2, 0): 0.267130,
}


def tensors_sha256(arrays: Arrays) -> str:
    """Return the digest of arrays: names, types, shapes and bytes, by name."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.data)
    return digest.hexdigest()


def _version() -> str:
    try:
        return importlib.metadata.version("jnst")
    except importlib.metadata.PackageNotFoundError:  # run from a folder of sources
        return "unknown"


def write_network(found: Network, path: StrPath) -> Path:
    """Write a network as safetensors, atomically.

    Args:
      found: The network; its arrays are checked first.
      path: Where to; replaced if it is there.

    Returns:
      The path.

    Raises:
      ValueError: If an array is missing, has the wrong shape or is not finite.
      OSError: If it cannot be written.
    """
    from safetensors.numpy import save

    arrays = {k: np.ascontiguousarray(v, np.float32) for k, v in found.arrays.items()}
    network.check_arrays(str(path), arrays, found.provenance["backbone"])
    digest = tensors_sha256(arrays)
    own = {"format": FORMAT, "jnst": _version(), "tensors_sha256": digest}
    content = save(arrays, metadata={**found.provenance, **own})
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)
    return Path(path)


def save_weights(
    params: Params, path: StrPath, *, title: str = "", licence: str = "unknown"
) -> Path:
    """Write parameters of a VGG of any width as a weights file.

    Args:
      params: See `jnst.base.Params`.
      path: A `.safetensors` file; replaced if it is there.
      title: What these are, for people.
      licence: Under which others may use them.

    Returns:
      The path, which `load_weights` reads.

    Raises:
      ValueError: If `params` are not those of a VGG.
    """
    arrays = network.as_arrays(params)
    backbone = "vgg19" if "conv3_4.kernel" in arrays else "vgg16"
    pixels = (arrays.get(f"preprocess.{leaf}") for leaf in ("kernel", "bias"))
    kernel, bias = (np.zeros(0) if a is None else a for a in pixels)
    same = kernel.shape == (3, 3) and bias.shape == (3,)
    preprocessing = network.preprocessing_of(kernel, bias) if same else None
    known = {"name": "", "backbone": backbone, "title": title or f"{backbone}, own"}
    known |= {"preprocessing": preprocessing or "custom", "licence": licence}
    known |= {"source": "parameters in memory", "source_sha256": ""}
    return write_network(Network(arrays, known), path)


def read_provenance(path: StrPath) -> dict[str, str]:
    """Return what a weights file says of itself, without reading its numbers.

    Args:
      path: A `.safetensors` file of ours.

    Returns:
      The strings listed in the module's docstring.

    Raises:
      FileNotFoundError: If there is no such file.
      ValueError: If it is damaged or not ours.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"weights file {str(path)!r} not found")
    recorded = readers.safetensors_metadata(Path(path))
    if recorded.get("format") != FORMAT:
        raise ValueError(
            f"{path}: not in jnst's own format {FORMAT}; run `jnst weights convert`"
        )
    return recorded


def read_checked(path: StrPath) -> Network:
    """Read a file of our own format and compare its numbers with their digest.

    Args:
      path: A `.safetensors` file of ours.

    Returns:
      The network.

    Raises:
      FileNotFoundError: If there is no such file.
      ValueError: If anything is damaged.
    """
    recorded = read_provenance(path)
    found = readers.read_network(path)
    if tensors_sha256(found.arrays) != recorded.get("tensors_sha256"):
        raise ValueError(
            f"{path}: its numbers differ from their recorded SHA-256; delete it and "
            "run `jnst weights fetch`"
        )
    return found


def verify(path: StrPath) -> dict[str, Any]:
    """Check a weights file of ours thoroughly: digest, shapes, finiteness, known facts.

    Args:
      path: A `.safetensors` file.

    Returns:
      Its provenance, and "path", "arrays" and "parameters" (counts), and "original":
      whether these are the numbers of the published Keras VGG19.

    Raises:
      FileNotFoundError: If there is no such file.
      ValueError: One line that names what is wrong.
    """
    found = read_checked(path)
    original = network.has_original_biases(found.arrays)
    kernel = found.arrays["conv1_1.kernel"]
    if original or found.provenance.get("name") == "vgg19":
        for index, expected in KERAS_FACTS.items():
            if abs(float(kernel[index]) - expected) > 1e-5:
                raise ValueError(
                    f"{path}: array 'conv1_1.kernel' has {kernel[index]:.6f} at "
                    f"{list(index)}, but the original VGG19 has {expected}"
                )
    parameters = sum(array.size for array in found.arrays.values())
    counts = {"arrays": len(found.arrays), "parameters": parameters}
    return {"path": str(path), **found.provenance, **counts, "original": original}
