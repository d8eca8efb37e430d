"""Devices that a run may be planned for: those here, or a TPU that is not."""

from typing import Any, NamedTuple

import jax

from jnst.base import shown
from jnst.bench.absent import load_devices, memory_gb
from jnst.drivers.record import device
from jnst.memory import available_bytes

BACKENDS = ("cpu", "gpu", "tpu")
TOPOLOGY = "tpu:"
EXAMPLE = "tpu:v5e:4x4"


class Target(NamedTuple):
    """What a run is planned for.

    Attributes:
      name: What it is called in a report.
      kind: JAX's name for one device.
      devices: The devices, to compile for.
      here: Whether it is there, to measure on.
      free: Bytes that one device has free, which those of a CPU share; None where
        nobody knows.
    """

    name: str
    kind: str
    devices: tuple[Any, ...]
    here: bool
    free: int | None

    @property
    def shared(self) -> bool:
        """Whether devices are parts of one CPU, with one memory."""
        return self.devices[0].platform == "cpu"


def find_target(asked: str | None) -> Target:
    """Find the devices that a user names.

    Args:
      asked: A key of `BACKENDS`; "tpu:" and a topology that libtpu knows, such as
        "tpu:v5e:4x4"; None for where JAX computes.

    Raises:
      ValueError: If it is something else, not here, or needs libtpu.
    """
    if asked is not None and asked.startswith(TOPOLOGY):
        return _absent(asked.removeprefix(TOPOLOGY))
    if asked is not None and asked not in BACKENDS:
        names = ", ".join(BACKENDS)
        raise ValueError(
            f"device must be one of {names}, or a TPU that is not here such as "
            f"{EXAMPLE}, got {shown(asked)}"
        )
    if asked == "cpu":
        jax.config.update("jax_platforms", "cpu")
    backend = jax.default_backend()
    if asked not in (None, backend):
        raise ValueError(
            f"there is no {asked} here, JAX computes on {backend}; a TPU that is not "
            f"here is named by its topology, such as {EXAMPLE}"
        )
    known = tuple(jax.devices())
    return Target(device(), known[0].device_kind, known, True, available_bytes())


def _absent(topology: str) -> Target:
    """Return a TPU that is not here."""
    jax.config.update("jax_platforms", "cpu")  # libtpu is a compiler here, no device
    known = tuple(load_devices(topology))
    kind = known[0].device_kind
    size = memory_gb(kind)
    free = None if size is None else int(size * 1e9)
    return Target(f"{kind} of {topology}", kind, known, False, free)
