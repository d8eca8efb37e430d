"""TPUs that are not there, as libtpu's compiler knows them, and the memory they have.

To know the memory of another chip, add a row to `MEMORIES`.
"""

import importlib.util
import os
import re
from typing import Any, NamedTuple

from jax.experimental import topologies

# libtpu asks Google's metadata server where it is, and locks the TPU for one process:
# compiling needs neither, and a lock left by a process before would end this one. The
# last two are any host's and any chip's; without them libtpu complains, whatever the
# topology, on standard error.
ENVIRONMENT = {
    "TPU_SKIP_MDS_QUERY": "1",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
}


class Memory(NamedTuple):
    """Memory of one chip.

    Attributes:
      pattern: Regular expression that `device_kind` must match from end to end.
      gb: High-bandwidth memory, 1e9 bytes.
      source: Where the figure is from.
    """

    pattern: str
    gb: float
    source: str


DOCS = "cloud.google.com/tpu/docs/"
MEMORIES: tuple[Memory, ...] = (
    Memory(r"TPU v4", 32.0, DOCS + "v4"),
    Memory(r"TPU v5( lite|e)", 16.0, DOCS + "v5e"),
    Memory(r"TPU v5p?", 95.0, DOCS + "v5p"),
    Memory(r"TPU v6( lite|e)", 32.0, DOCS + "v6e"),
)


def memory_gb(device_kind: str) -> float | None:
    """Return a chip's memory in 1e9 bytes by JAX's name for it, or None if unknown."""
    for row in MEMORIES:
        if re.fullmatch(row.pattern, device_kind.strip()):
            return row.gb
    return None


def load_devices(topology: str) -> list[Any]:
    """Return the devices of a topology, as targets to compile for.

    Args:
      topology: A name libtpu knows, such as "v5e:2x2".

    Returns:
      `jax.Device`s without hardware.

    Raises:
      ValueError: Without libtpu, or for a topology it does not know.
    """
    if importlib.util.find_spec("libtpu") is None:
        raise ValueError(
            f"compiling for topology {topology!r} needs libtpu; install the extra "
            "'tpu': pip install 'jnst[tpu]'"
        )
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        found = topologies.get_topology_desc(platform="tpu", topology_name=topology)
    except Exception as error:  # of a type that JAX does not name
        first = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"libtpu has no topology {topology!r}; one that it has is v5e:2x2 ({first})"
        ) from None
    return list(found.devices)
