"""Runs that are stopped go on to the same bits; damage and strangers are refused."""

import json
import os
import shutil

import jax
import numpy as np
import optax
import pytest
from kept import SHALLOW, assert_same, gone_on, make_inputs, stopped
from safetensors.numpy import save_file
from tiny import picture

import jnst
from jnst.keep import folder as kept
from jnst.keep import storage
from jnst.keep.keeper import Keeper
from jnst.keep.storage import read_checkpoint, write_checkpoint
from jnst.loop import optimizers

pytestmark = pytest.mark.usefixtures("quicker_compile")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A folder with two pictures and a tiny network."""
    folder = tmp_path_factory.mktemp("keep")
    make_inputs(folder)
    return folder


@pytest.fixture
def given(tiny):
    """The arguments of a run."""
    pair = {"contents": str(tiny / "content.png"), "styles": str(tiny / "style.png")}
    return pair | SHALLOW | {"weights": str(tiny / "t.safetensors"), "size_px": 24}


def whole(given, **changes):
    asked = {**given, **changes}
    return jnst.stylize(asked.pop("contents"), asked.pop("styles"), **asked)


BATCH = {"contents": [picture(24, 20, 1), picture(24, 20, 5)], "size_px": None}
MORE = {
    "adam": {"optimizer": "adam", "ema": 0.9, "returns": "ema", "cooldown": 0.5},
    "adam_tf": {"optimizer": "adam_tf", "returns": "after_best", "restart_every": 4},
    "sgd": {"optimizer": "sgd", "returns": "best", "learning_rate": 0.01},
    "lbfgs": {"optimizer": "lbfgs", "cooldown": 0.0},
    "lbfgs_torch": {"optimizer": "lbfgs_torch", "cooldown": 0.0, "memory": 3},
    "lion": {"optimizer": "lion"},
    "shifts": {"shift_px": 4, "diagnostics": True},
    "noise": {"init": "noise", "style_loss": "sliced_wasserstein", "seed": 7},
    "batch": BATCH,
    "batch of lbfgs": BATCH | {"optimizer": "lbfgs", "cooldown": 0.0},
    "tiled": {"contents": picture(66, 20, 1), "size_px": None, "tile_px": 64},
}
SLOW = ("adam_tf", "sgd", "lion", "batch of lbfgs", "shifts", "noise", "lbfgs")


@pytest.mark.parametrize(
    "name",
    [pytest.param(k, marks=[pytest.mark.slow] if k in SLOW else []) for k in MORE],
)
def test_a_run_that_was_stopped_goes_on_to_the_same_bits(
    given, tmp_path, monkeypatch, name
):
    monkeypatch.setitem(optimizers.OPTIMIZERS, "lion", optax.lion)
    asked, output = given | MORE[name], tmp_path / "o.png"
    expected = whole(asked)
    for step in (3, 5, 9):  # at the first size, between the two, at the second
        keeper = stopped(step, output, **asked)
        assert keeper.event.step == step
        found, told = gone_on(output, **asked)
        assert told == [f"goes on from step {step} of 12"]
        assert_same(found, expected)
        assert not keeper.folder.exists()


def test_it_may_be_stopped_again_and_again(given, tmp_path):
    output, told = tmp_path / "o.png", []
    for step in (2, 6, 8):
        told.append(stopped(step, output, **given).begun)
    found, _ = gone_on(output, **given)
    assert told == [0, 2, 6]
    assert_same(found, whole(given))


def test_balanced_weights_are_those_of_the_beginning(given, tmp_path, monkeypatch):
    from jnst.drivers import stages

    asked = given | {"style_loss": "mean_std"}
    expected = whole(asked)
    stopped(7, tmp_path / "o.png", **asked)
    monkeypatch.setattr(stages, "_balanced", None)  # it is not computed again
    found, _ = gone_on(tmp_path / "o.png", **asked)
    assert_same(found, expected)
    assert found.recipe.style_weight == expected.recipe.style_weight != "balance"


def test_an_iterator_begins_in_the_middle(given):
    asked = dict(given)
    sizes = jnst.coarse_to_fine(asked.pop("contents"), asked.pop("styles"), **asked)
    losses = []
    for event in jnst.iterate(sizes, every=1):
        losses.append(event.losses)
        if event.step == 6:
            state = jax.tree.map(jax.numpy.copy, event.state)
        last = event.image
    before = {k: np.concatenate([each[k] for each in losses[:6]]) for k in losses[0]}
    after = list(jnst.iterate(sizes, state, every=1, before=before))
    assert [event.step for event in after] == [7, 8, 9, 10, 11, 12]
    np.testing.assert_array_equal(after[-1].image, last)
    with pytest.raises(ValueError, match="needs the state"):
        jnst.iterate(sizes, before=before)
    full = {k: np.concatenate([each[k] for each in losses]) for k in before}
    with pytest.raises(ValueError, match="12 steps cannot go on after step 12"):
        jnst.iterate(sizes, state, before=full)


def wait_for(keeper):
    """Waits until the thread has written, or failed to."""
    if keeper._writing is not None:
        keeper._writing.exception()


def test_checkpoints_are_written_on_the_way_and_two_are_kept(given, tmp_path):
    seen = []

    def look(progress):
        wait_for(keeper)
        seen.append([path.name for path in kept.checkpoints(keeper.folder)])

    with Keeper(tmp_path / "o.png", every_s=0.0001) as keeper:
        asked = dict(given)
        pair = asked.pop("contents"), asked.pop("styles")
        jnst.stylize(*pair, keeper=keeper, on_progress=look, save_every=1, **asked)
        assert keeper.folder.is_dir()
        keeper.done()
    assert max(map(len, seen)) == 2
    assert seen[-1][0] in ("00000010.safetensors", "00000011.safetensors")
    assert os.listdir(tmp_path) == []


@pytest.fixture(scope="module")
def made(tiny, tmp_path_factory, quicker_compile):
    """A folder where a run was stopped twice, its arguments, and the whole result."""
    folder = tmp_path_factory.mktemp("stopped")
    pair = {"contents": str(tiny / "content.png"), "styles": str(tiny / "style.png")}
    asked = pair | SHALLOW | {"weights": str(tiny / "t.safetensors"), "size_px": 24}
    for step in (4, 8):
        stopped(step, folder / "o.png", **asked)
    return folder, asked, whole(asked)


@pytest.fixture
def copied(made, tmp_path):
    """A copy of it: the output, its two checkpoints (newest first), the arguments."""
    shutil.copytree(made[0], tmp_path / "copy")
    output = tmp_path / "copy" / "o.png"
    return output, kept.checkpoints(kept.folder_of(output)), made[1]


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip(path):
    data = bytearray(path.read_bytes())
    data[-50] ^= 1
    path.write_bytes(data)


def empty(path):
    path.write_bytes(b"")


def huge_header(path):
    path.write_bytes((2**40).to_bytes(8, "little") + b"{}")


def edit(path):
    """Another recipe, of the same length, and the old digest."""
    data = path.read_bytes()
    assert b"mean_squared" in data
    path.write_bytes(data.replace(b"mean_squared", b"mean_squares", 1))


@pytest.mark.parametrize("damage", [cut, flip, empty, huge_header, edit])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(made, copied, damage):
    output, paths, asked = copied
    assert [path.stem for path in paths] == ["00000008", "00000004"]
    damage(paths[0])
    found, told = gone_on(output, **asked)
    assert len(told) == 2 and "the one before is taken" in told[0]
    assert repr(str(paths[0])) in told[0] and told[1] == "goes on from step 4 of 12"
    assert_same(found, made[2])


def test_where_both_are_damaged_nothing_is_touched(copied):
    output, paths, asked = copied
    for path in paths:
        flip(path)
    before = {path: path.read_bytes() for path in paths}
    with pytest.raises(ValueError, match="SHA-256 is another.*--restart begins anew"):
        gone_on(output, **asked)
    assert {path: path.read_bytes() for path in paths} == before


def rewritten(path, change):
    """Writes a checkpoint anew, its digest right, after a change."""
    arrays, document = read_checkpoint(path)
    change(arrays, document)
    write_checkpoint(path, arrays, document)


def wrong_shape(arrays, document):
    arrays["state.image"] = arrays["state.image"][:, :-1]


def wrong_type(arrays, document):
    arrays["state.image"] = arrays["state.image"].astype(np.float64)


def missing(arrays, document):
    del arrays["state.ema"]


def too_many(arrays, document):
    arrays["state.more"] = np.zeros(3)


def short_history(arrays, document):
    arrays["history.loss"] = arrays["history.loss"][:-1]


def other_step(arrays, document):
    document["step"] = 7


def beyond(arrays, document):
    document["step"] = 2**30


def text_for_step(arrays, document):
    document["step"] = "8; \x1b[31m"


def other_recipe(arrays, document):
    document["asked"]["recipe"]["learning_rate"] = 3.0


def other_terms(arrays, document):
    document["terms"] = [{"name": "a"}]


def no_document(arrays, document):
    document.clear()


@pytest.mark.parametrize(
    "change",
    [
        wrong_shape,
        wrong_type,
        missing,
        too_many,
        short_history,
        other_step,
        beyond,
        text_for_step,
        other_recipe,
        other_terms,
        no_document,
    ],
)
def test_hostile_checkpoints_are_refused_in_a_line(copied, change):
    output, paths, asked = copied
    for path in paths:
        rewritten(path, change)
    with pytest.raises(ValueError) as info:
        gone_on(output, **asked)
    text = str(info.value)
    assert repr(str(paths[0])) in text and text.isprintable() and len(text) < 600


def test_a_document_of_many_levels_is_refused(copied):
    output, paths, asked = copied
    arrays, _ = read_checkpoint(paths[0])
    text = "[" * 100_000 + "]" * 100_000
    about = {"format": storage.FORMAT, "document": text}
    about["sha256"] = storage._digest(arrays, text)
    for path in paths:
        save_file(arrays, path, metadata=about)
    with pytest.raises(ValueError, match="its document is none"):
        gone_on(output, **asked)


def test_another_version_is_refused_by_its_name(copied, monkeypatch):
    output, paths, asked = copied
    for path in paths:
        arrays, document = read_checkpoint(path)
        with monkeypatch.context() as patch:
            patch.setattr(storage, "FORMAT", "jnst-checkpoint-9")
            write_checkpoint(path, arrays, document)
    with pytest.raises(ValueError, match="another version of jnst: .*checkpoint-9'"):
        gone_on(output, **asked)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"learning_rate": 0.5}, "learning_rate is 0.5 now"),
        ({"steps": 20}, "steps is 20 now"),
        ({"style_weight": 3.0}, "style weight is 3.0 now"),
        ({"contents": picture(24, 20, 9)}, "content is None now, 'content.png' then"),
        ({"size_px": 20}, "size_px is 20 now"),
        ({"seed": 3}, "seed is 3 now, 0 then"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_other_arguments_are_refused_by_name(copied, changes, words):
    output, _, asked = copied
    with pytest.raises(ValueError) as info:
        gone_on(output, **{**asked, **changes})
    assert words in str(info.value) and "--restart" in str(info.value)


def test_a_disk_that_is_full_leaves_the_run_alone(given, tmp_path, monkeypatch):
    def full(path, arrays, document):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(kept, "write_checkpoint", full)
    told, asked = [], dict(given)
    pair = asked.pop("contents"), asked.pop("styles")
    how = {"every_s": 0.0001, "tell": told.append}
    with Keeper(tmp_path / "o.png", **how) as keeper:
        result = jnst.stylize(*pair, keeper=keeper, save_every=1, **asked)
        keeper.done()
    assert_same(result, whole(given))
    assert len(told) == 1 and "No space left on device" in told[0]
    assert "the run goes on" in told[0] and os.listdir(tmp_path) == []


def test_a_folder_that_vanishes_leaves_the_run_alone(given, tmp_path):
    place, told, asked = tmp_path / "gone", [], dict(given)
    place.mkdir()

    def vanish(progress):
        if progress.step == 6:
            keeper._settle()
            shutil.rmtree(place)
        wait_for(keeper)

    pair = asked.pop("contents"), asked.pop("styles")
    with Keeper(place / "o.png", every_s=0.0001, tell=told.append) as keeper:
        how = {"on_progress": vanish, "save_every": 1}
        result = jnst.stylize(*pair, keeper=keeper, **how, **asked)
        keeper.done()
    assert_same(result, whole(given))
    assert told and "No such file or directory" in told[0]


def test_what_a_killed_process_left_half_written_is_removed(copied):
    output, paths, asked = copied
    half = paths[0].with_name(".jnst-0123456789abcdef.safetensors")
    other = paths[0].with_name("of-somebody-else.txt")
    for path in (half, other):
        path.write_text("half")
    gone_on(output, **asked)
    assert not half.exists() and other.read_text() == "half"


def test_functions_cannot_be_kept(given, tmp_path):
    term = jnst.Term("own", lambda maps: maps["image"].mean(), ("image",))
    tv = jnst.Term("tv", "tv_mean_l2")
    for changes, words in (
        ({"terms": (term,)}, "term 'own' is a function"),
        ({"terms": (tv,), "optimizer": optax.sgd(0.1)}, "is a transformation"),
    ):
        plain = {k: v for k, v in given.items() if "_layer" not in k}
        with pytest.raises(ValueError, match=words):
            stopped(1, tmp_path / "o.png", **{**plain, **changes})


def test_documents_are_json(made):
    path = kept.checkpoints(kept.folder_of(made[0] / "o.png"))[0]
    _, document = read_checkpoint(path)
    assert json.loads(json.dumps(document)) == document
    assert document["asked"]["content"]["name"] == "content.png"
    assert document["versions"]["jax"] == jax.__version__
