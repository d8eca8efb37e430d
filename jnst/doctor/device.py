"""The device that JAX computes on, beside those that the machine has."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax

from jnst.bench.host import asked_of_driver
from jnst.doctor.finding import BROKEN, LOOK, OK, Finding, Found, in_a_line
from jnst.doctor.machine import installed
from jnst.drivers.record import device

CUDA_13_DRIVER = 580
"""First driver of CUDA 13; CUDA 12 asks for 525 (NVIDIA's release notes)."""
GOOGLE, NVIDIA, AMD = "0x1ae0", "0x10de", "0x1002"
"""Vendors by their number on the PCI bus."""
NO_DRIVER = "on the PCI bus, without a driver"
GRAPHICS = ("0x03", "0x12")
"""How the class of a display, or of an accelerator, begins there."""


class Kind(NamedTuple):
    """A kind of accelerator.

    Attributes:
      title: What people call it.
      platforms: What JAX may call it in JAX_PLATFORMS.
      patterns: Files under / that are there where the driver is.
      vendor: Its maker's number on the PCI bus.
      packages: What JAX needs to see it; one of them is enough.
      hiding: Variables that hide it where they are empty or -1.
    """

    title: str
    platforms: tuple[str, ...]
    patterns: tuple[str, ...]
    vendor: str
    packages: tuple[str, ...]
    hiding: tuple[str, ...] = ()


KINDS: dict[str, Kind] = {
    "nvidia": Kind(
        "an NVIDIA GPU",
        ("cuda", "gpu"),
        ("dev/nvidia[0-9]*", "dev/dxg"),
        NVIDIA,
        ("jax-cuda13-plugin", "jax-cuda12-plugin"),
        ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"),
    ),
    "tpu": Kind("a TPU", ("tpu",), ("dev/accel[0-9]*",), GOOGLE, ("libtpu",)),
    "amd": Kind(
        "an AMD GPU",
        ("rocm", "gpu"),
        ("dev/kfd",),
        AMD,
        ("jax-rocm7-plugin", "jax-rocm60-plugin"),
        ("HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"),
    ),
}
"""Kinds of accelerators that JAX can use."""


def on_the_bus(root: Path) -> set[str]:
    """Return the vendors of graphics cards and accelerators on the PCI bus.

    Args:
      root: Where the file system begins, / but for a test.
    """
    found = set()
    for folder in (root / "sys/bus/pci/devices").glob("*"):
        try:
            vendor = (folder / "vendor").read_text().strip()
            kind = (folder / "class").read_text().strip()
        except OSError:
            continue
        if vendor == GOOGLE or kind.startswith(GRAPHICS):
            found.add(vendor)
    return found


def accelerators(*, root: str | Path = "/") -> dict[str, str]:
    """Return the accelerators that are there, whatever JAX sees, and how that is known.

    Args:
      root: Where the file system begins.

    Returns:
      {key of `KINDS`: what was seen}.
    """
    root, found = Path(root), {}
    bus = on_the_bus(root)
    for name, kind in KINDS.items():
        files = [str(path) for row in kind.patterns for path in sorted(root.glob(row))]
        if name == "tpu" and kind.vendor in bus:  # newer ones are passed through
            files += [str(path) for path in sorted(root.glob("dev/vfio/[0-9]*"))]
        if files:
            found[name] = ", ".join(files[:4])
        elif kind.vendor in bus and name != "amd":  # whose chips are in CPUs too
            found[name] = NO_DRIVER
    names = [" ".join(row) for row in asked_of_driver(["name"])]
    if names:
        found["nvidia"] = f"{', '.join(names)} by nvidia-smi"
    return found


def install(name: str) -> str:
    """Say what to install so that JAX sees a kind of accelerator.

    Args:
      name: Key of `KINDS`.
    """
    if name == "nvidia":
        driver = asked_of_driver(["driver_version"])
        major = driver[0][0].partition(".")[0] if driver else ""
        old = major.isdigit() and int(major) < CUDA_13_DRIVER
        return f"pip install 'jnst[cuda{12 if old else 13}]'"
    if name == "tpu":
        return "pip install 'jnst[tpu]'"
    return "install JAX's plugin for ROCm (docs.jax.dev, Installation, AMD GPU)"


def _chosen(name: str) -> str:
    """Return how a user has kept JAX off an accelerator; "" if not at all."""
    kind, asked = KINDS[name], jax.config.jax_platforms or ""  # pyright: ignore
    allowed = [each.strip() for each in asked.split(",") if each.strip()]
    if allowed and not set(allowed) & set(kind.platforms):
        return f"JAX_PLATFORMS is {asked!r}; unset it"
    for variable in kind.hiding:
        if os.environ.get(variable, "0").strip() in ("", "-1", "void", "none"):
            return f"{variable} is {os.environ[variable]!r}; unset it"
    return ""


def _reason(name: str) -> str:
    """Say what to do about an accelerator that JAX does not use."""
    kind = KINDS[name]
    there = {each: installed(each) for each in kind.packages}
    there = {each: version for each, version in there.items() if version}
    if not there:
        return install(name)
    package, version = next(iter(there.items()))
    jaxlib = installed("jaxlib") or ""
    if name != "tpu" and version != jaxlib:
        return f"{package} {version} is beside jaxlib {jaxlib}: {install(name)} anew"
    try:
        jax.devices(kind.platforms[0])
        said = "JAX prefers the CPU"
    except Exception as error:  # of whatever type a plugin raises
        said = in_a_line(error)
    also = "; unset LD_LIBRARY_PATH" if os.environ.get("LD_LIBRARY_PATH") else ""
    return f"{package} is there, but JAX says: {said[:200]}{also}"


def unused(name: str, seen: str) -> Finding:
    """Say loudly that an accelerator is there and JAX computes on the CPU.

    Args:
      name: Key of `KINDS`.
      seen: How it is known to be there.
    """
    chosen, bare = _chosen(name), seen == NO_DRIVER
    text = f"{KINDS[name].title.upper()} IS HERE ({seen}), BUT JAX RUNS ON THE CPU"
    state = LOOK if chosen or bare else BROKEN
    driver = "install its driver, then " if bare else ""
    return Finding("device", state, text, chosen or driver + _reason(name))


def _told(work: Callable[[], Any]) -> Any:
    """Return what a device tells, None for what it does not."""
    try:
        return work()
    except Exception:  # of whatever type a plugin raises
        return None


def _findings(backend: str, seen: dict[str, str]) -> Iterator[Finding]:
    if backend == "cpu":
        for name, how in seen.items():
            yield unused(name, how)
    variable = os.environ.get("JAX_PLATFORMS")
    if variable and not seen:
        words = f"JAX_PLATFORMS is {variable!r}: JAX looks for nothing else"
        yield Finding("device", LOOK, words, "unset it if it is not meant")


def devices() -> Found:
    """Tell what JAX computes on, and what there is beside it."""
    seen = accelerators()
    facts: dict[str, Any] = {"accelerators": seen}
    try:
        first, count = jax.devices()[0], jax.device_count()
    except Exception as error:
        asked = os.environ.get("JAX_PLATFORMS", "")
        words = f"JAX finds no device: {in_a_line(error)[:300]}"
        words += f"; JAX_PLATFORMS is {asked!r}" if asked else ""
        advice = "unset JAX_PLATFORMS, or install what it names"
        lines = [Finding("device", BROKEN, words, advice)]
        return Found(facts, [*lines, *(unused(*each) for each in seen.items())])
    backend = jax.default_backend()
    facts |= {
        "backend": backend,
        "device": device(),
        "devices": count,
        "platform_version": _told(lambda: first.client.platform_version),
        "default_device": _told(lambda: str(jax.config.jax_default_device)),  # pyright: ignore
        "x64": bool(jax.config.jax_enable_x64),  # pyright: ignore
    }
    words = device() if count == 1 else f"{device()}, {count} of them"
    lines = [Finding("device", OK, words)]
    return Found(facts, [*lines, *_findings(backend, seen)])
