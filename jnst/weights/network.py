"""What weights are once read: named arrays, where they come from, and their checks.

Arrays are flat, "conv1_1.kernel" (HWIO, float32) and "conv1_1.bias", with
"preprocess.kernel" [3, 3] and "preprocess.bias" [3] beside them: RGB in [0, 1] times
the kernel plus the bias is the input the network was trained on. To add a
preprocessing, add a row to `PREPROCESSING`.
"""

import contextlib
import functools
import importlib.resources
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnst.base import Params
from jnst.network.layers import BACKBONES

FORMAT = "jnst-weights-1"
"""Version of the one format weights are kept in, see `jnst.weights.storage`."""

Arrays = dict[str, np.ndarray]

CHANNELS = (64, 128, 256, 512, 512)
"""Channels of each block in the published networks."""


MAX_ELEMENTS = 2**24
"""Upper bound on an array of a VGG's convolutions, to refuse absurd claims early."""


class Loader(NamedTuple):
    """An array in a file, called to read it.

    Attributes:
      shape: What the file says of it; nothing is believed before it is read.
      read: Returns the array, or raises `ValueError`.
    """

    shape: tuple[int, ...]
    read: Callable[[], np.ndarray]

    def __call__(self) -> np.ndarray:
        """Read the array."""
        return self.read()


class Network(NamedTuple):
    """Weights in memory.

    Attributes:
      arrays: {"conv1_1.kernel": array, ...}, see the module's docstring.
      provenance: Strings: name (key of `SOURCES`, or ""), backbone, preprocessing,
        title, source, source_sha256, licence.
    """

    arrays: Arrays
    provenance: dict[str, str]


def _caffe() -> tuple[np.ndarray, np.ndarray]:
    flip = np.float32(255) * np.eye(3, dtype=np.float32)[::-1]
    return flip, -np.array([103.939, 116.779, 123.68], np.float32)


def _torch() -> tuple[np.ndarray, np.ndarray]:
    mean, deviation = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])
    kernel, bias = np.diag(1 / deviation), -mean / deviation
    return kernel.astype(np.float32), bias.astype(np.float32)


PREPROCESSING: dict[str, tuple[np.ndarray, np.ndarray]] = {
    # RGB 0..1 -> BGR 0..255, minus the training set's mean
    "caffe": _caffe(),
    # RGB 0..1, minus the mean, over the standard deviation
    "torch": _torch(),
}
"""Kernel [3, 3] (in, out) and bias [3] of each preprocessing."""


def preprocessing_of(kernel: np.ndarray, bias: np.ndarray) -> str | None:
    """Return which row of `PREPROCESSING` two arrays are (to 1e-5), or None."""
    for name, (known_kernel, known_bias) in PREPROCESSING.items():
        same_kernel = np.allclose(kernel, known_kernel, rtol=1e-5, atol=1e-5)
        if same_kernel and np.allclose(bias, known_bias, rtol=1e-5, atol=1e-5):
            return name
    return None


def convolutions(backbone: str) -> list[str]:
    """List a backbone's convolutions in order, "conv1_1" first."""
    blocks = enumerate(BACKBONES[backbone], start=1)
    return [f"conv{b}_{n}" for b, count in blocks for n in range(1, count + 1)]


def channels_of(blocks: Sequence[int]) -> list[int]:
    """List the output channels of each convolution, given the number in each block."""
    pairs = zip(blocks, CHANNELS, strict=True)
    return [channels for count, channels in pairs for _ in range(count)]


def published_channels(backbone: str) -> list[int]:
    """List the output channels of each convolution of the published network."""
    return channels_of(BACKBONES[backbone])


@contextlib.contextmanager
def refuse_damage(where: str, what: str) -> Iterator[None]:
    """Turn whatever a damaged file raises into a `ValueError` of one line.

    Libraries raise nearly every type for damaged bytes. Errors of ours, which begin
    with the file, pass as they are.

    Args:
      where: File, for the message.
      what: What is wrong if anything is.

    Yields:
      Nothing.

    Raises:
      ValueError: In place of any other exception.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, ValueError) and str(error).startswith(f"{where}: "):
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{where}: {what} ({reason})") from error


def check_array(
    where: str, name: str, array: np.ndarray, shape: tuple[int | None, ...]
) -> None:
    """Raise `ValueError` unless an array is real, finite and of the shape wanted.

    Args:
      where: File it came from.
      name: Its name in that file.
      array: The array.
      shape: Wanted; None stands for any length of at least 1.

    Raises:
      ValueError: One line that names the file and the array.
    """
    wanted = ", ".join("any" if n is None else str(n) for n in shape)
    fits = len(shape) == array.ndim and all(
        n == m or (n is None and m > 0) for n, m in zip(shape, array.shape, strict=True)
    )
    if not jnp.issubdtype(array.dtype, np.floating):  # bfloat16 is one, too
        raise ValueError(
            f"{where}: array {name!r} is {array.dtype}, not floating point"
        )
    if not fits:
        raise ValueError(
            f"{where}: array {name!r} has shape {list(array.shape)}, needs [{wanted}]"
        )
    with np.errstate(over="ignore"):  # float64 beyond float32's range
        finite = np.isfinite(array.astype(np.float32)).all()
    if not finite:
        raise ValueError(f"{where}: array {name!r} holds NaN or infinity")


def check_arrays(where: str, arrays: Mapping[str, np.ndarray], backbone: str) -> None:
    """Raise `ValueError` unless arrays make up a backbone, of any width.

    Args:
      where: File they came from.
      arrays: {"conv1_1.kernel": array, ...}, `preprocess` included.
      backbone: Key of `BACKBONES`.

    Raises:
      ValueError: One line that names the file and the array at fault.
    """
    incoming: int | None = 3
    expected: dict[str, tuple[int | None, ...]] = {"preprocess.kernel": (3, 3)}
    expected["preprocess.bias"] = (3,)
    for name in convolutions(backbone):
        kernel = arrays.get(f"{name}.kernel")
        outgoing = kernel.shape[3] if kernel is not None and kernel.ndim == 4 else None
        expected[f"{name}.kernel"] = (3, 3, incoming, outgoing)
        expected[f"{name}.bias"] = (outgoing,)
        incoming = outgoing
    for name, shape in expected.items():
        if name not in arrays:
            raise ValueError(f"{where}: no array {name!r}, which {backbone} needs")
        check_array(where, name, arrays[name], shape)
    for name in arrays.keys() - expected.keys():
        raise ValueError(f"{where}: array {name!r} is not part of {backbone}")


@functools.cache
def original_biases() -> dict[str, np.ndarray]:
    """Read the 5,504 biases of the original VGG19, {"conv1_1": float32 [64], ...}."""
    resource = importlib.resources.files("jnst") / "data" / "vgg19_biases.npz"
    with np.load(io.BytesIO(resource.read_bytes()), allow_pickle=False) as file:
        return {k.replace("block", "conv").replace("_conv", "_"): file[k] for k in file}


def has_original_biases(arrays: Mapping[str, np.ndarray]) -> bool:
    """Whether every bias is the original VGG19's: no other training has these."""
    found = [(arrays.get(f"{k}.bias"), bias) for k, bias in original_biases().items()]
    return all(
        a is not None and a.shape == b.shape and np.allclose(a, b, rtol=1e-5, atol=1e-6)
        for a, b in found
    )


def as_params(arrays: Mapping[str, np.ndarray]) -> Params:
    """Nest flat arrays as `Params`, on JAX's default device."""
    return take_params(dict(arrays))


def take_params(arrays: Arrays) -> Params:
    """Nest arrays as `as_params`, and empty `arrays` on the way.

    An array is let go as soon as JAX has its copy, so that memory holds most numbers
    once.
    """
    params: Params = {}
    for name in list(arrays):
        layer, leaf = name.rsplit(".", 1)
        # `jnp.asarray` would compile a program for every shape.
        taken = jax.device_put(arrays.pop(name), may_alias=False)
        params.setdefault(layer, {})[leaf] = jax.block_until_ready(taken)
    return params


def as_arrays(params: Params) -> Arrays:
    """Flatten `Params` into float32 NumPy arrays, the inverse of `as_params`."""
    return {
        f"{layer}.{leaf}": np.asarray(array, np.float32)
        for layer, leaves in params.items()
        for leaf, array in leaves.items()
    }
