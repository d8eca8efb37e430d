"""Weights that no run could use, through the command line."""

import json
import os
import pickle
import struct
import zipfile

import h5py
import numpy as np
import pytest
import safetensors.numpy
import test_weights_formats as formats
from refusals import refused
from test_cli import pictures, run, tiny_file  # noqa: F401
from test_weights_pickles import Payload, write_bare, write_legacy, write_zip
from tiny import tiny_params

from jnst.weights import save_weights

OWN = formats.own_arrays()
ESCAPE = "\x1b]0;owned\x07\x1b[31m"


def of_bytes(data):
    return lambda path: path.write_bytes(data)


def plain(change):
    """A file of ours, of arrays that a function changes."""

    def make(path):
        arrays = dict(OWN)
        change(arrays)
        safetensors.numpy.save_file(
            {k: np.ascontiguousarray(v) for k, v in arrays.items()}, path
        )

    return make


def other(name, values):
    return plain(lambda arrays: arrays.update({name: values(arrays[name])}))


def cut(part, make=None):
    def made(path):
        (make or plain(lambda arrays: None))(path)
        path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])

    return made


def header(document, data=b""):
    """A safetensors file with a header of any kind."""
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    return of_bytes(struct.pack("<Q", len(text)) + text + data)


def tensor(**fields):
    return {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4], **fields}}


def pickled(value, write, protocol=2):
    return lambda path: write(path, pickle.dumps(value, protocol))


def deep(write):
    return lambda path: write(path, b"\x80\x02" + b"]" * 10**5 + b"a" * 99_999 + b".")


def archive(entries, method=zipfile.ZIP_DEFLATED):
    def make(path):
        with zipfile.ZipFile(path, "w", method) as made:
            for name, data in entries.items():
                made.writestr(name, data)

    return make


def linked(path):
    with h5py.File(path, "w") as file:
        file["block1_conv1"] = h5py.ExternalLink("/etc/hostname", "/")
        file["block1_conv2"] = h5py.SoftLink("/block1_conv2")


def elsewhere(path):
    with h5py.File(path, "w") as file:
        group = file.create_group("block1_conv1")
        where = [("/etc/passwd", 0, 108)]
        name = "block1_conv1_W_1:0"
        group.create_dataset(name, (3, 3, 3, 1), "f4", external=where)


def absurd(path):
    with h5py.File(path, "w") as file:
        name = "block1_conv1/block1_conv1_W_1:0"
        file.create_dataset(name, (10**6, 10**6, 10, 10), "f4", chunks=True)


def wide(path):
    arrays = {k: v for k, v in OWN.items()}
    arrays["conv1_1.kernel"] = np.zeros((3, 3, 3, 5), np.float32)
    np.savez(path, **arrays)


def bomb_npz(path):
    head = np.lib.format
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name in ("conv1_1.kernel", "preprocess.kernel"):
            with made.open(f"{name}.npy", "w") as file:
                shape = {"descr": "<f4", "fortran_order": False, "shape": (2**27,)}
                head.write_array_header_1_0(file, shape)
                for _ in range(40):
                    file.write(bytes(2**22))


LAUGHS = b"\x80\x02]q\0" + b"".join(
    b"](" + bytes([104, n]) * 10 + b"e" + bytes([113, n + 1]) for n in range(60)
)
SYSTEM = Payload("touch ran")

FILES = {
    # Name: (ending, what makes the file, words of the line).
    "empty": (".safetensors", of_bytes(b""), ""),
    "text": (".safetensors", of_bytes(b"hello " * 99), "not a whole safetensors"),
    "cut at a tenth": (".safetensors", cut(0.1), "not a whole safetensors"),
    "cut at nine tenths": (".safetensors", cut(0.9), "not a whole safetensors"),
    "a header of 2^62 bytes": (".safetensors", of_bytes(b"\xff" * 7 + b"?{}"), ""),
    "a header of no JSON": (".safetensors", header(b"{" * 99), ""),
    "a header of deep lists": (".safetensors", header(b'{"a":' * 10**5), ""),
    "numbers beyond the file": (
        ".safetensors",
        header(tensor(shape=[2**40], data_offsets=[0, 2**42])),
        "not a whole safetensors",
    ),
    "numbers that lie in each other": (
        ".safetensors",
        header({**tensor(), "b": tensor()["a"]}, bytes(4)),
        "not a whole safetensors",
    ),
    "a shape below none": (".safetensors", header(tensor(shape=[-1]), bytes(4)), ""),
    "a type that is none": (".safetensors", header(tensor(dtype="F31"), bytes(4)), ""),
    "a path for a name": (
        ".safetensors",
        header({"../../etc/passwd": tensor()["a"]}, bytes(4)),
        "no arrays of a VGG",
    ),
    "an escape for a name": (
        ".safetensors",
        header({ESCAPE: tensor()["a"]}, bytes(4)),
        "no arrays of a VGG",
    ),
    "NaN": (
        ".safetensors",
        other("conv1_2.bias", lambda a: a * np.float32("nan")),
        "'conv1_2.bias' holds NaN",
    ),
    "infinity": (
        ".safetensors",
        other("conv1_2.bias", lambda a: a + np.float32("inf")),
        "'conv1_2.bias' holds NaN or infinity",
    ),
    "integers": (
        ".safetensors",
        other("conv1_2.bias", lambda a: a.astype(np.int32)),
        "'conv1_2.bias' is int32",
    ),
    "another shape": (
        ".safetensors",
        other("conv1_2.kernel", lambda a: a[:, :, :-1].copy()),
        "'conv1_2.kernel' has shape",
    ),
    "an array too few": (
        ".safetensors",
        plain(lambda arrays: arrays.pop("conv3_1.kernel")),
        "no array 'conv3_1.kernel'",
    ),
    "an array too many": (
        ".safetensors",
        plain(lambda arrays: arrays.update(extra=np.ones(3, np.float32))),
        "'extra' is not part",
    ),
    "an array of escapes": (
        ".safetensors",
        plain(lambda arrays: arrays.update({ESCAPE: np.ones(3, np.float32)})),
        "owned",
    ),
    "another network": (
        ".pth",
        lambda path: formats.write_pth_zip(
            path, {"layer1.0.conv1.weight": np.zeros((64, 64, 3, 3), "f4")}
        ),
        "no arrays of a VGG",
    ),
    "a narrow one of another's": (
        ".pth",
        lambda path: formats.write_pth_zip(path, {"features.0.weight": np.ones(3)}),
        "",
    ),
    "a network half of ours": (".npz", wide, "conv1_"),
    "a command in a zip": (".pth", pickled(SYSTEM, write_zip), "posix.system"),
    "a command in a legacy file": (
        ".pth",
        pickled({"a": [SYSTEM]}, write_legacy),
        "posix.system",
    ),
    "a command alone": (".pt", pickled(SYSTEM, write_bare), "posix.system"),
    "a command deep inside": (
        ".ckpt",
        pickled([[[({"a": (SYSTEM,)},)]]], write_zip),
        "posix.system",
    ),
    "a call of eval": (".pth", of_bytes(b"cbuiltins\neval\n(V1\ntR."), "builtins.eval"),
    "a name of escapes": (
        ".pth",
        lambda path: write_zip(path, f"c{ESCAPE}\nx\n.".encode()),
        "owned",
    ),
    "lists in lists": (".pth", deep(write_zip), ""),
    "lists in lists, legacy": (".pth", deep(write_legacy), ""),
    "a billion laughs": (".pth", lambda path: write_zip(path, LAUGHS + b"."), ""),
    "a pickle that ends": (".pth", lambda path: write_zip(path, b"\x80\x02]"), ""),
    "a pickle of 2^60 bytes": (
        ".pth",
        lambda path: write_zip(path, b"\x80\x04\x8e" + b"\xff" * 7 + b"\x0fx."),
        "",
    ),
    "a place in the memo of 2^31": (
        ".pth",
        lambda path: write_zip(path, b"\x80\x02]r\xff\xff\xff\x7f."),
        "no arrays of a VGG",
    ),
    "a number of 10^6 digits": (
        ".pth",
        lambda path: write_zip(path, b"I" + b"9" * 10**6 + b"\n."),
        "",
    ),
    "a zip of something else": (".pth", archive({"a.txt": "hello"}), "data.pkl"),
    "a zip bomb": (
        ".pth",
        archive({"a/data.pkl": b"\x80\x02}.", "a/data/0": bytes(10**8)}),
        "compressed",
    ),
    "a bomb of a pickle": (".pth", archive({"a/data.pkl": bytes(10**8)}), "data.pkl"),
    "a bomb of arrays": (".npz", bomb_npz, "too large"),
    "an array of objects": (
        ".npz",
        lambda path: np.savez(path, **{"conv1_1.kernel": np.array([SYSTEM], object)}),
        "",
    ),
    "a zip cut short": (".npz", cut(0.5, lambda path: np.savez(path, **OWN)), ""),
    "HDF5 cut short": (
        ".h5",
        cut(0.5, lambda path: formats.keras_published(path, START)),
        "not a whole HDF5",
    ),
    "links to other files": (".h5", linked, "no arrays of a VGG"),
    "numbers in another file": (".h5", elsewhere, "block1_conv1"),
    "an absurd shape": (".h5", absurd, "block1_conv1"),
    "Keras' zip of nothing": (
        ".keras",
        archive({"config.json": "{}"}),
        "model.weights",
    ),
    "Keras' zip that is compressed": (
        ".keras",
        archive({"model.weights.h5": bytes(10**8)}),
        "compressed",
    ),
    "MATLAB's text": (".mat", of_bytes(b"MATLAB 5.0 MAT-file" + bytes(200)), ""),
    "MATLAB's of nothing": (
        ".mat",
        lambda path: formats.scipy.io.savemat(path, {"a": 1}),
        "MatConvNet",
    ),
    "an ending of none": (".onnx", of_bytes(b"x"), "unknown format"),
    "a picture": (".png", of_bytes(b"\x89PNG\r\n\x1a\n"), "unknown format"),
    "missing": (".pth", lambda path: None, "not found"),
    "a folder": (".pth", lambda path: path.mkdir(), ""),
    "a pipe": (".safetensors", lambda path: os.mkfifo(path), ""),
    "a device": (".pth", lambda path: path.symlink_to("/dev/zero"), ""),
}
START = {
    k: v for k, v in formats.random_arrays("vgg19").items() if k.startswith("conv1")
}


@pytest.mark.parametrize("name", FILES)
def test_weights_are_refused(name, capsys, pictures, monkeypatch):  # noqa: F811
    monkeypatch.setenv("XDG_CACHE_HOME", str(pictures / "cache"))
    ending, make, words = FILES[name]
    make(pictures / f"bad{ending}")
    usual = ("stylize", "content.png", "style.png", "-o", "out.png", "--size", "32")
    arguments = (*usual, "--weights", f"bad{ending}")
    refused(capsys, pictures, arguments, f"bad{ending}", words)
    assert not (pictures / "ran").exists()


@pytest.mark.parametrize("command", ["verify", "convert", "path"])
@pytest.mark.parametrize("name", ["cut at nine tenths", "NaN", "a command in a zip"])
def test_commands_of_weights_refuse(name, command, capsys, pictures, monkeypatch):  # noqa: F811
    monkeypatch.setenv("XDG_CACHE_HOME", str(pictures / "cache"))
    ending, make, words = FILES[name]
    make(pictures / f"bad{ending}")
    more = ("-o", "w.safetensors") if command == "convert" else ()
    arguments = ("weights", command, f"bad{ending}", *more)
    refused(capsys, pictures, arguments, f"bad{ending}", words)


@pytest.mark.usefixtures("quicker_compile")
def test_what_weights_say_of_themselves_reaches_no_terminal(run, pictures, tmp_path):  # noqa: F811
    path = tmp_path / "own.safetensors"
    save_weights(tiny_params(), path, title=f"mine{ESCAPE}", licence=ESCAPE)
    code, out, err = run("weights", "verify", path, weights=False)
    assert code == 0 and "mine" in out and "\x1b" not in out + err
    arguments = ("stylize", "content.png", "style.png", "-o", "o.png", "--size", "32")
    fields = ("--set", "style_layers=relu1_1", "--set", "style_layer_weights=1")
    few = (*fields, "--set", "content_layers=relu1_1", "--steps", "1")
    code, out, err = run(*arguments, *few, "--weights", path, weights=False)
    assert code == 0, err
    assert "mine" in err and "\x1b" not in out + err and "\x07" not in err
