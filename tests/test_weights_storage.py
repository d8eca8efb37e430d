"""The one format: what it says of itself, and that writing it is all or nothing."""

import numpy as np
import pytest
import safetensors.numpy
import test_weights_formats as formats

from jnst.weights import (
    PREPROCESSING,
    load_weights,
    network,
    read_provenance,
    save_weights,
    tensors_sha256,
    verify,
)


@pytest.fixture
def tiny():
    return network.as_params(formats.own_arrays(channels=4))


def test_saved_parameters_come_back_bit_by_bit(tiny, tmp_path):
    loaded = load_weights(save_weights(tiny, tmp_path / "tiny.safetensors"))
    assert loaded.keys() == tiny.keys()
    for layer, leaves in tiny.items():
        assert loaded[layer].keys() == leaves.keys()
        for leaf, array in leaves.items():
            np.testing.assert_array_equal(loaded[layer][leaf], array)


def test_a_saved_file_says_what_it_is(tiny, tmp_path):
    path = save_weights(tiny, tmp_path / "t.safetensors", title="Tiny", licence="CC0")
    known = read_provenance(path)
    assert (known["title"], known["licence"], known["backbone"]) == (
        "Tiny",
        "CC0",
        "vgg19",
    )
    assert known["preprocessing"] == "torch"
    assert known["format"] == network.FORMAT
    assert known["tensors_sha256"] == tensors_sha256(network.as_arrays(tiny))
    assert verify(path)["arrays"] == 34


def test_a_preprocessing_of_ones_own_is_kept_as_it_is(tiny, tmp_path):
    tiny["preprocess"]["bias"] = tiny["preprocess"]["bias"] + 1
    path = save_weights(tiny, tmp_path / "t.safetensors")
    assert read_provenance(path)["preprocessing"] == "custom"
    bias = load_weights(path)["preprocess"]["bias"]
    np.testing.assert_array_equal(bias, tiny["preprocess"]["bias"])


def test_the_digest_follows_names_shapes_and_numbers():
    arrays = {"a": np.zeros((2, 3), np.float32), "b": np.ones(2, np.float32)}
    digest = tensors_sha256(arrays)
    assert digest == tensors_sha256(dict(reversed(arrays.items())))
    for other in (
        {"a": arrays["a"].T, "b": arrays["b"]},
        {"a": arrays["a"], "c": arrays["b"]},
        {"a": arrays["a"], "b": arrays["b"] * 2},
        {"a": arrays["a"].astype(np.float64), "b": arrays["b"]},
    ):
        assert tensors_sha256(other) != digest


def test_broken_parameters_are_not_saved(tiny, tmp_path):
    tiny["conv3_2"]["kernel"] = tiny["conv3_2"]["kernel"].at[0, 0, 0, 0].set(np.nan)
    with pytest.raises(ValueError, match="'conv3_2.kernel' holds NaN"):
        save_weights(tiny, tmp_path / "t.safetensors")
    del tiny["preprocess"]
    with pytest.raises(ValueError, match=r"no array 'preprocess\.kernel'"):
        save_weights(tiny, tmp_path / "t.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_leaves_the_old_file(tiny, tmp_path, monkeypatch):
    path = save_weights(tiny, tmp_path / "t.safetensors")
    before = path.read_bytes()

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_weights(tiny, path, title="another")
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["t.safetensors"]


def test_foreign_safetensors_have_no_provenance(tmp_path):
    path = tmp_path / "foreign.safetensors"
    safetensors.numpy.save_file({"a": np.ones(3)}, path)
    with pytest.raises(ValueError, match="not in jnst's own format.*weights convert"):
        read_provenance(path)
    with pytest.raises(FileNotFoundError, match="'absent' not found"):
        read_provenance("absent")


def test_preprocessings_follow_their_definitions():
    pixels = np.random.default_rng(0).random((5, 3))
    kernel, bias = PREPROCESSING["caffe"]
    expected = pixels[:, ::-1] * 255 - [103.939, 116.779, 123.68]
    np.testing.assert_allclose(pixels @ kernel + bias, expected, rtol=1e-6, atol=1e-5)
    kernel, bias = PREPROCESSING["torch"]
    expected = (pixels - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(pixels @ kernel + bias, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("backbone", ["vgg16", "vgg19"])
def test_both_backbones_are_stored(backbone, tmp_path):
    params = network.as_params(formats.own_arrays(3, "caffe", backbone))
    path = save_weights(params, tmp_path / "t.safetensors")
    assert read_provenance(path)["backbone"] == backbone
