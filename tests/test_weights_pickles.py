"""A file of weights never runs code, whatever is in it."""

import os
import pickle
import random
import re
import zipfile

import numpy as np
import pytest
import test_weights_torch_files as made

from jnst.weights import pickles, read_network, torch_files


class Payload:
    """Runs a shell command wherever it is unpickled without restraint."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def write_zip(path, pickled):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)


def write_legacy(path, pickled):
    path.write_bytes(made.LEGACY_HEAD + pickled + b"\x80\x02].")


def write_bare(path, pickled):
    path.write_bytes(pickled)


@pytest.mark.parametrize("write", [write_zip, write_legacy, write_bare])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_would_run_a_command_is_refused(write, protocol, tmp_path):
    trace = tmp_path / "ran"
    pickled = pickle.dumps({"features.0.weight": Payload(f"touch {trace}")}, protocol)
    pickle.loads(pickled)
    assert trace.exists()  # the payload works...
    trace.unlink()
    write(tmp_path / "evil.pth", pickled)
    with pytest.raises(ValueError, match="evil.pth: refused.*'posix.system'") as caught:
        read_network(tmp_path / "evil.pth")
    assert "\n" not in str(caught.value)
    assert not trace.exists()  # ... but not here


@pytest.mark.parametrize(
    "name",
    [
        "builtins\neval",
        "torch\nload",
        "torch._utils\n_rebuild_tensor",
        "torch.serialization\nload",
        "numpy\nndarray",
        "collections\nOrderedDict.fromkeys",
        "functools\npartial",
    ],
)
def test_only_the_names_that_weights_need_are_known(name, tmp_path):
    write_zip(tmp_path / "file.pth", f"c{name}\n.".encode())
    with pytest.raises(ValueError, match=re.escape(name.replace("\n", "."))):
        read_network(tmp_path / "file.pth")


def test_names_by_memo_and_stack_are_refused_too(tmp_path):
    stack_global = b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R."
    write_zip(tmp_path / "file.pth", stack_global)
    with pytest.raises(ValueError, match=r"'os\.system'"):
        read_network(tmp_path / "file.pth")


def test_a_pickle_cannot_change_the_functions_it_is_given(tmp_path):
    # BUILD with (None, {"__defaults__": ()}) sets attributes on the global before it.
    build = b"ctorch._utils\n_rebuild_tensor_v2\n(N}X\x08\x00\x00\x00__kept__K\x01stb."
    write_zip(tmp_path / "file.pth", build)
    with pytest.raises(ValueError, match="no arrays of a VGG"):
        read_network(tmp_path / "file.pth")
    assert not hasattr(
        pickles.torch_name("torch._utils", "_rebuild_tensor_v2"), "__kept__"
    )


def test_a_compressed_zip_file_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}.")
        archive.writestr("archive/data/0", bytes(10**7))
    with pytest.raises(ValueError, match="compressed"):
        read_network(tmp_path / "bomb.pth")


def test_big_endian_numbers_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "big.pth", "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}.")
        archive.writestr("archive/byteorder", b"big")
    with pytest.raises(ValueError, match="not little-endian"):
        read_network(tmp_path / "big.pth")


def test_a_dict_of_dicts_of_itself_does_not_hang(tmp_path):
    entries = b"".join(made.text(f"k{n}") + b"h\x00" for n in range(300))
    write_zip(tmp_path / "cycle.pth", b"\x80\x02}q\x00(" + entries + b"u.")
    with pytest.raises(ValueError, match="no arrays of a VGG"):
        read_network(tmp_path / "cycle.pth")


@pytest.mark.parametrize("write", [made.write_pth_zip, made.write_pth_legacy])
def test_damaged_bytes_raise_nothing_but_one_line(write, tmp_path):
    arrays = {f"features.{n}.weight": np.ones((2, 3), np.float32) for n in range(3)}
    write(tmp_path / "good.pth", arrays)
    good, chance = (tmp_path / "good.pth").read_bytes(), random.Random(0)
    read = 0
    for _ in range(1500):
        content = bytearray(good)
        for _ in range(chance.choice([1, 1, 2, 5])):
            content[chance.randrange(len(content))] = chance.randrange(256)
        del content[chance.choice([len(content), chance.randrange(len(content))]) :]
        (tmp_path / "bad.pth").write_bytes(content)
        try:
            loaders = torch_files.read_torch(tmp_path / "bad.pth")
            read += len([load() for load in loaders.values()])
        except ValueError as error:
            assert "\n" not in str(error)
    assert read > 0  # some damage hits only numbers, or names
