"""Every format is read; also the makers of files that the other tests damage."""

import base64
import collections
import struct
import zipfile
import zlib

import h5py
import numpy as np
import pytest
import safetensors.numpy
import scipy.io

from jnst.weights import PREPROCESSING, network, read_network, readers, torch_files

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


def _text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def _numbers(values):
    return b"(" + b"".join(b"J" + struct.pack("<i", n) for n in values) + b"t"


def state_dict_pickle(arrays, legacy, storage="ctorch\nFloatStorage\n"):
    """The pickle that PyTorch makes of a state dict, opcode by opcode."""
    out = b"\x80\x02ccollections\nOrderedDict\n)R("
    for key, (name, array) in enumerate(arrays.items()):
        strides = [
            step // array.itemsize for step in np.empty(array.shape, "f4").strides
        ]
        out += _text(name) + b"ctorch._utils\n_rebuild_tensor_v2\n(("
        out += _text("storage") + storage.encode() + _text(str(key)) + _text("cpu")
        out += b"J" + struct.pack("<i", array.size) + (b"N" if legacy else b"") + b"tQ"
        out += b"K\x00" + _numbers(array.shape) + _numbers(strides)
        out += b"\x89ccollections\nOrderedDict\n)RtR"
    return out + b"u."


def write_pth_zip(path, arrays):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", state_dict_pickle(arrays, legacy=False))
        archive.writestr("archive/byteorder", "little")
        for key, array in enumerate(arrays.values()):
            archive.writestr(
                f"archive/data/{key}", np.ascontiguousarray(array).tobytes()
            )


LEGACY_HEAD = (
    b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
    b"\x80\x02M\xe9\x03."
    b"\x80\x02}(X\x10\x00\x00\x00protocol_versionM\xe9\x03X\r\x00\x00\x00little_endian\x88u."
)


def write_pth_legacy(path, arrays):
    with open(path, "wb") as file:
        file.write(LEGACY_HEAD + state_dict_pickle(arrays, legacy=True))
        keys = b"".join(_text(str(key)) for key in range(len(arrays)))
        file.write(b"\x80\x02](" + keys + b"e.")
        for array in arrays.values():
            file.write(struct.pack("<q", array.size))
            file.write(np.ascontiguousarray(array).tobytes())


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


# What torch.save of torch 2.13 wrote of {"a": arange(12.).reshape(3, 4).T[1:],
# "b": half [1.5, -2], "p": Parameter(ones(2))}, zip and legacy, compressed by zlib.
WRITTEN_BY_TORCH = {
    "zip": (
        "eNqlVctu00AUnTjPmpKkpW9KKayCBKkT5+FSaFoLGSQvSIOQqm4sN3EbCzfOOJPykJAioRbYIQQSKwQf"
        "gFjCsr/AojsWSKxgwyfAjKd1bVdJRDvyzdjRnHPPeO65LsvBEACxGDg2kmAYqFa1rm9rczUVqenmA0MS"
        "42DNMzpMtWoahlZFutlosXetmmZptVt6FbEQXKnAQGo1gMlUyFSRidnSShvpRotVLG29rRs1BWmNlmkp"
        "21kWBlOp1She3MIr1U0NhiiElQxTRffonywM24QcjKwG8VxttmFUHkQwtiIH5KAc3IUD+Ca0C9mXdSLg"
        "DIKDFXjWBq3DeB0nqR8S31GNDYc3YS/JwGQ9KjMIDq3IQGZ24LAc2IHnKNcIgqMVOGYvbMLxLjtqqpa6"
        "pSHNYuEETVenmrNwknJPHXCfJ9zTlPsCgjMVePGF/TD7HF6qwMvtdFmOxt5+/JRUMJ5EuetxjYNp57jS"
        "G6a1pSJlW7Na+FgkccJ3akcjQzJ8+fP9GRFIonuGKVA8ynBwRopq6JuNLa2BJJHvmqTHKOSIgNJD+IvB"
        "KZieAoZAyRGw/hhpJik2SVw4Sd7DYegIGRrRsHPz52QEZ4n01BAHix5XzHGSeP0UAihrp4R/lvCFo4Pj"
        "A449HD9wgGXsRRyzOLhlovTR041Fjnigj9IRr9KMJCaPKcXb2SOchf39N5gIhPpwLnk5s5J44zSvf43u"
        "vVMiGl6tRPZJ0lhPDQmw4GhwCrx4UhE8SzJ/e795v3/9zYDskQHs7bc0S8cOeKKS7qfoNUlM/6cQTsjN"
        "5wRByBXnC3kuJxT5PJfhMwVe4Llcbj7PF4V8kRNsm462f6MU1pGyVQaIWEenu0kkjyn393E/2t0Axj3I"
        "zwHQra34SdwmnvIalwE9Ooefx23EIQ/PaxeP0wD8cLc74h74WBD4vOvHul3gxe75sRk/1l29XuxIyIfN"
        "+rHu+kt4sO9c2C7v3V0WMx7wcBj0KdiyHIlcPSzv4DUHOeCbbzN0/hqmM8aRLzX4G6XP9MsRjlDMgL2e"
        "rv0HpYDO2A=="
    ),
    "legacy": (
        "eNp1kctu1DAUhp3LdMBMy3CnXAdWYTMaJjNp2QCVUIVkcWnYeFNFacY0QSbOcZxKIFWaTUvhGViw5DH6"
        "KGx5BCQWnEyGAtJg+bfs4+Pz/ban9icqf37e/NF78/Xlan9qP/vu4LgPxONdQkihlVGJktGe0GWmcrAw"
        "gS/jjsyMkSIS+SSLc7CPOMWgeVeIqMzeixKcfXA93sJgmSptoMVs7uAqyw0sMZe7dQ2V70KbuVWFzAQx"
        "UiQGKSV9oSdCi8mTLDEUyL0QLI9beCIGOzFKJ2k/qkwmSxppsVNlchIZkZdKR3tDCo7n8XYNxsx4V4Db"
        "HKGbUsXmVROk0OIrmPNg5K+NgtG67/vDYARLM49JUaGtznMDp7aYxRzmHMJpnLiHQD+mtZ0zBjohLM88"
        "7cBKisj0N+ZpLF+fUM7+oYyD+8H6wB8OoJu2mY3Vz20xwuwDOM+sA7jQVL5o4FIIl2eVC7jyn9sWsY7f"
        "CiM0hasNPG39Q1rzx2M/gNU56dqcdL0m3WhINw3cCuH20WzR+wB3Qrhbf8R2/fkLXFuLAPaiV3RE3ybz"
        "9pAcn8zJ9FGtDvm71THyGDtqivqCOkZ9Q5ENQrqoHmqw8Qvl9ayB"
    ),
}


@pytest.mark.parametrize("form", WRITTEN_BY_TORCH)
def test_what_pytorch_itself_wrote_is_read(form, tmp_path):
    path = tmp_path / "real.pth"
    path.write_bytes(zlib.decompress(base64.b64decode(WRITTEN_BY_TORCH[form])))
    found = {name: load() for name, load in torch_files.read_torch(path).items()}
    expected = np.arange(12, dtype=np.float32).reshape(3, 4).T[1:]
    np.testing.assert_array_equal(found["a"], expected)
    np.testing.assert_array_equal(found["b"], np.array([1.5, -2], np.float16))
    np.testing.assert_array_equal(found["p"], np.ones(2, np.float32))


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


def test_a_nested_state_dict_that_holds_itself_comes_to_an_end():
    tree = {"a": 1, "inner": collections.OrderedDict(b=2)}
    tree["self"] = tree
    assert readers.leaves(tree) == {"a": 1, "inner.b": 2}
