"""PyTorch's two formats, as PyTorch wrote them; also their makers, without PyTorch."""

import base64
import collections
import struct
import zipfile
import zlib

import numpy as np
import pytest

from jnst.weights import pickles, torch_files


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def numbers(values):
    return b"(" + b"".join(b"J" + struct.pack("<i", n) for n in values) + b"t"


def state_dict_pickle(arrays, legacy, storage="ctorch\nFloatStorage\n"):
    """The pickle that PyTorch makes of a state dict, opcode by opcode."""
    out = b"\x80\x02ccollections\nOrderedDict\n)R("
    for key, (name, array) in enumerate(arrays.items()):
        strides = [
            step // array.itemsize for step in np.empty(array.shape, "f4").strides
        ]
        out += text(name) + b"ctorch._utils\n_rebuild_tensor_v2\n(("
        out += text("storage") + storage.encode() + text(str(key)) + text("cpu")
        out += b"J" + struct.pack("<i", array.size) + (b"N" if legacy else b"") + b"tQ"
        out += b"K\x00" + numbers(array.shape) + numbers(strides)
        out += b"\x89ccollections\nOrderedDict\n)RtR"
    return out + b"u."


def checkpoint_pickle(arrays, key):
    """What a training loop saves: a state dict under a key, and other things."""
    inner = state_dict_pickle(arrays, legacy=False)[2:-1]
    return b"\x80\x02}(" + text("epoch") + b"K\x03" + text(key) + inner + b"u."


def write_pth_zip(path, arrays, *, key=None):
    pickled = state_dict_pickle(arrays, legacy=False)
    pickled = checkpoint_pickle(arrays, key) if key else pickled
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
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
        keys = b"".join(text(str(key)) for key in range(len(arrays)))
        file.write(b"\x80\x02](" + keys + b"e.")
        for array in arrays.values():
            file.write(struct.pack("<q", array.size))
            file.write(np.ascontiguousarray(array).tobytes())


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


def test_a_nested_state_dict_that_holds_itself_comes_to_an_end():
    tree = {"a": 1, "inner": collections.OrderedDict(b=2)}
    tree["self"] = tree
    assert pickles.leaves(tree) == {"a": 1, "inner.b": 2}


def tensor_file(path, *, key="0", count=8, offset=0, shape=(2, 4), stride=(4, 1)):
    """A legacy file of one tensor, with 8 numbers in its storage."""
    head = b"\x80\x02}" + text("a") + b"ctorch._utils\n_rebuild_tensor_v2\n(("
    pid = text("storage") + b"ctorch\nFloatStorage\n" + text(key)
    pid += text("cpu") + b"\x8a\x08" + struct.pack("<q", count) + b"NtQ"
    rest = b"J" + struct.pack("<i", offset) + numbers(shape)
    rest += numbers(stride) + b"\x89NtRs."
    keys = b"\x80\x02]" + text("0") + b"a."
    content = struct.pack("<q", 8) + np.arange(8, dtype="<f4").tobytes()
    path.write_bytes(LEGACY_HEAD + head + pid + rest + keys + content)
    return torch_files.read_torch(path)["a"]


def test_strides_and_offset_inside_the_storage_are_followed(tmp_path):
    load = tensor_file(tmp_path / "a.pth", offset=1, shape=(3, 2), stride=(1, 3))
    np.testing.assert_array_equal(load(), [[1, 4], [2, 5], [3, 6]])


@pytest.mark.parametrize(
    "changes",
    [
        {"offset": 1},
        {"offset": -1},
        {"stride": (5, 1)},
        {"stride": (-4, 1)},
        {"shape": (2, 4, 1)},
        {"shape": (-2, -4)},
        {"shape": (2**30, 2**30), "stride": (0, 0)},
        {"shape": (9,), "stride": (0,)},
        {"count": 9},
        {"count": 2**39},
        {"count": 2**62},
        {"count": -8},
        {"key": "1"},
        {"shape": (0, 4)},
    ],
    ids=str,
)
def test_a_tensor_outside_its_storage_is_refused(changes, tmp_path):
    load = tensor_file(tmp_path / "a.pth", **changes)
    with pytest.raises(ValueError, match=r"array 'a'|storage '1'"):
        load()
