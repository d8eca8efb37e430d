"""Arrays kept in a file: read as written, and not kept where the disk cannot."""

import logging
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import picture, tiny_params

import jnst
from jnst.scale import building, spilling, targets
from jnst.scale.spilling import Spilled

pytestmark = pytest.mark.usefixtures("quicker_compile")


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(spilling, "cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache"


def tree(seed):
    rng = np.random.default_rng(seed)
    maps = jnp.asarray(rng.normal(size=(1, 3, 5, 2)), jnp.float32)
    return {"content": ({"relu4_2": maps, "half": maps.astype(jnp.bfloat16)},)}


def test_what_is_read_is_what_was_written(own_folder):
    kept = Spilled(3)
    assert kept.get(0) is None
    for number in (2, 0):
        kept.put(number, tree(number))
    assert kept.get(1) is None
    for number in (0, 2, 0):
        found = kept.get(number)
        assert jax.tree.structure(found) == jax.tree.structure(tree(number))
        for a, b in zip(*map(jax.tree.leaves, (found, tree(number))), strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)
    assert list(own_folder.iterdir()) == []  # a file without a name
    kept.put(1, jax.eval_shape(lambda: tree(0)))  # of who only compiles
    assert kept.get(1) is None


def test_it_is_a_pytree_without_leaves():
    kept = Spilled(3)
    assert jax.tree.leaves(kept) == []
    assert jax.tree.map(lambda x: x, kept) is kept


def test_a_disk_without_room_is_left_alone(monkeypatch):
    usage = shutil.disk_usage("/")._replace(free=100)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    kept = Spilled(3)
    kept.put(0, tree(0))
    assert kept.get(0) is None


def test_a_disk_that_fails_is_told_once(monkeypatch, caplog):
    kept = Spilled(3)
    kept.put(0, tree(0))

    def fails(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kept._file, "flush", fails, raising=False)
    with caplog.at_level(logging.WARNING, "jnst"):
        kept.put(1, tree(1))
        kept.put(2, tree(2))
    (record,) = caplog.records
    assert "No space left" in record.getMessage()
    assert kept.get(0) is None


def test_a_run_computes_each_shift_once(monkeypatch):
    """And takes the steps it would take without."""
    monkeypatch.setattr(building, "MOST_KEPT", 0)
    times = []
    whole = targets.of_content

    def counted(run, *arguments):
        times.append(run.__class__.__name__)
        return whole(run, *arguments)

    monkeypatch.setattr(targets, "of_content", counted)
    pair = picture(71, 83, 1), picture(70, 66, 2)
    fields = {"style_loss": "gram", "style_weight": 1.0, "content_weight": 1.0}
    fields |= {"weights": tiny_params(), "shift_px": 2, "tile_px": 64}
    objective = jnst.make_objective(*pair, **fields)
    assert isinstance(objective.turns.kept, Spilled)
    anew = objective.turns._replace(kept=None)
    images = []
    for turns in (objective.turns, anew):
        times.clear()
        state = jnst.init(objective)
        each = jax.tree.map(lambda x: x, objective)
        object.__setattr__(each, "turns", turns)
        for event in jnst.iterate(each, state, steps=4):
            image = event.image
        images.append(image)
        compiling = times.count("Compiling")
        assert compiling == 1
        assert len(times) - compiling == (2 if turns.kept else 4)
    np.testing.assert_array_equal(*images)
