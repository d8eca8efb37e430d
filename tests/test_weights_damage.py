"""Damaged files are refused in one line that names the array, or the file."""

import h5py
import numpy as np
import pytest
import safetensors.numpy
import test_weights_formats as formats

from jnst.weights import network, read_network, save_weights, verify

# Files that hold blocks 1 and 2 only: arrays are read in order, so that whatever is
# wrong with conv1_2 is found before block 3 is missed.
MAKERS = {
    "keras": (formats.keras_published, ".h5", "block1_conv2/block1_conv2_W_1:0"),
    "keras 3": (formats.keras_3, ".h5", "layers/conv2d_1/vars/0"),
    "keras zip": (formats.keras_zip, ".keras", "layers/conv2d_1/vars/0"),
    "features": (formats.torch_features, ".pth", "2.weight"),
    "checkpoint": (
        formats.checkpoint,
        ".pth",
        "state_dict.module.features.2.weight",
    ),
    "torchvision zip": (formats.torchvision_zip, ".pth", "features.2.weight"),
    "torchvision legacy": (formats.torchvision_legacy, ".pth", "features.2.weight"),
    "normalised": (formats.normalised_legacy, ".pth", "5.weight"),
    "matconvnet": (formats.matconvnet, ".mat", "conv1_2/filters"),
    "npz": (lambda path, arrays: np.savez(path, **arrays), ".npz", "conv1_2.kernel"),
    "safetensors": (
        lambda path, arrays: safetensors.numpy.save_file(arrays, path),
        ".safetensors",
        "conv1_2.kernel",
    ),
}


def _keras_3_renamed(path, arrays):
    formats.keras_3(path, arrays)
    with h5py.File(path, "a") as file:
        file.move("layers/conv2d_1/vars/0", "layers/conv2d_1/vars/renamed")


def _torch_renamed(path, arrays, pattern="{}.{}", **key):
    named = formats.state_dict(arrays, pattern)
    missing = pattern.format(2, "weight")
    formats.write_pth_zip(path, {k: v for k, v in named.items() if k != missing}, **key)


RENAMED = {
    "keras 3": _keras_3_renamed,
    "keras zip": lambda path, arrays: formats.zipped(path, _keras_3_renamed, arrays),
    "features": _torch_renamed,
    "checkpoint": lambda path, arrays: _torch_renamed(
        path, arrays, "module.features.{}.{}", key="state_dict"
    ),
}


def start_of(form):
    if form in ("npz", "safetensors"):
        arrays = formats.own_arrays()
    else:
        arrays = formats.random_arrays("vgg19")
        arrays = {k: v for k, v in arrays.items() if k.startswith(("conv1", "conv2"))}
    arrays["conv1_2.kernel"] = np.ascontiguousarray(arrays["conv1_2.kernel"])
    return arrays


def refusal(path):
    with pytest.raises(ValueError) as caught:
        read_network(path)
    message = str(caught.value)
    assert "\n" not in message
    assert path.name in message
    return message


@pytest.mark.parametrize("form", MAKERS)
def test_an_array_holding_nan_is_named(form, tmp_path):
    make, suffix, name = MAKERS[form]
    arrays = start_of(form)
    arrays["conv1_2.kernel"][1, 1, 0, 0] = np.nan
    make(tmp_path / f"nan{suffix}", arrays)
    assert f"array {name!r} holds NaN" in refusal(tmp_path / f"nan{suffix}")


@pytest.mark.parametrize("form", MAKERS)
def test_an_array_of_another_shape_is_named(form, tmp_path):
    make, suffix, name = MAKERS[form]
    arrays = start_of(form)
    arrays["conv1_2.kernel"] = arrays["conv1_2.kernel"][:, :, :-1].copy()
    make(tmp_path / f"shape{suffix}", arrays)
    assert f"array {name!r} has shape [" in refusal(tmp_path / f"shape{suffix}")


@pytest.mark.parametrize("form", MAKERS)
def test_an_array_that_is_missing_is_named(form, tmp_path):
    make, suffix, name = MAKERS[form]
    arrays = start_of(form)
    if form in ("npz", "safetensors"):
        arrays["renamed"] = arrays.pop("conv1_2.kernel")
    path = tmp_path / f"renamed{suffix}"
    if form in RENAMED:
        RENAMED[form](path, arrays)
        assert f"no array {name!r}" in refusal(path)
        return
    make(path, arrays)
    if form == "keras":
        with h5py.File(path, "a") as file:
            file.move("block1_conv2/block1_conv2_W_1:0", "block1_conv2/renamed")
    elif suffix == ".pth":
        content = path.read_bytes()
        path.write_bytes(
            content.replace(name.encode(), name.replace("w", "W").encode())
        )
    elif form == "matconvnet":
        arrays = {k.replace("conv1_2", "renamed"): v for k, v in arrays.items()}
        make(path, arrays)
    if form == "torchvision zip":  # a patched entry also has another checksum
        path.unlink()
        named = formats.renamed(
            arrays, formats.TORCHVISION["vgg19"], "features.{}.{}", (3, 2, 0, 1)
        )
        named["renamed"] = named.pop(name)
        formats.write_pth_zip(path, named)
    assert f"no array {name!r}" in refusal(path)


@pytest.mark.parametrize("kept", [0.1, 0.6, 0.999])
@pytest.mark.parametrize("form", MAKERS)
def test_a_file_cut_short_is_refused(form, kept, tmp_path):
    make, suffix, _ = MAKERS[form]
    path = tmp_path / f"cut{suffix}"
    make(path, start_of(form))
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    refusal(path)


def test_a_legacy_file_cut_short_names_the_array(tmp_path):
    path = tmp_path / "cut.pth"
    formats.torchvision_legacy(path, start_of("torchvision legacy"))
    path.write_bytes(path.read_bytes()[:100_000])
    assert "array 'features.2.weight' is cut short" in refusal(path)


@pytest.mark.parametrize("suffix", [".h5", ".pth", ".mat", ".npz", ".safetensors"])
def test_empty_and_foreign_files_are_refused(suffix, tmp_path):
    path = tmp_path / f"file{suffix}"
    path.write_bytes(b"")
    assert "is empty" in refusal(path)
    path.write_bytes(b"this is no file of weights at all\n" * 20)
    refusal(path)


def test_a_damaged_number_in_a_zip_file_is_refused(tmp_path):
    path = tmp_path / "flipped.pth"
    formats.torchvision_zip(path, start_of("torchvision zip"))
    content = bytearray(path.read_bytes())
    content[50_000] ^= 1  # inside features.2.weight
    path.write_bytes(content)
    assert "is damaged" in refusal(path)


def test_integers_are_no_weights(tmp_path):
    arrays = formats.own_arrays()
    arrays["conv1_2.bias"] = np.arange(4)
    np.savez(tmp_path / "integers.npz", **arrays)
    assert "array 'conv1_2.bias' is int64" in refusal(tmp_path / "integers.npz")


def test_an_array_of_objects_is_refused_and_not_unpickled(tmp_path):
    arrays = formats.own_arrays()
    arrays["conv1_1.bias"] = np.array([print, None, None, None], object)
    np.savez(tmp_path / "objects.npz", **arrays)
    assert "'conv1_1.bias' cannot be read" in refusal(tmp_path / "objects.npz")


def test_float64_beyond_the_range_of_float32_is_not_finite(tmp_path):
    arrays = formats.own_arrays()
    arrays["conv1_1.bias"] = np.full(4, 1e300)
    np.savez(tmp_path / "large.npz", **arrays)
    assert "'conv1_1.bias' holds NaN or infinity" in refusal(tmp_path / "large.npz")


def test_an_array_too_many_is_named(tmp_path):
    arrays = formats.own_arrays()
    np.savez(tmp_path / "more.npz", **arrays, extra=np.ones(3))
    assert "array 'extra' is not part of vgg19" in refusal(tmp_path / "more.npz")


def test_an_absurdly_large_array_is_refused_before_it_is_read(tmp_path):
    with h5py.File(tmp_path / "bomb.h5", "w") as file:
        shape = (10**5, 10**5, 10, 10)
        file.create_dataset("block1_conv1/block1_conv1_W_1:0", shape, "f4", chunks=True)
    assert "too large" in refusal(tmp_path / "bomb.h5")


def test_a_normalised_file_with_another_preprocessing_is_refused(tmp_path):
    arrays = formats.random_arrays("vgg19")
    named = formats.renamed(arrays, formats.NORMALISED, "{}.{}", (3, 2, 0, 1))
    pixels = {"0.weight": np.ones((3, 3, 1, 1), "f4"), "0.bias": np.zeros(3, "f4")}
    formats.write_pth_legacy(tmp_path / "other.pth", pixels | named)
    assert "array '0.weight' is not the caffe" in refusal(tmp_path / "other.pth")


def test_changed_numbers_in_our_own_file_are_found(tmp_path):
    path = tmp_path / "tiny.safetensors"
    save_weights(network.as_params(formats.own_arrays()), path)
    assert verify(path)["original"] is False
    content = bytearray(path.read_bytes())
    content[-7] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="differ from their recorded SHA-256"):
        verify(path)
