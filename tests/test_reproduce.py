"""`jnst reproduce`: pictures made again from what they carry, bit for bit."""

import json

import numpy as np
import pytest
from PIL import Image
from tiny import picture, tiny_params

import jnst
from jnst.cli.main import main
from jnst.image import levels_of, read_metadata, save_image
from jnst.keep import by_hash, reproduce
from jnst.keep.told import read_document, read_told
from jnst.weights import save_weights

pytestmark = pytest.mark.usefixtures("quicker_compile")
SHALLOW = [
    "--set=style_layers=relu1_1,relu2_1",
    "--set=style_layer_weights=",
    "--set=content_layers=relu2_2",
    "--steps=2",
    "--size=26",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A content, two styles, a first image, and weights."""
    found = tmp_path_factory.mktemp("made")
    for seed, name in enumerate(("content", "one", "two", "first")):
        save_image(found / f"{name}.png", picture(24, 26, seed))
    save_weights(tiny_params(), found / "tiny.safetensors", title="tiny")
    return found


def made(folder, *words, command="stylize"):
    """Run the command; its picture and history."""
    out, history = folder / "out.png", folder / "out.json"
    names = ("content.png", "one.png", "two.png", "first.png", "tiny.safetensors")
    words = [str(folder / word) if word in names else word for word in words]
    words += ["-o", str(out), "--history", str(history), "--overwrite"]
    assert main([command, *SHALLOW, *words]) == 0
    return out, history


@pytest.fixture(scope="module")
def plain(folder):
    """A picture, its history, and its bytes."""
    words = ["content.png", "one.png", "--weights", "tiny.safetensors"]
    out, history = made(folder, *words)
    kept = folder / "plain"
    kept.mkdir()
    return out.rename(kept / "out.png"), history.rename(kept / "out.json")


def again(capsys, *words, code=0):
    """Reproduce; what was printed, or the one line of an error."""
    capsys.readouterr()  # of what made the picture
    assert main(["reproduce", *map(str, words)]) == code
    told = capsys.readouterr()
    if code == 2:
        assert "\n" not in told.err.strip() and not told.out
        return told.err
    return told.out


def test_a_picture_is_made_again_bit_for_bit(plain, folder, capsys):
    out, _ = plain
    text = again(capsys, out, "--inputs", folder)
    assert "largest pixel difference 0: equal bit for bit" in text
    assert "versions, device and weights are the same" in text
    assert f"content: {str(folder / 'content.png')!r}" in text


def test_inputs_are_found_by_hash_whatever_they_are_called(
    plain, folder, tmp_path, capsys
):
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    for name, other in (("content", "x"), ("one", "content")):
        (deep / f"{other}.png").write_bytes((folder / f"{name}.png").read_bytes())
    (deep / "vgg.safetensors").write_bytes((folder / "tiny.safetensors").read_bytes())
    made_again = tmp_path / "again.png"
    text = again(capsys, plain[0], "--inputs", tmp_path, "--json", "-o", made_again)
    found = json.loads(text)
    assert found["equal"] is True and found["largest_difference"] == 0
    assert [each["path"] for each in found["inputs"]] == [
        str(deep / "x.png"),
        str(deep / "content.png"),
    ]
    assert found["weights"]["then"] == found["weights"]["now"] != None  # noqa: E711
    kept = read_metadata(made_again)
    assert kept["recipe"] == read_metadata(plain[0])["recipe"]
    np.testing.assert_array_equal(levels_of(made_again), levels_of(plain[0]))


def test_what_is_missing_is_named_with_its_hash(plain, tmp_path, capsys):
    line = again(capsys, plain[0], "--inputs", tmp_path, code=2)
    about = read_metadata(plain[0])
    assert f"content 'content.png' (SHA-256 {about['content']['sha256']})" in line
    assert f"style 'one.png' (SHA-256 {about['styles'][0]['sha256']})" in line


def test_missing_weights_are_named_with_their_hash(plain, folder, tmp_path, capsys):
    for name in ("content.png", "one.png"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    line = again(capsys, plain[0], "--inputs", tmp_path, code=2)
    assert f"'tiny' with tensors of SHA-256 {weights_of(plain)}" in line
    words = ["--inputs", tmp_path, "--weights", folder / "tiny.safetensors"]
    assert "equal bit for bit" in again(capsys, plain[0], *words)


def chunks(path):
    with Image.open(path) as image:
        return image.info


def weights_of(plain):
    return read_metadata(plain[0])["weights"]["tensors_sha256"]


def test_one_level_of_one_pixel_is_told_and_code_1(plain, folder, tmp_path, capsys):
    pixels = levels_of(plain[0]).copy()
    pixels[3, 4, 1] ^= 1
    save_image(tmp_path / "other.png", pixels / 255.0, metadata=read_metadata(plain[0]))
    text = again(capsys, tmp_path / "other.png", "--inputs", folder, code=1)
    assert "largest pixel difference 1 of 255" in text


def test_another_size_is_a_difference(plain, folder, tmp_path, capsys):
    save_image(tmp_path / "o.png", picture(8, 9), metadata=read_metadata(plain[0]))
    text = again(capsys, tmp_path / "o.png", "--inputs", folder, code=1)
    assert "sizes differ: 9x8 px, made again 26x24 px" in text


def test_a_history_is_compared_step_by_step(plain, folder, tmp_path, capsys):
    text = again(capsys, plain[1], "--inputs", folder)
    assert "all 2 losses are equal bit for bit" in text
    document = json.loads(plain[1].read_text())
    document["history"]["loss"][1] *= 1.001
    (tmp_path / "h.json").write_text(json.dumps(document))
    text = again(capsys, tmp_path / "h.json", "--inputs", folder, code=1)
    assert "losses differ by 0.001 at most" in text


def test_versions_and_devices_that_differ_are_lines(plain, folder, monkeypatch, capsys):
    now = reproduce.versions() | {"jax": "9.9"}
    monkeypatch.setattr(reproduce, "versions", lambda: now)
    monkeypatch.setattr(reproduce, "device", lambda: "tpu (v9)")
    text = again(capsys, plain[0], "--inputs", folder)
    then = read_metadata(plain[0])
    assert f"jax was {then['versions']['jax']!r}, is '9.9'" in text
    assert f"device was {then['device']!r}, is 'tpu (v9)'" in text
    assert "flax was" not in text and "are the same" not in text


SLOW = pytest.mark.slow
RUNS = {
    "several": ["one.png", "two.png", "--blend=0.7,0.3", "--init=first.png"],
    "seed": ["one.png", "--seed=7", "--init=noise"],
    "balanced": ["one.png", "--set=style_weight=balance", "--set=style_loss=gram"],
    "tiles": ["one.png", "--tile-px=128", "--size=160", "--set=shift_px=1"],
    "terms": ["one.png", "--term=histogram: histogram, layers=relu1_1, weight=2"],
    "lbfgs": ["one.png", "--recipe=jnst-lbfgs"],
}


@pytest.mark.parametrize(
    "words",
    [RUNS["several"], *(pytest.param(RUNS[k], marks=SLOW) for k in list(RUNS)[1:])],
    ids=RUNS,
)
def test_whatever_a_run_was_asked_is_made_again(words, folder, capsys):
    words = [w.replace("=first.png", f"={folder / 'first.png'}") for w in words]
    out, history = made(folder, "content.png", *words, "--weights", "tiny.safetensors")
    assert "equal bit for bit" in again(capsys, out)
    assert "equal bit for bit" in again(capsys, history)


@pytest.mark.parametrize(
    "shape", [["--shape=20x18"], pytest.param([], marks=SLOW)], ids=["shape", "own"]
)
def test_a_texture_has_the_shape_it_was_asked_for(shape, folder, capsys):
    words = ["one.png", "--weights", "tiny.safetensors", *shape]
    out, _ = made(folder, *words, command="texture")
    assert "equal bit for bit" in again(capsys, out)


def test_a_stripped_picture_tells_nothing_and_its_history_all(folder, capsys):
    words = ["content.png", "one.png", "--weights", "tiny.safetensors"]
    out, history = made(folder, *words, "--strip-metadata")
    assert not chunks(out)
    content = out.read_bytes()
    assert b"content.png" not in content and b"recipe" not in content
    line = again(capsys, out, code=2)
    assert "carries no metadata" in line and "--record" in line
    assert "equal bit for bit" in again(capsys, out, "--record", history)


def test_a_result_is_saved_without_metadata_too(folder, tmp_path):
    paths = folder / "content.png", folder / "one.png"
    fields = {"style_layers": ("relu1_1",), "content_layers": ("relu1_2",)}
    result = jnst.stylize(*paths, weights=tiny_params(), steps=1, size_px=26, **fields)
    result.save(tmp_path / "plain.png", metadata=False)
    assert not chunks(tmp_path / "plain.png")
    result.save(tmp_path / "told.png")
    with pytest.raises(ValueError, match="weights came as parameters"):
        reproduce.prepare(tmp_path / "told.png", inputs=folder)


def test_arrays_cannot_be_found_and_that_is_said(plain, tmp_path, capsys):
    about = read_metadata(plain[0])
    about["content"]["name"] = None
    save_image(tmp_path / "array.png", picture(4, 4), metadata=about)
    line = again(capsys, tmp_path / "array.png", code=2)
    assert "content came as an array" in line and "Recipe.from_png" in line


def test_a_batch_and_devices_that_are_not_here_are_said(plain, monkeypatch):
    document = read_document(plain[0]) | {"batch": [1, 3], "devices": [1, 2, 1]}
    told = read_told(document, where="x")
    batch, devices = reproduce._notes(told)
    assert "one of a batch" in batch and "was made on 2 devices, now on one" in devices
    assert reproduce._devices(told) is None
    monkeypatch.setattr(reproduce.jax, "device_count", lambda: 2)
    assert reproduce._devices(told) == "2x1" and len(reproduce._notes(told)) == 1


HOSTILE = [
    ({"recipe": None}, "carries no recipe"),
    ({"recipe": {"steps": "many"}}, "steps"),
    ({"styles": []}, "does not tell its styles"),
    ({"styles": "one.png"}, "does not tell its styles"),
    ({"styles": [{"name": "a", "sha256": "../../x"}]}, "SHA-256 of its style"),
    ({"content": 3}, "SHA-256 of its content"),
    ({"content": [{}]}, "is of a batch"),
    ({"init": ["a"]}, "tells of a first image"),
]


@pytest.mark.parametrize(("changes", "words"), HOSTILE)
def test_a_hostile_document_is_one_line(changes, words, plain, tmp_path, capsys):
    about = read_metadata(plain[0]) | changes
    save_image(tmp_path / "bad.png", picture(4, 4), metadata=about)
    assert words in again(capsys, tmp_path / "bad.png", code=2)


def test_names_are_no_paths_and_nothing_reaches_the_terminal(plain):
    about = read_metadata(plain[0])
    about["content"]["name"] = "/etc/../\x1b[31mpasswd"
    told = read_told(about, where="x")
    assert told.content and told.content.name == "\x1b[31mpasswd"
    assert "\x1b" not in str(told.content)


@pytest.mark.parametrize(
    ("content", "words"),
    [("[" * 10**5, "is not JSON"), ("[]", "no document"), ("{}", "no recipe")],
)
def test_a_file_that_is_no_history_is_one_line(content, words, tmp_path, capsys):
    (tmp_path / "h.json").write_text(content)
    assert words in again(capsys, tmp_path / "h.json", code=2)


def test_the_output_must_be_another_file(plain, folder, capsys):
    line = again(capsys, plain[0], "-o", plain[0], "--overwrite", code=2)
    assert "is the picture itself" in line
    assert "is no folder" in again(capsys, plain[0], "--inputs", plain[0], code=2)
    line = again(capsys, folder / "none.png", code=2)
    assert "none.png" in line


def test_a_search_ends_somewhere(tmp_path, monkeypatch):
    for n in range(5):
        (tmp_path / f"{n}.png").touch()
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "6.png").touch()
    assert len(list(by_hash.files_below(tmp_path, deep=True))) == 6
    assert len(list(by_hash.files_below(tmp_path, deep=False))) == 5
    monkeypatch.setattr(by_hash, "MOST_DEPTH", 1)
    assert len(list(by_hash.files_below(tmp_path, deep=True))) == 5
    monkeypatch.setattr(by_hash, "MOST_FILES", 3)
    assert len(list(by_hash.files_below(tmp_path, deep=True))) == 3
