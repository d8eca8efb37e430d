"""What `jnst.bench` lends to a harness such as benchmarks/suite."""

import dataclasses
import platform

import jax
import numpy as np
import pytest

from jnst.bench.cases import OBJECTIVE, Case
from jnst.bench.networks import random_params
from jnst.bench.session import run_cases
from jnst.processor import cpu_name

pytestmark = pytest.mark.usefixtures("quick_compile")


def test_whoever_holds_the_clock_decides_the_times(vgg19):
    asked = []

    def timer(calls, repeats):
        asked.append((list(calls), repeats))
        calls["jnst"]()
        return {"jnst": [0.2, 0.4, 0.8]}

    recipe = dataclasses.replace(OBJECTIVE, steps=2)
    (row,) = run_cases([Case(recipe, 32)], vgg19, repeats=3, timer=timer)
    assert asked == [(["jnst"], 3)]
    assert row["step_ms"] == pytest.approx(400 / row["steps_per_call"])
    assert row["mpx_steps_per_s"] == pytest.approx(32 * 32e-6 / row["step_ms"] * 1e3)


@pytest.mark.parametrize(("backbone", "layers"), [("vgg16", 13), ("vgg19", 16)])
def test_a_small_random_network_has_every_layer_of_the_published_one(backbone, layers):
    params = random_params(backbone, most_channels=5)
    shapes = [params[k]["kernel"].shape for k in params if k.startswith("conv")]
    assert shapes[0] == (3, 3, 3, 5)
    assert shapes[1:] == [(3, 3, 5, 5)] * (layers - 1)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))


def test_the_cpu_is_named_with_its_widest_vectors(tmp_path):
    known = tmp_path / "cpuinfo"
    one = "processor\t: {}\nmodel name\t: Fast 9\nflags\t\t: sse avx2 {}\n\n"
    known.write_text(one.format(0, "avx512f") + one.format(1, "avx512f"))
    assert cpu_name(known=known) == "Fast 9, AVX-512"
    known.write_text(one.format(0, ""))
    assert cpu_name(known=known) == "Fast 9, AVX2"
    assert cpu_name(known=tmp_path / "absent") in (
        platform.processor(),
        platform.machine(),
    )
