"""Every format is read; also the makers of files that the other tests damage."""

import zipfile

import h5py
import numpy as np
import pytest
import safetensors.numpy
import scipy.io
from test_weights_torch_files import write_pth_legacy, write_pth_zip

from jnst.weights import PREPROCESSING, network, read_network, readers

NORMALISED = (2, 5, 9, 12, 16, 19, 22, 25, 29, 32, 35, 38, 42, 45, 48, 51)
TORCHVISION = {  # typed from torchvision's own listing, not from our table
    "vgg16": (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
    "vgg19": (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34),
}


def random_arrays(backbone, seed=0, channels=None):
    """{"conv1_1.kernel": HWIO, "conv1_1.bias": ...} as published, or narrow."""
    rng, incoming, arrays = np.random.default_rng(seed), 3, {}
    sizes = network.published_channels(backbone)
    for name, published in zip(network.convolutions(backbone), sizes, strict=True):
        outgoing = channels or published
        shape = (3, 3, incoming, outgoing)
        arrays[f"{name}.kernel"] = rng.standard_normal(shape, np.float32)
        arrays[f"{name}.bias"] = rng.standard_normal(outgoing, np.float32)
        incoming = outgoing
    return arrays


def own_arrays(channels=4, preprocessing="torch", backbone="vgg19"):
    kernel, bias = PREPROCESSING[preprocessing]
    pixels = {"preprocess.kernel": kernel, "preprocess.bias": bias}
    return {**pixels, **random_arrays(backbone, channels=channels)}


def renamed(arrays, kernels, pattern, axes=(0, 1, 2, 3), leaves=("weight", "bias")):
    """Bring our arrays under another publisher's names and order of axes."""
    names = [name.removesuffix(".kernel") for name in arrays if name.endswith("kernel")]
    found = {}
    for ours, theirs in zip(names, kernels, strict=False):
        kernel = arrays[f"{ours}.kernel"].transpose(axes)
        found[pattern.format(theirs, leaves[0])] = kernel
        found[pattern.format(theirs, leaves[1])] = arrays[f"{ours}.bias"]
    return found


def write_h5(path, arrays, prefix=""):
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[prefix + name] = array


def _cell(values):
    cell = np.empty((1, len(values)), object)
    for index, value in enumerate(values):
        cell[0, index] = value
    return cell


def write_mat(path, arrays, old=False):
    """A MatConvNet file; the first kernel takes RGB, so it is reversed here."""
    rows = []
    for name in [n.removesuffix(".kernel") for n in arrays if n.endswith(".kernel")]:
        kernel, bias = arrays[f"{name}.kernel"], arrays[f"{name}.bias"]
        kernel = kernel[:, :, ::-1] if name == "conv1_1" else kernel
        bias = np.atleast_2d(bias)
        pair = {"filters": kernel, "biases": bias} if old else {}
        pair = pair or {"weights": _cell([kernel, bias])}
        rows.append({"name": name, "type": "conv", "pad": np.ones((1, 4)), **pair})
        rows.append({"name": name.replace("conv", "relu"), "type": "relu"})
    scipy.io.savemat(path, {"layers": _cell(rows)})


def keras_names(backbone):
    names = network.convolutions(backbone)
    return [n.replace("conv", "block").replace("_", "_conv") for n in names]


def write_keras(path, arrays, pattern, leaves, prefix=""):
    backbone = "vgg19" if "conv3_4.kernel" in arrays else "vgg16"
    write_h5(
        path, renamed(arrays, keras_names(backbone), pattern, leaves=leaves), prefix
    )


def keras_published(path, arrays):
    write_keras(path, arrays, "{0}/{0}_{1}", ("W_1:0", "b_1:0"))


def keras_with_top(path, arrays):
    keras_published(path, arrays)
    with h5py.File(path, "a") as file:
        file["fc1/fc1_W_1:0"] = np.zeros((25088, 2), np.float32)
        file["predictions/predictions_b_1:0"] = np.zeros(1000, np.float32)


def keras_tensorflow_2(path, arrays):
    write_keras(path, arrays, "{0}/{0}/{1}", ("kernel:0", "bias:0"))


def keras_3_whole_model(path, arrays):
    write_keras(
        path, arrays, "{0}/{0}/{1}", ("kernel", "bias"), prefix="model_weights/"
    )


def keras_3(path, arrays, prefix=""):
    """Layers of a kind are counted, arrays numbered; names are attributes only."""
    count = sum(name.endswith(".kernel") for name in arrays)
    layers = ["conv2d", *(f"conv2d_{n}" for n in range(1, count))]
    named = renamed(arrays, layers, "layers/{}/vars/{}", leaves=("0", "1"))
    write_h5(path, named, prefix)


def keras_3_with_top(path, arrays):
    keras_3(path, arrays)
    with h5py.File(path, "a") as file:
        file["layers/dense/vars/0"] = np.zeros((25088, 2), np.float32)
        file["layers/dense/vars/1"] = np.zeros(2, np.float32)
        file.create_group("layers/max_pooling2d/vars")
        file["optimizer/vars/0"] = np.int64(3)
        file["optimizer/vars/1"] = arrays["conv1_1.kernel"] + 1
        file["optimizer/vars/2"] = arrays["conv1_1.bias"] + 1


def keras_3_inside(path, arrays):
    """A VGG as a layer of another model, which has a convolution of its own."""
    keras_3(path, arrays, "layers/functional/")
    with h5py.File(path, "a") as file:
        file["layers/conv2d/vars/0"] = np.zeros((3, 3, 3, 3), np.float32)
        file["layers/conv2d/vars/1"] = np.zeros(3, np.float32)


def keras_3_after_another(path, arrays):
    """Layers beside those of the VGG, which are counted together with them."""
    count = 1 + sum(name.endswith(".kernel") for name in arrays)
    layers = [f"conv2d_{n}" for n in range(1, count)]
    write_h5(path, renamed(arrays, layers, "layers/{}/vars/{}", leaves=("0", "1")))
    with h5py.File(path, "a") as file:
        file["layers/conv2d/vars/0"] = np.zeros((1, 1, 3, 3), np.float32)
        file["layers/conv2d/vars/1"] = np.zeros(3, np.float32)
        file[f"layers/conv2d_{count}/vars/0"] = np.ones((3, 3, 512, 512), np.float32)
        file[f"layers/conv2d_{count}/vars/1"] = np.ones(512, np.float32)


def zipped(path, make, arrays, compression=zipfile.ZIP_STORED):
    """A `.keras` file around what `make` writes."""
    inner = path.with_suffix(".inner.h5")
    make(inner, arrays)
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("metadata.json", '{"keras_version": "3.15.1"}')
        archive.writestr("config.json", "{}")
        archive.write(inner, "model.weights.h5")
    inner.unlink()


def keras_zip(path, arrays):
    zipped(path, keras_3, arrays)


def keras_zip_with_top(path, arrays):
    zipped(path, keras_3_with_top, arrays)


def keras_published_inside(path, arrays):
    write_keras(path, arrays, "model_weights/vgg/{0}/{1}", ("kernel:0", "bias:0"))


def state_dict(arrays, pattern="features.{}.{}"):
    kernels = TORCHVISION["vgg19" if "conv3_4.kernel" in arrays else "vgg16"]
    return renamed(arrays, kernels, pattern, (3, 2, 0, 1))


def torch_features(path, arrays):
    write_pth_zip(path, state_dict(arrays, "{}.{}"))


def torch_features_legacy(path, arrays):
    write_pth_legacy(path, state_dict(arrays, "{}.{}"))


def checkpoint(path, arrays):
    write_pth_zip(path, state_dict(arrays, "module.features.{}.{}"), key="state_dict")


def checkpoint_model(path, arrays):
    top = {"vgg.classifier.0.weight": np.zeros((2, 25088), np.float32)}
    write_pth_zip(path, state_dict(arrays, "vgg.features.{}.{}") | top, key="model")


def checkpoint_odd(path, arrays):
    write_pth_zip(path, state_dict(arrays, "module.net.enc.{}.{}"), key="weights_ema")


def torch_slices(path, arrays):
    """VGG cut into parts, as those write it who want features of some layers."""
    kernels, cuts = TORCHVISION["vgg16"], (0, 4, 9, 16, 23)
    names = [f"slice{sum(n >= cut for cut in cuts)}.{n}" for n in kernels]
    write_pth_zip(path, renamed(arrays, names, "{}.{}", (3, 2, 0, 1)))


def torch_words(path, arrays):
    """Names without numbers: the order is the file's own."""
    names = [f"net.{a}{b}" for a in "zyxw" for b in "fdbha"][:16]
    write_pth_zip(path, renamed(arrays, names, "{}.{}", (3, 2, 0, 1)))


def torch_twice(path, arrays):
    """One network under two names, as shared modules are saved."""
    write_pth_zip(path, state_dict(arrays) | state_dict(arrays, "loss.net.{}.{}"))


def features_safetensors(path, arrays):
    """Safetensors bring names in the order of letters: "10" before "2"."""
    named = state_dict(arrays, "vgg.{}.{}")
    contiguous = {name: np.ascontiguousarray(array) for name, array in named.items()}
    safetensors.numpy.save_file(contiguous, path)


def torchvision_zip(path, arrays):
    kernels = TORCHVISION["vgg19" if "conv3_4.kernel" in arrays else "vgg16"]
    named = renamed(arrays, kernels, "features.{}.{}", (3, 2, 0, 1))
    top = {"classifier.0.weight": np.zeros((2, 25088), np.float32)}
    write_pth_zip(path, named | top)


def torchvision_legacy(path, arrays):
    kernels = TORCHVISION["vgg19" if "conv3_4.kernel" in arrays else "vgg16"]
    write_pth_legacy(path, renamed(arrays, kernels, "features.{}.{}", (3, 2, 0, 1)))


def normalised_legacy(path, arrays):
    kernel, bias = PREPROCESSING["caffe"]
    pixels = {"0.weight": kernel.T[:, :, None, None], "0.bias": bias}
    named = renamed(arrays, NORMALISED, "{}.{}", (3, 2, 0, 1))
    write_pth_legacy(path, pixels | named)


def gatys_zip(path, arrays):
    backbone = "vgg19" if "conv3_4.kernel" in arrays else "vgg16"
    named = renamed(arrays, network.convolutions(backbone), "{}.{}", (3, 2, 0, 1))
    write_pth_zip(path, named)


def matconvnet(path, arrays):
    write_mat(path, arrays)


def matconvnet_old(path, arrays):
    write_mat(path, arrays, old=True)


def torchvision_safetensors(path, arrays):
    named = renamed(arrays, TORCHVISION["vgg16"], "features.{}.{}", (3, 2, 0, 1))
    contiguous = {name: np.ascontiguousarray(array) for name, array in named.items()}
    safetensors.numpy.save_file(contiguous, path)


FORMATS = {
    "keras 3": (keras_3, ".weights.h5", "vgg16", "caffe"),
    "keras 3 with top": (keras_3_with_top, ".weights.h5", "vgg19", "caffe"),
    "keras 3 inside": (keras_3_inside, ".weights.h5", "vgg19", "caffe"),
    "keras 3 after another": (keras_3_after_another, ".h5", "vgg16", "caffe"),
    "keras zip": (keras_zip, ".keras", "vgg19", "caffe"),
    "keras zip with top": (keras_zip_with_top, ".keras", "vgg16", "caffe"),
    "keras published inside": (keras_published_inside, ".h5", "vgg16", "caffe"),
    "features": (torch_features, ".pth", "vgg16", "torch"),
    "features legacy": (torch_features_legacy, ".pth", "vgg19", "torch"),
    "features safetensors": (features_safetensors, ".safetensors", "vgg19", "torch"),
    "checkpoint": (checkpoint, ".pth.tar", "vgg19", "torch"),
    "checkpoint model": (checkpoint_model, ".ckpt", "vgg16", "torch"),
    "checkpoint odd": (checkpoint_odd, ".bin", "vgg16", "torch"),
    "slices": (torch_slices, ".pth", "vgg16", "torch"),
    "words": (torch_words, ".pth", "vgg19", "torch"),
    "twice": (torch_twice, ".pth", "vgg16", "torch"),
    "keras published": (keras_published, ".h5", "vgg19", "caffe"),
    "keras with top": (keras_with_top, ".h5", "vgg16", "caffe"),
    "keras tensorflow 2": (keras_tensorflow_2, ".h5", "vgg16", "caffe"),
    "keras 3 whole model": (keras_3_whole_model, ".hdf5", "vgg19", "caffe"),
    "torchvision zip": (torchvision_zip, ".pth", "vgg19", "torch"),
    "torchvision zip 16": (torchvision_zip, ".pth", "vgg16", "torch"),
    "torchvision legacy": (torchvision_legacy, ".pt", "vgg19", "torch"),
    "torchvision legacy 16": (torchvision_legacy, ".pth", "vgg16", "torch"),
    "normalised": (normalised_legacy, ".pth", "vgg19", "caffe"),
    "gatys": (gatys_zip, ".pth", "vgg19", "caffe"),
    "matconvnet": (matconvnet, ".mat", "vgg19", "caffe"),
    "matconvnet old": (matconvnet_old, ".mat", "vgg16", "caffe"),
    "torchvision safetensors": (
        torchvision_safetensors,
        ".safetensors",
        "vgg16",
        "torch",
    ),
}


@pytest.fixture(scope="module")
def published():
    return {backbone: random_arrays(backbone) for backbone in ("vgg16", "vgg19")}


@pytest.mark.parametrize("form", FORMATS)
def test_others_files_give_the_arrays_they_were_made_of(form, published, tmp_path):
    make, suffix, backbone, preprocessing = FORMATS[form]
    path = tmp_path / f"file{suffix}"
    make(path, published[backbone])
    found = read_network(path)
    path.unlink()  # pytest keeps the folders of several runs
    assert found.provenance["backbone"] == backbone
    assert found.provenance["preprocessing"] == preprocessing
    assert found.provenance["source"] == f"file{suffix}"
    assert found.arrays.keys() - published[backbone].keys() == {
        "preprocess.kernel",
        "preprocess.bias",
    }
    for name, array in published[backbone].items():
        np.testing.assert_array_equal(found.arrays[name], array, err_msg=name)
        assert found.arrays[name].dtype == np.float32


@pytest.mark.parametrize("channels", [4, 7])
def test_our_own_npz_may_hold_a_narrow_network(channels, tmp_path):
    arrays = own_arrays(channels)
    np.savez(tmp_path / "tiny.npz", **arrays)
    found = read_network(tmp_path / "tiny.npz")
    assert found.provenance["preprocessing"] == "torch"
    np.testing.assert_array_equal(
        found.arrays["conv5_4.kernel"], arrays["conv5_4.kernel"]
    )


def test_others_formats_may_not_hold_a_narrow_network(tmp_path):
    keras_published(tmp_path / "tiny.h5", random_arrays("vgg19", channels=4))
    with pytest.raises(
        ValueError, match=r"block1_conv1_W_1:0' has shape \[3, 3, 3, 4\]"
    ):
        read_network(tmp_path / "tiny.h5")


def test_caffes_numbers_under_torchvisions_names_get_caffes_preprocessing(
    published, tmp_path
):
    biases = {f"{k}.bias": bias for k, bias in network.original_biases().items()}
    torchvision_zip(tmp_path / "caffe.pth", published["vgg19"] | biases)
    assert read_network(tmp_path / "caffe.pth").provenance["preprocessing"] == "caffe"


def test_an_unknown_suffix_is_refused_with_those_that_are_known(tmp_path):
    (tmp_path / "weights.onnx").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"weights.onnx: unknown format.*\.h5.*\.pth"):
        read_network(tmp_path / "weights.onnx")


def test_each_row_of_the_readers_has_a_suffix_in_lower_case():
    assert all(s.startswith(".") and s == s.lower() for s in readers.READERS)


def test_a_file_that_is_of_another_network_is_refused(tmp_path):
    write_pth_zip(tmp_path / "other.pth", {"layer1.0.conv1.weight": np.ones((2, 2))})
    with pytest.raises(ValueError, match="no arrays of a VGG.*layer1.0.conv1.weight"):
        read_network(tmp_path / "other.pth")


def test_a_packed_matconvnet_file_is_read_and_a_bomb_of_one_is_not(tmp_path):
    arrays = own_arrays()
    rows = [{"name": "conv1_1", "type": "conv", "weights": _cell([arrays[k] for k in
            ("conv1_1.kernel", "conv1_1.bias")])}]  # fmt: skip
    path = tmp_path / "packed.mat"
    scipy.io.savemat(path, {"other": 1, "layers": _cell(rows)}, do_compression=True)
    found = {name: load() for name, load in readers.read_mat(path).items()}
    np.testing.assert_array_equal(found["conv1_1/filters"], arrays["conv1_1.kernel"])
    np.testing.assert_array_equal(found["conv1_1/biases"], arrays["conv1_1.bias"])
    scipy.io.savemat(path, {"layers": np.zeros(10**6)}, do_compression=True)
    with pytest.raises(ValueError, match="swells"):
        readers.read_mat(path)
