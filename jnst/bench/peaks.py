"""What devices could do at best: dense peaks and memory bandwidth, with sources.

Figures are the vendors' own, without structured sparsity (where a sheet gives only the
sparse figure, half of it), for the whole of what JAX calls one device. NVIDIA's sheets
were read as quoted by others (glennklockwood.com and, on github.com,
winston-zhang-orz/gpu-specs), Google's at cloud.google.com/tpu/docs. A device not listed
has no known peak: to add one, add a row with its source.

What float32 means depends on a recipe's `precision`, see `jax.lax.Precision`: up to
"high" an NVIDIA GPU multiplies in TF32 where it has it, at "highest" in float32 itself;
a TPU takes one, three or six passes in bfloat16.
"""

import re
from typing import NamedTuple


class Peak(NamedTuple):
    """One device.

    Attributes:
      pattern: Regular expression that `device_kind` must match from end to end.
      bf16: Dense bfloat16 TFLOP/s on matrix units; None if it has none for it.
      tf32: Dense TF32 TFLOP/s; None if it has no such thing.
      fp32: TFLOP/s in float32 proper; None where not published.
      gb_per_s: Memory bandwidth, 1e9 bytes a second.
      source: Where the figures are from.
    """

    pattern: str
    bf16: float | None
    tf32: float | None
    fp32: float | None
    gb_per_s: float
    source: str


H100 = "NVIDIA H100 Tensor Core GPU data sheet"
H200 = "NVIDIA H200 Tensor Core GPU data sheet"
A100 = "NVIDIA A100 Tensor Core GPU data sheet"
V100 = "NVIDIA V100 data sheet; its tensor cores know float16 only"
TPU = "cloud.google.com/tpu/docs/"

PEAKS: tuple[Peak, ...] = (
    Peak(r"(Tesla|NVIDIA) T4", None, None, 8.1, 320.0, "NVIDIA T4 data sheet"),
    Peak(r".*V100-SXM2.*", None, None, 15.7, 900.0, V100),
    Peak(r".*V100-PCIE.*", None, None, 14.0, 900.0, V100),
    Peak(r"NVIDIA A10", 125.0, 62.5, 31.2, 600.0, "NVIDIA A10 data sheet"),
    Peak(r"NVIDIA A100-(SXM4|PCIE)-40GB", 312.0, 156.0, 19.5, 1555.0, A100),
    Peak(r"NVIDIA A100-SXM4-80GB", 312.0, 156.0, 19.5, 2039.0, A100),
    Peak(r"NVIDIA A100 80GB PCIe", 312.0, 156.0, 19.5, 1935.0, A100),
    Peak(r"NVIDIA L4", 121.0, 60.0, 30.3, 300.0, "NVIDIA L4 data sheet"),
    Peak(
        r"NVIDIA GeForce RTX 3090",
        71.0,  # with float32 accumulation, half of that with float16
        35.6,
        35.6,
        936.0,
        "NVIDIA Ampere GA102 GPU Architecture, appendix A",
    ),
    Peak(
        r"NVIDIA GeForce RTX 4090",
        165.2,  # with float32 accumulation
        82.6,
        82.6,
        1008.0,
        "NVIDIA Ada GPU Architecture, appendix A",
    ),
    Peak(r"NVIDIA H100 80GB HBM3", 989.4, 494.7, 66.9, 3350.0, H100 + ", SXM"),
    Peak(r"NVIDIA H100 PCIe", 756.0, 378.0, 51.0, 2000.0, H100 + ", PCIe"),
    Peak(r"NVIDIA H100 NVL", 835.0, 417.5, 60.0, 3900.0, H100 + ", NVL"),
    Peak(r"NVIDIA H200", 989.4, 494.7, 66.9, 4800.0, H200 + ", SXM"),
    Peak(r"NVIDIA H200 NVL", 835.5, 417.5, 60.0, 4800.0, H200 + ", NVL"),
    Peak(
        r"NVIDIA B200", 2250.0, 1100.0, 80.0, 8000.0, "NVIDIA Blackwell brief, HGX B200"
    ),
    # JAX shows the two cores of a v2 or v3 chip as two devices: half a chip each.
    Peak(
        r"TPU v2", 23.0, None, None, 350.0, "Jouppi et al, CACM 2020, table 3, a core"
    ),
    Peak(r"TPU v3", 61.5, None, None, 450.0, TPU + "v3, a core (half a chip)"),
    Peak(r"TPU v4", 275.0, None, None, 1200.0, TPU + "v4"),
    Peak(r"TPU v5( lite|e)", 197.0, None, None, 819.0, TPU + "v5e"),
    Peak(r"TPU v5p?", 459.0, None, None, 2765.0, TPU + "v5p"),
    Peak(r"TPU v6( lite|e)", 918.0, None, None, 1640.0, TPU + "v6e"),
)

PASSES = {"default": 1, "high": 3, "highest": 6}
"""Products in bfloat16 that a TPU takes for one in float32, by precision."""


def find_peak(device_kind: str) -> Peak | None:
    """Return the row of a device by JAX's name for it, or None if there is none."""
    for row in PEAKS:
        if re.fullmatch(row.pattern, device_kind.strip()):
            return row
    return None


def peak_tflops(
    device_kind: str, dtype: str, *, precision: str = "default"
) -> float | None:
    """Return the peak that a step's multiplications could reach at best.

    Args:
      device_kind: `jax.Device.device_kind`.
      dtype: "float32" or "bfloat16".
      precision: One of `jnst.network.convolution.PRECISIONS`.

    Returns:
      TFLOP/s; None where it is not known.
    """
    row = find_peak(device_kind)
    if row is None:
        return None
    if dtype == "bfloat16":
        return row.bf16
    if device_kind.startswith("TPU"):
        return row.bf16 / PASSES[precision] if row.bf16 else None
    return row.fp32 if precision == "highest" else row.tf32 or row.fp32
