"""Comparing with an earlier run: verdicts, bands, what may be compared."""

import numpy as np
import pytest
from benched import TIGHT, document, row, scaled

from jnst.bench.against import (
    MIN_SAMPLES,
    compare_rows,
    comparison_table,
    differences,
    is_slower,
    noise_band,
    verdict_of,
)
from jnst.bench.comparable import check_comparable


@pytest.mark.parametrize(
    ("samples", "verdict"),
    [
        (scaled(1.0), "within noise"),
        (scaled(0.8), "faster"),
        (scaled(1.05), "slower, within the threshold"),
        (scaled(1.3), "slower"),
        (scaled(1.3, spread=60), "inconclusive"),  # 1.3 times, but all over the place
        (scaled(1.0, spread=20), "inconclusive"),  # nor is a gain excluded
        (scaled(1.3)[:5], "inconclusive"),
        (scaled(1.3)[:6], "slower"),
    ],
)
def test_a_verdict_needs_both_threshold_and_noise(samples, verdict):
    [found] = compare_rows([row(samples)], [row(TIGHT)])
    assert found["verdict"] == verdict
    assert found["ratio"] == pytest.approx(np.median(samples) / 100)
    assert found["samples"] == [len(samples), len(TIGHT)]
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


@pytest.mark.parametrize(
    ("band", "samples", "verdict"),
    [
        ((0.95, 1.05), 6, "within noise"),
        ((0.95, 1.05), 5, "inconclusive"),
        ((0.8, 1.3), 100, "inconclusive"),
        ((0.95, 1.101), 100, "inconclusive"),  # a regression is not excluded
        ((0.90, 1.05), 100, "inconclusive"),  # nor a gain: 1 / 1.1 is 0.909
        ((0.7, 0.99), 100, "faster"),
        (None, 0, "inconclusive"),
    ],
)
def test_a_band_decides_only_if_it_lies_within_the_threshold(band, samples, verdict):
    ratio = 1.0 if band is None else sum(band) / 2
    assert verdict_of(ratio, band, 1.10, samples) == verdict


def test_fewer_samples_could_not_be_sure_in_95_of_100():
    chance = [2.0 ** (1 - n) for n in (MIN_SAMPLES - 1, MIN_SAMPLES)]
    assert chance[0] > 0.05 > chance[1]


def test_a_row_without_samples_is_compared_and_decides_nothing():
    old = row(TIGHT)
    del old["samples_ms"]
    [found] = compare_rows([row(scaled(2.0))], [old])
    assert (found["band"], found["verdict"]) == (None, "inconclusive")
    assert found["ratio"] == pytest.approx(2)
    assert "inconclusive: 0 samples, 6 would do" in comparison_table([found])


def test_a_table_says_why_it_is_inconclusive_and_shows_what_varies():
    wide = compare_rows([row(scaled(1.0, spread=60))], [row(TIGHT)])
    assert "inconclusive: the noise is wide" in comparison_table(wide)
    assert "mode" not in comparison_table(wide)
    rows = [row(TIGHT), row(TIGHT, mode="forward")]
    table = comparison_table(compare_rows(rows, rows))
    assert "mode" in table and "forward" in table and "label" not in table


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
    now, old = [row(TIGHT, convolution="winograd")], row(TIGHT)
    del old["convolution"]
    assert compare_rows(now, [old])
    with pytest.raises(ValueError):
        compare_rows(now, [row(TIGHT, convolution="xla")])


def test_what_an_older_file_did_not_tell_was_the_whole_step_on_one_device():
    old = row(TIGHT)
    del old["mode"], old["devices"]
    assert compare_rows([row(TIGHT)], [old])
    for changes in ({"mode": "forward"}, {"devices": "4"}):
        with pytest.raises(ValueError, match="no row measured"):
            compare_rows([row(TIGHT, **changes)], [old])


def test_an_earlier_file_that_can_be_compared_says_which_cases_it_lacks():
    asked = [row(TIGHT), row(TIGHT, size_px=512)]
    alone = check_comparable(document(), document(row(TIGHT)), asked, where="a")
    assert [one["size_px"] for one in alone] == [512]


GPU = {"device_kind": "NVIDIA H200", "cpu": "host A"}
SHA = {"title": "tiny", "tensors_sha256": "a" * 64}


@pytest.mark.parametrize(
    ("now", "before", "message"),
    [
        ({}, GPU, "of another device, 'NVIDIA H200', and this is 'cpu'"),
        ({"cpu": "X"}, {"cpu": "Y"}, "of another device, 'Y', and this is 'X'"),
        (
            {},
            {"weights": {"title": "big"}},
            "other weights, 'big', and these are 'tiny'",
        ),
        (
            {"weights": SHA},
            {"weights": SHA | {"tensors_sha256": "b" * 64}},
            "(tensors bbbbbbbbbbbb), and these are 'tiny' (tensors aaaaaaaaaaaa)",
        ),
        (
            {},
            {"rows": [row(TIGHT, size_px=128, dtype="bfloat16"), row([1.0], batch=2)]},
            "measured what is asked; the nearest has batch 2 there and 1 asked",
        ),
        ({}, {"rows": []}, "measured what is asked: it has no times"),
    ],
)
def test_what_cannot_be_compared_is_told_which(now, before, message):
    now, before = document(**now), document(**{"rows": [row(TIGHT)]} | before)
    with pytest.raises(ValueError) as caught:
        check_comparable(now, before, [row(TIGHT)], where="b.json")
    assert message in str(caught.value) and "'b.json'" in str(caught.value)


@pytest.mark.parametrize(
    ("now", "before"),
    [
        (GPU, GPU | {"cpu": "host B"}),  # the host of a GPU is a warning
        ({"weights": {}}, {"weights": {"title": "big"}}),  # not known
        ({"weights": SHA}, {"weights": SHA | {"title": "by another name"}}),
        ({"weights": SHA}, {"weights": {"title": "tiny"}}),
    ],
)
def test_what_is_not_known_to_differ_is_compared(now, before):
    now, before = document(**now), document(**{"rows": [row(TIGHT)]} | before)
    assert check_comparable(now, before, [row(TIGHT)], where="b.json") == []


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
