"""Hostile and damaged files of Keras: HDF5 that names other files, and zips."""

import io
import zipfile

import h5py
import numpy as np
import pytest
import test_weights_formats as formats
from test_weights_damage import refusal, start_of

from jnst.weights.h5_files import read_h5, read_keras

FIRST = "layers/conv2d/vars/0"
KERNEL = (3, 3, 3, 64)


def test_arrays_of_a_keras_zip_are_those_of_the_file_inside(tmp_path):
    arrays = formats.random_arrays("vgg16", channels=2)
    formats.keras_3_with_top(tmp_path / "a.h5", arrays)
    formats.keras_zip_with_top(tmp_path / "a.keras", arrays)
    plain, inside = read_h5(tmp_path / "a.h5"), read_keras(tmp_path / "a.keras")
    assert plain.keys() == inside.keys()
    for name, load in plain.items():
        assert load.shape == inside[name].shape
        np.testing.assert_array_equal(load(), inside[name](), err_msg=name)


def test_numbers_that_lie_in_another_file_are_not_read(tmp_path):
    (tmp_path / "secret").write_bytes(bytes(4 * 9 * 3 * 64))
    with h5py.File(tmp_path / "external.h5", "w") as file:
        place = [(str(tmp_path / "secret"), 0, 4 * 9 * 3 * 64)]
        file.create_dataset(FIRST, KERNEL, "f4", external=place)
    assert "lie in another file" in refusal(tmp_path / "external.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["a"] = np.zeros(KERNEL, np.float32)
    layout = h5py.VirtualLayout(KERNEL, "f4")
    layout[...] = h5py.VirtualSource(str(tmp_path / "other.h5"), "a", KERNEL)
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        file.create_virtual_dataset(FIRST, layout)
    assert "lie in another file" in refusal(tmp_path / "virtual.h5")


def test_links_to_other_files_are_not_followed(tmp_path):
    formats.keras_3(tmp_path / "other.h5", formats.random_arrays("vgg16", channels=2))
    with h5py.File(tmp_path / "link.h5", "w") as file:
        file["layers"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "layers")
    assert "holds no arrays of a VGG" in refusal(tmp_path / "link.h5")


@pytest.mark.parametrize(
    "claim",
    [
        {"shape": (10**5, 10**5, 10, 10), "chunks": True},
        {"shape": (2**60,), "chunks": (2**10,)},
        {"shape": KERNEL, "maxshape": (None,) * 4, "chunks": (3, 3, 3, 2**21)},
    ],
    ids=str,
)
@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_absurd_sizes_are_refused_before_anything_is_read(claim, suffix, tmp_path):
    def make(path, _):
        with h5py.File(path, "w") as file:
            file.create_dataset(FIRST, dtype="f4", compression="gzip", **claim)

    path = tmp_path / f"bomb{suffix}"
    make(path, {}) if suffix == ".h5" else formats.zipped(path, make, {})
    assert "too large" in refusal(path)


@pytest.mark.parametrize(
    "dtype", ["V1000000", "S1000000", h5py.string_dtype(), h5py.vlen_dtype("f4")]
)
def test_what_is_no_number_is_refused(dtype, tmp_path):
    with h5py.File(tmp_path / "odd.h5", "w") as file:
        file.create_dataset(FIRST, KERNEL, dtype, chunks=(1, 1, 1, 1))
    assert "holds no numbers" in refusal(tmp_path / "odd.h5")


def test_a_compressed_keras_zip_is_refused(tmp_path):
    path = tmp_path / "bomb.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", bytes(10**7))
    assert path.stat().st_size < 10**5
    assert "compressed" in refusal(path)


@pytest.mark.parametrize(
    "name",
    ["../model.weights.h5", "/model.weights.h5", "a/model.weights.h5", "config.json"],
)
def test_a_zip_without_the_weights_at_their_place_is_refused(name, tmp_path):
    inner = io.BytesIO()
    with h5py.File(inner, "w") as file:
        file[FIRST] = np.zeros(KERNEL, np.float32)
    with zipfile.ZipFile(tmp_path / "odd.keras", "w") as archive:
        archive.writestr(name, inner.getvalue())
    assert "without Keras' model.weights.h5" in refusal(tmp_path / "odd.keras")
    assert [path.name for path in tmp_path.iterdir()] == ["odd.keras"]


def test_entries_with_names_of_other_places_are_left_alone(tmp_path):
    formats.keras_zip(tmp_path / "odd.keras", start_of("keras zip"))
    with zipfile.ZipFile(tmp_path / "odd.keras", "a") as archive:
        archive.writestr("../outside.txt", "x")
        archive.writestr("assets/../../outside.txt", "x")
    assert "no array 'layers/conv2d_4/vars/0'" in refusal(tmp_path / "odd.keras")
    assert not (tmp_path.parent / "outside.txt").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["odd.keras"]


def test_a_damaged_number_in_a_keras_zip_is_refused(tmp_path):
    path = tmp_path / "flipped.keras"
    formats.keras_zip(path, start_of("keras zip"))
    content = bytearray(path.read_bytes())
    content[50_000] ^= 1
    path.write_bytes(content)
    assert "not a whole zip file (Bad CRC-32" in refusal(path)


def test_an_entry_whose_sizes_differ_is_refused(tmp_path):
    path = tmp_path / "sizes.keras"
    formats.keras_zip(path, start_of("keras zip"))
    content = bytearray(path.read_bytes())
    # The last entry of the central directory; its size lies 24 bytes in.
    directory = content.rindex(b"PK\x01\x02")
    content[directory + 27] |= 0x40
    path.write_bytes(content)
    assert "size of model.weights.h5" in refusal(path)


def test_hdf5_cut_short_inside_a_whole_zip_is_refused(tmp_path):
    formats.keras_3(tmp_path / "a.h5", start_of("keras 3"))
    content = (tmp_path / "a.h5").read_bytes()
    for kept in (10, 1000, len(content) // 2, len(content) - 1):
        with zipfile.ZipFile(tmp_path / "cut.keras", "w") as archive:
            archive.writestr("model.weights.h5", content[:kept])
            archive.writestr("after", content)  # no byte of which may be read
        assert "not a whole HDF5 file" in refusal(tmp_path / "cut.keras")
