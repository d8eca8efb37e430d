"""How fast the machine multiplies large matrices: the limit where no peak is known.

A step's share of it is counted as in `jnst.bench.flops`: a Winograd convolution, which
multiplies less often than the definition, may come out above 1.
"""

import jax
import pytest

from jnst.bench.measure import timings
from jnst.bench.measured_peaks import multiply

CPU = jax.default_backend() == "cpu"
WAYS = [("xla", "float32"), ("numpy", "float32") if CPU else ("xla", "bfloat16")]


@pytest.mark.parametrize(("by", "dtype"), WAYS)
def test_matmul(by, dtype, plan, harness, record, benchmark):
    benchmark.group = "limit"
    call = multiply(by, dtype, plan.matmul)
    call()
    found = timings(harness({by: call}, plan.repeats)[by], 1)
    flops = 2 * plan.matmul**3
    row = {"by": by, "dtype": dtype, "side": plan.matmul, "ms": found["step_ms"]}
    row |= {"samples_ms": found["samples_ms"]}
    record("limits", row | {"tflop_per_s": flops / found["step_ms"] / 1e9})
