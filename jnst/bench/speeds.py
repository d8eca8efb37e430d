"""From a time to speeds: pixels and operations a second, and shares of the peaks."""

import math
from typing import Any

import jax

from jnst.base import Params
from jnst.bench.cases import Case
from jnst.bench.flops import counted, step_flops
from jnst.bench.modes import PARTS
from jnst.bench.roofline import Row, above_peak, roof_here, roofline, takes_winograd
from jnst.bench.traffic import account
from jnst.scale.meshes import counts_of


def speeds(case: Case, params: Params, step_ms: float, program: Any) -> Row:
    """Derive pixels and operations a second, and how near the device's roof that is.

    Args:
      case: What was run.
      params: Parameters of the network.
      step_ms: Time of a step.
      program: The compiled step, of one device where there are several.

    Returns:
      Fields of a row, with "error" if one of them is above what the device can do.
      Pixels and TFLOP/s are those of all devices together, the roofline, MFU and HFU
      those of one. Devices that are forced upon one CPU share its peaks, and each is
      held against the whole of it.
    """
    seconds, recipe = step_ms / 1e3, case.recipe
    chips = math.prod(counts_of(case.devices))
    flops = step_flops(recipe, params, case.size_px)
    if flops is not None and case.mode in PARTS:
        flops *= PARTS[case.mode][1]
    share = None if flops is None else case.batch * flops / chips
    counts = account(program, jax.devices()[0].device_kind)
    roof = roof_here(recipe.dtype, precision=recipe.precision)
    row = roofline(counts, share, roof, step_ms=step_ms)
    of_one = None if share is None else share / seconds / 1e12
    peak = roof.tflop_per_s
    row |= {
        "mpx_steps_per_s": case.batch * case.size_px**2 / 1e6 / seconds,
        "gflop_per_step": None if flops is None else flops / 1e9,
        "flops_counted": counted(recipe),
        "tflop_per_s": None if of_one is None else of_one * chips,
        "utilisation": of_one / peak if of_one and peak else None,
    }
    return row | above_peak(row, winograd=chips == 1 and takes_winograd(recipe))
