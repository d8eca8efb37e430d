"""Rooflines, MFU and HFU: figures by hand, and what is above a peak."""

import dataclasses

import jax
import numpy as np
import pytest

from jnst.bench import measured_peaks, roofline_plot
from jnst.bench.cases import OBJECTIVE
from jnst.bench.measured_peaks import measured_gb_per_s, measured_tflops, multiply
from jnst.bench.roofline import (
    Roof,
    above_peak,
    roof_here,
    roofline,
    roofline_table,
    sheet_roof,
    takes_winograd,
)
from jnst.bench.roofline_plot import plot_roofline, reached
from jnst.bench.traffic import FROM_TEXT, FROM_XLA
from jnst.image import load_image

ROOF = Roof(2.0, "a sheet", 100.0, "another sheet")


def counts(flops=4e9, hbm=1e8, source=FROM_TEXT):
    return {"flops_xla": flops, "hbm_bytes": hbm, "hbm_bytes_source": source}


def row(step_ms=None, by_hand=3e9, utilisation=None, **more):
    found = roofline(counts(**more), by_hand, ROOF, step_ms=step_ms)
    usual = {"size_px": 64, "dtype": "float32", "precision": "high", "loss": "gram"}
    return usual | {"step_ms": step_ms, "utilisation": utilisation} | found


def test_a_step_of_many_operations_is_bound_by_them():
    found = row(step_ms=8.0)  # 4 GFLOP at 2 TFLOP/s are 2 ms, 0.1 GB at 100 GB/s 1 ms
    assert (found["t_math_ms"], found["t_memory_ms"]) == (2.0, 1.0)
    assert found["intensity"] == 40 and found["bound"] == "math"
    assert found["of_roofline"] == found["hfu"] == 0.25
    assert found["flops_by_hand"] == 3e9
    assert found["peak_tflop_per_s_source"] == "a sheet"
    assert found["peak_gb_per_s_source"] == "another sheet"


def test_a_step_of_many_bytes_is_bound_by_memory():
    found = row(step_ms=8.0, hbm=4e8)
    assert (found["t_memory_ms"], found["bound"]) == (4.0, "memory")
    assert (found["of_roofline"], found["hfu"]) == (0.5, 0.25)


def test_where_nothing_was_timed_the_bound_alone_is_told():
    found = row()
    assert found["bound"] == "math" and found["t_math_ms"] == 2
    assert found["of_roofline"] is None and found["hfu"] is None
    assert above_peak(found, winograd=False) == {}


def test_operations_by_hand_stand_in_for_what_xla_cannot_count():
    found = row(step_ms=8.0, flops=None)
    assert (found["t_math_ms"], found["intensity"]) == (1.5, 30)
    assert found["hfu"] is None and found["of_roofline"] == 1.5 / 8


def test_without_a_count_or_a_peak_there_is_no_roof():
    nothing = row(step_ms=8.0, flops=None, by_hand=None)
    assert nothing["bound"] is None and nothing["of_roofline"] is None
    unknown = roofline(counts(), 3e9, sheet_roof("cpu", "float32"), step_ms=8.0)
    assert unknown["t_math_ms"] is None and unknown["hbm_bytes"] == 1e8
    assert reached(nothing) is None and reached(unknown) is None


def test_caches_may_serve_what_xla_counts_as_accessed():
    found = row(step_ms=3.0, hbm=4e8, source=FROM_XLA)  # 4 ms from memory
    assert found["bound"] == "cache"
    assert found["of_roofline"] == pytest.approx(2 / 3)  # of the operations' roof
    assert above_peak(found, winograd=False) == {}
    slower = row(step_ms=5.0, hbm=4e8, source=FROM_XLA)
    assert slower["bound"] == "memory" and slower["of_roofline"] == 0.8


def test_bytes_of_main_memory_faster_than_its_bandwidth_are_an_error():
    message = above_peak(row(step_ms=3.0, hbm=4e8), winograd=True)["error"]
    assert "roofline is 1.33" in message and "100.0 GB/s (another sheet)" in message


def test_operations_above_the_peak_are_an_error():
    message = above_peak(row(step_ms=1.0), winograd=True)["error"]
    assert message.startswith("HFU is 2, above the peak of 2.0 TFLOP/s (a sheet)")


def test_only_winograd_may_pass_the_peak_of_the_model():
    found = row(step_ms=8.0, utilisation=1.2)
    assert above_peak(found, winograd=True) == {}
    assert "MFU is 1.2" in above_peak(found, winograd=False)["error"]
    assert above_peak(found | {"utilisation": 1.0}, winograd=False) == {}


def test_which_convolutions_may_be_winograds(monkeypatch):
    def takes(**changes):
        return takes_winograd(dataclasses.replace(OBJECTIVE, **changes))

    assert takes(convolution="winograd") and not takes(convolution="xla")
    assert not takes(convolution="auto", padding="reflect")
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    assert takes(convolution="auto") and takes(convolution="auto", dtype="bfloat16")
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    assert not takes(convolution="auto")


def test_a_sheet_tells_the_roof_of_a_type():
    v5e = sheet_roof("TPU v5 lite", "float32", precision="high")
    assert v5e.tflop_per_s == pytest.approx(197 / 3) and v5e.gb_per_s == 819
    assert v5e.tflop_source == v5e.gb_source == "cloud.google.com/tpu/docs/v5e"
    t4 = sheet_roof("Tesla T4", "bfloat16")
    assert t4[:2] == (None, None) and t4.gb_per_s == 320


def test_what_no_sheet_tells_is_measured_once(monkeypatch):
    kept = measured_peaks._product, measured_peaks._triad
    for one in kept:
        one.cache_clear()
    seconds = iter([0.5, 0.25, 2.0])  # NumPy, XLA, triad
    asked = []

    def clock(call, calls):
        call()
        asked.append(calls)
        return next(seconds)

    monkeypatch.setattr(measured_peaks, "best_seconds", clock)
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    monkeypatch.setattr(measured_peaks, "SIDES", {"cpu": 64})
    monkeypatch.setattr(measured_peaks, "TRIAD_MIB", {"cpu": 1})
    found = roof_here("float32")
    assert found.tflop_per_s == pytest.approx(2 * 64**3 / 0.25 / 1e12)
    assert found.tflop_source.startswith("measured: 64 x 64 matmul in float32, xla")
    assert found.gb_per_s == pytest.approx(3 * 2**20 / 2 / 1e9)
    assert found.gb_source.startswith("measured: triad of 3 x 1 MiB")
    assert roof_here("float32", precision="highest") == found and len(asked) == 3
    for one in kept:
        one.cache_clear()


def test_a_device_with_a_sheet_measures_nothing(monkeypatch):
    class Chip:
        device_kind = "NVIDIA H200"

    monkeypatch.setattr(jax, "devices", lambda: [Chip()])
    monkeypatch.setattr(measured_peaks, "best_seconds", None)  # cannot be called
    assert roof_here("bfloat16")[::2] == (989.4, 4800)


def test_bfloat16_is_at_least_as_fast_as_float32():
    single = measured_tflops("float32", side=48)
    half = measured_tflops("bfloat16", side=48)
    assert half.value >= single.value > 0
    assert measured_gb_per_s(mib=1).value > 0


def test_the_product_and_the_triad_are_what_they_say():
    pair = np.random.default_rng(0).standard_normal((2, 8, 8), np.float32)
    for by in ("numpy", "xla"):
        product = np.asarray(multiply(by, "float32", 8, precision="highest")())
        np.testing.assert_allclose(product, pair[0] @ pair[1], rtol=1e-5, atol=1e-6)
    call = measured_peaks.triad(1)
    call()  # into the array of zeros, and then into its own result
    assert call().nbytes == 2**20 and (np.array(call()) == 4).all()  # 1 + 3 x 1


def test_the_best_of_the_calls_counts(monkeypatch):
    times = iter([0.0, 3.0, 3.0, 4.0, 4.0, 6.0])
    monkeypatch.setattr(measured_peaks.time, "perf_counter", lambda: next(times))
    calls = []
    assert measured_peaks.best_seconds(lambda: calls.append(1), 3) == 1.0
    assert len(calls) == 4  # the first is not counted


def test_the_table_shows_what_is_known():
    rows = [row(step_ms=8.0, hbm=2e9), row(flops=None, by_hand=None)]
    lines = roofline_table([*rows, {"size_px": 8, "error": "out of memory"}])
    head, _, first, second = lines.splitlines()
    assert head.split()[:5] == ["px", "dtype", "loss", "GFLOP", "by"]
    assert "2000" in first and "memory" in first and "250.0%" in first
    assert "unknown" in second and "MFU" not in head  # no row has one
    assert roofline_table([{"size_px": 8, "error": "out of memory"}]) == ""


def test_points_are_what_was_reached_or_could_be():
    assert reached(row(step_ms=8.0)) == pytest.approx(4e9 / 8e-3 / 1e12)
    assert reached(row()) == 2  # at the roof
    assert reached(row(hbm=4e8)) == pytest.approx(10 * 100 / 1e3)  # at its slope


def test_a_plot_has_a_roof_a_ridge_and_a_point_a_row(tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(
        roofline_plot, "save_figure", lambda figure, _: kept.append(figure)
    )
    rows = [row(step_ms=8.0), row(hbm=4e8) | {"size_px": 96, "loss": "mean_std"}]
    plot_roofline(tmp_path / "a.png", [*rows, {"error": "out of memory"}], title="here")
    axes = kept[0].axes[0]
    words = [text.get_text() for text in axes.texts]
    assert {"64 px", "96 px", "ridge 20", "100 GB/s"} <= set(words)
    assert "2 TFLOP/s, float32, high" in words
    roof, _, *points = axes.get_lines()
    assert max(roof.get_ydata()) == 2 and list(roof.get_xdata())[1] == 20
    assert [p.get_xdata()[0] for p in points] == [40, 10]
    assert points[1].get_markerfacecolor() == "white" != points[0].get_markerfacecolor()
    assert axes.get_xscale() == axes.get_yscale() == "log"


def test_a_plot_is_a_picture(tmp_path):
    path = tmp_path / "a.png"
    plot_roofline(path, [row(step_ms=8.0), row(step_ms=7.0)])
    assert load_image(path).shape[2] == 3
    with pytest.raises(ValueError, match="no roofline to plot"):
        plot_roofline(path, [{"size_px": 8, "error": "out of memory"}])
