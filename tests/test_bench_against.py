"""Comparing with an earlier run: verdicts, bands, what may be compared."""

import numpy as np
import pytest

from jnst.bench.against import (
    compare_rows,
    comparison_table,
    differences,
    is_slower,
    noise_band,
)


def row(samples, **changes):
    key = {"size_px": 256, "batch": 1, "dtype": "float32", "loss": "gram"}
    key |= {"optimizer": "adam", "backbone": "vgg19", "label": "objective"}
    return key | {"step_ms": float(np.median(samples)), "samples_ms": samples} | changes


TIGHT = [99.0, 99.5, 100.0, 100.0, 100.5, 101.0, 101.5]


def scaled(factor, spread=1.0):
    return [100 * factor + spread * (value - 100) for value in TIGHT]


@pytest.mark.parametrize(
    ("samples", "verdict"),
    [
        (scaled(1.0), "within noise"),
        (scaled(0.8), "faster"),
        (scaled(1.05), "slower, within the threshold"),
        (scaled(1.3), "slower"),
        (scaled(1.3, spread=60), "within noise"),  # 1.3 times, but all over the place
    ],
)
def test_a_verdict_needs_both_threshold_and_noise(samples, verdict):
    [found] = compare_rows([row(samples)], [row(TIGHT)])
    assert found["verdict"] == verdict
    assert found["ratio"] == pytest.approx(np.median(samples) / 100)
    low, high = found["band"]
    assert low <= found["ratio"] <= high
    assert is_slower([found]) == (verdict == "slower")
    assert verdict in comparison_table([found])


def test_the_threshold_is_the_users():
    [found] = compare_rows([row(scaled(1.05))], [row(TIGHT)], threshold=1.02)
    assert found["verdict"] == "slower"
    with pytest.raises(ValueError, match="threshold must be at least 1"):
        compare_rows([row(TIGHT)], [row(TIGHT)], threshold=0.9)


def test_the_band_covers_the_true_ratio_as_often_as_it_says():
    rng, inside = np.random.default_rng(0), 0
    for _ in range(200):
        now, before = rng.lognormal(0.1, 0.05, 15), rng.lognormal(0, 0.05, 15)
        low, high = noise_band(list(now), list(before))
        inside += low <= np.exp(0.1) <= high
    assert inside >= 180  # 95 % of 200, less what 15 samples cost a bootstrap


def test_one_sample_has_no_band_but_itself():
    assert noise_band([3.0], [2.0]) == (1.5, 1.5)


def test_only_rows_that_measured_the_same_are_compared():
    before = [row(TIGHT), row(scaled(2), size_px=512), row(scaled(3), dtype="bfloat16")]
    now = [row(scaled(2.2), size_px=512), row(TIGHT, size_px=1024)]
    [found] = compare_rows(now, before)
    assert (found["size_px"], found["ratio"]) == (512, pytest.approx(1.1))
    with pytest.raises(ValueError, match="no row measured what"):
        compare_rows(now[1:], before)


def test_a_field_that_the_earlier_file_had_not_is_no_difference():
    now = [row(TIGHT, convolution="winograd")]
    assert compare_rows(now, [row(TIGHT)])
    with pytest.raises(ValueError):
        compare_rows(now, [row(TIGHT, convolution="xla")])


def test_rows_that_failed_are_passed_over():
    failed = row(TIGHT) | {"error": "out of memory"}
    del failed["step_ms"]
    assert len(compare_rows([failed, row(TIGHT)], [failed, row(TIGHT)])) == 1


def test_differences_name_device_and_versions():
    now = {"device": "a", "cores": 2, "versions": {"jax": "2", "numpy": "1"}}
    before = {"device": "b", "cores": 2, "versions": {"jax": "1", "numpy": "1"}}
    assert differences(now, before) == [
        "device: b before, a now",
        "jax: 1 before, 2 now",
    ]
    assert differences(now, now) == []
