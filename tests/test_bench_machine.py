"""What is told beside a time: compiling, the device's own time, the machine."""

import dataclasses
import json
import stat
import time

import jax
import jax.numpy as jnp
import pytest
from jax.profiler import ProfileData

from jnst.bench import device_time as device_timing
from jnst.bench import host
from jnst.bench.cases import OBJECTIVE, Case
from jnst.bench.compiling import watched
from jnst.bench.device_time import (
    WALL_ONLY,
    busy_ns,
    device_share,
    device_time,
    share_of,
    union_ns,
)
from jnst.bench.measure import measure, timed

pytestmark = pytest.mark.usefixtures("quick_compile")
SHORT = dataclasses.replace(OBJECTIVE, steps=2)
GPU = """
planes { name: "/device:GPU:0" event_metadata { key: 1 value { id: 1 name: "k" } }
  lines { name: "Stream #13(Compute)" timestamp_ns: 1000
    events { metadata_id: 1 offset_ps: 0 duration_ps: 5000000 }
    events { metadata_id: 1 offset_ps: 3000000 duration_ps: 5000000 } }
  lines { name: "Stream #14(MemcpyD2D)" timestamp_ns: 1000
    events { metadata_id: 1 offset_ps: 7000000 duration_ps: 2000000 }
    events { metadata_id: 1 offset_ps: 20000000 duration_ps: 1000000 } }
  lines { name: "XLA Modules" timestamp_ns: 1000
    events { metadata_id: 1 offset_ps: 0 duration_ps: 90000000 } } }
planes { name: "/host:CPU" event_metadata { key: 1 value { id: 1 name: "k" } }
  lines { name: "python" timestamp_ns: 0
    events { metadata_id: 1 offset_ps: 0 duration_ps: 99000000 } } }
"""
TPU = """
planes { name: "/device:TPU:1" event_metadata { key: 1 value { id: 1 name: "k" } }
  lines { name: "XLA Modules" timestamp_ns: 0
    events { metadata_id: 1 offset_ps: 0 duration_ps: 90000000 } }
  lines { name: "XLA Ops" timestamp_ns: 0
    events { metadata_id: 1 offset_ps: 0 duration_ps: 4000000 }
    events { metadata_id: 1 offset_ps: 6000000 duration_ps: 4000000 } } }
"""


@pytest.mark.parametrize(
    ("intervals", "length"),
    [
        ([], 0.0),
        ([(0.0, 2.0), (3.0, 4.0)], 3.0),
        ([(3.0, 9.0), (0.0, 4.0), (1.0, 2.0)], 9.0),
        ([(0.0, 4.0), (4.0, 5.0), (0.0, 4.0)], 5.0),
    ],
)
def test_the_union_of_intervals(intervals, length):
    assert union_ns(intervals) == length


@pytest.mark.parametrize(
    ("text", "found"),
    [(GPU, {"/device:GPU:0": 10_000}), (TPU, {"/device:TPU:1": 8_000})],
)
def test_a_device_is_busy_where_a_kernel_runs(text, found):
    """By hand: [0, 5], [3, 8], [7, 9] and [20, 21] us; [0, 4] and [6, 10] us."""
    record = ProfileData.text_proto_to_serialized_xspace(text)
    assert busy_ns(ProfileData.from_serialized_xspace(record)) == found


def test_a_device_is_never_busier_than_the_wall_says():
    assert share_of({"a": 30.0, "b": 60.0}, 100.0) == 0.6
    assert share_of({"a": 101.0}, 100.0) is None
    assert share_of({}, 100.0) is None
    assert device_time(0.6, 5.0)["device_ms"] == pytest.approx(3.0)


def test_a_cpu_has_the_time_of_the_wall_alone():
    calls = []
    assert device_share(lambda: calls.append(1)) is None
    assert calls == []
    assert device_time(None, 5.0) == {"device_ms": None, "device_source": WALL_ONLY}


def test_calls_are_recorded_and_the_record_read(monkeypatch):
    """On a CPU the record is real and has no device: nothing is told."""
    monkeypatch.setattr(device_timing.jax, "default_backend", lambda: "gpu")
    calls = []
    assert device_share(lambda: calls.append(1), calls=2) is None
    assert calls == [1, 1]
    record = ProfileData.text_proto_to_serialized_xspace(GPU)
    whole = ProfileData.from_serialized_xspace(record)
    monkeypatch.setattr(device_timing.ProfileData, "from_file", lambda path: whole)
    share = device_share(lambda: time.sleep(0.001))
    assert share is not None and 0 < share <= 1
    assert device_time(share, 1.0)["device_source"] == "CUPTI"


def test_compiling_is_told_apart_and_found_programs_are_hits(tmp_path):
    before = jax.config.jax_compilation_cache_dir

    def compile_one(add):
        with watched() as spent:
            jax.jit(lambda x: jnp.sin(x) + add).lower(jnp.ones(5)).compile()
        return spent

    from jax.experimental.compilation_cache import compilation_cache

    least = jax.config.jax_persistent_cache_min_compile_time_secs
    try:
        jax.config.update("jax_compilation_cache_dir", str(tmp_path))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        compilation_cache.reset_cache()
        first, second = compile_one(2.5), compile_one(2.5)
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", least)
        compilation_cache.reset_cache()
    assert min(first["trace_s"], first["lower_s"], first["backend_s"]) > 0
    assert first["cache_misses"] >= 1
    assert second["cache_hits"] >= 1 and second["cache_misses"] == 0
    with watched() as spent:
        jnp.ones(5).block_until_ready()
    assert spent["cache_hits"] == spent["cache_misses"] == 0


def test_calls_go_on_until_they_took_long_enough():
    asked = []

    def timer(calls, repeats):
        asked.append(repeats)
        return {name: [0.5] * repeats for name in calls}

    calls = {"jnst": lambda: None, "peer": lambda: None}
    assert timed(calls, 3, 0.0, timer) == {"jnst": [0.5] * 3, "peer": [0.5] * 3}
    # Three rounds of two calls are 3 s; 4.5 s are wanted: two rounds of 1 s more.
    asked.clear()
    found = timed(calls, 3, 4.5, timer)
    assert asked == [3, 2] and len(found["peer"]) == 5


def test_a_row_tells_the_machine_and_the_first_step(vgg19):
    row = measure(Case(SHORT, 32), vgg19, repeats=3)
    assert row["first_step_ms"] > 0 and row["step_ms_std"] >= 0
    assert row["host"]["load"] >= 0
    assert row["device_source"] == WALL_ONLY
    assert {"trace_s", "lower_s", "backend_s", "cache_hits"} <= set(row)
    assert measure(Case(SHORT, 32), vgg19, repeats=1)["step_ms_std"] is None


def fake_driver(folder, monkeypatch, lines):
    """Puts an `nvidia-smi` on the path that answers with these lines."""
    script = folder / "nvidia-smi"
    script.write_text("#!/bin/sh\n" + "".join(f"echo '{line}'\n" for line in lines))
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(host.jax, "default_backend", lambda: "gpu")


def test_a_driver_tells_clock_power_and_heat(tmp_path, monkeypatch):
    fake_driver(
        tmp_path, monkeypatch, ["1980, 2619, 412.5, 61, 99", "0, 1, [N/A], 3, 4"]
    )
    one, two = host.sensed()["gpus"]
    assert one == {
        **{"sm_mhz": 1980.0, "memory_mhz": 2619.0, "power_w": 412.5},
        **{"temperature_c": 61.0, "busy_percent": 99.0},
    }
    assert "power_w" not in two and two["sm_mhz"] == 0.0


def test_without_a_driver_nothing_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(host.jax, "default_backend", lambda: "gpu")
    assert host.gpus() == []
    assert "driver" not in host.surroundings()


def test_a_document_tells_driver_libraries_and_variables(tmp_path, monkeypatch):
    fake_driver(tmp_path, monkeypatch, ["570.86.15"])
    monkeypatch.setenv("LIBTPU_INIT_ARGS", "--xla_tpu_x=1")
    monkeypatch.setattr(host, "LIBRARIES", ("pytest", "no-such-package"))
    found = host.surroundings()
    assert found["driver"] == "570.86.15"
    assert found["variables"]["LIBTPU_INIT_ARGS"] == "--xla_tpu_x=1"
    assert found["libraries"] == {"pytest": pytest.__version__}
    json.dumps(found)
