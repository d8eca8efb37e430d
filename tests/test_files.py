"""Files: atomic writing, checks of outputs, JSON, checksums."""

import errno
import hashlib
import json
import os
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from jnst import files


def test_an_atomic_write_puts_the_whole_file_in_place(tmp_path):
    path = tmp_path / "out.png"
    with files.atomic_write(path) as temporary:
        assert temporary.parent == tmp_path and temporary.suffix == ".png"
        temporary.write_bytes(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["out.png"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "out.txt"
    path.write_text("old")
    with pytest.raises(error), files.atomic_write(path) as temporary:
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["out.txt"]


def test_a_write_that_makes_no_file_fails(tmp_path):
    with pytest.raises(FileNotFoundError), files.atomic_write(tmp_path / "out.txt"):
        pass


def test_a_new_file_has_the_usual_permissions(tmp_path):
    files.write_json(tmp_path / "ours.json", {})
    (tmp_path / "usual").write_text("")
    assert (tmp_path / "ours.json").stat().st_mode == (
        tmp_path / "usual"
    ).stat().st_mode


def test_writing_through_a_symbolic_link_keeps_the_link(tmp_path):
    (tmp_path / "real.json").write_text("old")
    (tmp_path / "link.json").symlink_to("real.json")
    files.write_json(tmp_path / "link.json", [1])
    assert (tmp_path / "link.json").is_symlink()
    assert json.loads((tmp_path / "real.json").read_text()) == [1]


def test_a_good_output_passes_and_is_not_created(tmp_path):
    path = tmp_path / "out.PNG"
    files.check_output(path, suffixes=(".png", ".jpg"))
    files.check_output(str(path))
    assert not path.exists()


def test_an_existing_output_needs_overwrite(tmp_path):
    path = tmp_path / "out.png"
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="exists already; use --overwrite"):
        files.check_output(path)
    files.check_output(path, overwrite=True)


def one_line(info) -> str:
    message = str(info.value)
    assert message and "\n" not in message and "\x1b" not in message
    return message


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("out.bmp", "must end in one of .png, .jpg"),
        ("out", "must end in one of .png, .jpg"),
        ("missing/out.png", "no existing folder"),
        ("file.txt/out.png", "no existing folder"),
        ("folder.png", "is a folder"),
        ("broken.png", "exists already"),
        ("x" * 300 + ".png", "name too long"),
        ("nul\0.png", "null"),
        ("red\x1b[31m\n.bmp", r"red\x1b[31m\n.bmp"),
    ],
)
def test_a_bad_output_is_one_line_of_error(tmp_path, name, expected):
    (tmp_path / "file.txt").write_text("")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "broken.png").symlink_to("nowhere")
    with pytest.raises(ValueError) as info:
        files.check_output(tmp_path / name, suffixes=(".png", ".jpg"))
    assert expected in one_line(info).replace("Name too", "name too")


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    with pytest.raises(ValueError, match="cannot be written to"):
        files.check_output(tmp_path / "out.png")


def test_json_takes_arrays_and_scalars_and_turns_nan_into_null(tmp_path):
    document = {
        "loss": np.array([1.5, np.nan, np.inf], np.float32),
        "jax": jnp.ones((1, 2), jnp.bfloat16),
        "scalars": (np.float32(0.5), np.float64(-np.inf), np.int64(3), np.bool_(True)),
        "path": Path("a/b.png"),
        "nested": {"none": None, 7: [float("nan"), True, "é\n"]},
    }
    files.write_json(tmp_path / "out.json", document)
    text = (tmp_path / "out.json").read_text()
    assert text.endswith("}\n") and text.isascii()
    assert json.loads(text, parse_constant=pytest.fail) == {
        "loss": [1.5, None, None],
        "jax": [[1.0, 1.0]],
        "scalars": [0.5, None, 3, True],
        "path": "a/b.png",
        "nested": {"none": None, "7": [None, True, "é\n"]},
    }


def test_what_json_does_not_know_is_named_and_nothing_is_written(tmp_path):
    with pytest.raises(TypeError, match="cannot write set"):
        files.write_json(tmp_path / "out.json", {"a": {1}})
    assert os.listdir(tmp_path) == []


def test_the_checksum_is_that_of_the_bytes(tmp_path):
    data = np.random.default_rng(0).bytes(3_000_000)
    (tmp_path / "data").write_bytes(data)
    assert files.sha256_of(tmp_path / "data") == hashlib.sha256(data).hexdigest()


def test_a_full_disk_is_told_with_the_name_of_the_file(tmp_path):
    with pytest.raises(OSError) as info, files.atomic_write(tmp_path / "o.png") as path:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert info.value.filename == str(tmp_path / "o.png")
    assert list(tmp_path.iterdir()) == []
