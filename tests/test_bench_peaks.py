"""Which peak a device is measured by."""

import re

import pytest

from jnst.bench.peaks import PEAKS, find_peak, peak_tflops


@pytest.mark.parametrize(
    ("kind", "bf16", "bandwidth"),
    [
        ("NVIDIA A100-SXM4-80GB", 312, 2039),
        ("NVIDIA A100-PCIE-40GB", 312, 1555),
        ("NVIDIA A100 80GB PCIe", 312, 1935),
        ("NVIDIA H100 80GB HBM3", 989.4, 3350),
        ("NVIDIA H100 PCIe", 756, 2000),
        ("NVIDIA H200", 989.4, 4800),
        ("NVIDIA L4", 121, 300),
        ("NVIDIA A10", 125, 600),
        ("Tesla T4", None, 320),
        ("Tesla V100-SXM2-16GB", None, 900),
        ("NVIDIA GeForce RTX 4090", 165.2, 1008),
        ("TPU v5 lite", 197, 819),
        ("TPU v5", 459, 2765),
        ("TPU v6 lite", 918, 1640),
    ],
)
def test_a_device_is_found_by_the_name_jax_gives_it(kind, bf16, bandwidth):
    row = find_peak(kind)
    assert (row.bf16, row.gb_per_s) == (bf16, bandwidth)


@pytest.mark.parametrize(
    "kind",
    [
        "cpu",
        "NVIDIA A10G",  # half an A10
        "NVIDIA L40S",
        "NVIDIA GH200 480GB",
        "NVIDIA GeForce RTX 4090 Laptop GPU",
        "NVIDIA GeForce RTX 4090 D",
        "NVIDIA H100 80GB HBM3 MIG 1g.10gb",
        "TPU v4 lite",
        "TPU v50",
    ],
)
def test_a_device_of_a_similar_name_is_unknown(kind):
    assert find_peak(kind) is None
    assert peak_tflops(kind, "float32") is None


def test_no_name_matches_two_rows():
    for row in PEAKS:
        names = {re.sub(r"\.\*|\?", "", row.pattern)}
        alternatives = re.search(r"\(([^)]*)\)", row.pattern)
        if alternatives:
            names = {
                row.pattern.replace(alternatives[0], word).replace("?", "")
                for word in alternatives[1].split("|")
            }
        for name in names:
            found = [other for other in PEAKS if re.fullmatch(other.pattern, name)]
            assert found == [row], name


def test_float32_means_tf32_where_jax_may_use_it():
    a100 = "NVIDIA A100-SXM4-40GB"
    assert peak_tflops(a100, "float32") == 156
    assert peak_tflops(a100, "float32", precision="high") == 156
    assert peak_tflops(a100, "float32", precision="highest") == 19.5
    assert peak_tflops("Tesla T4", "float32") == 8.1  # it has no TF32
    assert peak_tflops("Tesla T4", "bfloat16") is None


def test_float32_on_a_tpu_is_one_pass_of_bfloat16_by_default():
    assert peak_tflops("TPU v4", "float32") == 275
    assert peak_tflops("TPU v4", "float32", precision="high") == 275 / 3
    assert peak_tflops("TPU v4", "float32", precision="highest") == 275 / 6


def test_every_row_is_dense_and_has_a_source():
    for row in PEAKS:
        assert row.source
        if row.bf16 and row.tf32:  # tensor cores halve their rate for TF32
            assert row.tf32 == pytest.approx(row.bf16 / 2, rel=0.03)
