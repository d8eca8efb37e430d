"""Peers: they compute what we compute, or the benchmark stops."""

import dataclasses
import sys

import numpy as np
import pytest

from jnst.bench.cases import OBJECTIVE, Case
from jnst.bench.measure import measure
from jnst.bench.peers import PEERS, check_agreement, check_peer
from jnst.recipes import RECIPES
from jnst.recipes.settings import read_record, record

pytestmark = pytest.mark.usefixtures("quick_compile")
SHORT = dataclasses.replace(OBJECTIVE, steps=2)


def test_three_passes_compute_the_same_step_by_step(vgg19):
    row = measure(Case(SHORT, 32), vgg19, repeats=2, peer=PEERS["keras"])
    assert row["peer"] == "three passes (Keras example's pattern)"
    assert row["ratio"] > 0 and row["peer_step_ms"] > 0  # it came past `check`


def test_three_passes_run_the_recipe_after_source_001(vgg19):
    recipe = dataclasses.replace(RECIPES["keras"], steps=2)
    row = measure(Case(recipe, 32), vgg19, repeats=1, peer=PEERS["keras"])
    assert len(row["peer_samples_ms"]) == 1


def test_a_peer_that_computes_something_else_is_refused():
    """Loss and terms at the first step, the loss alone at the second."""
    ours = {"loss": np.array([[2.0, 1.0]]), "content": np.array([[1.0, 0.5]])}
    near = {"loss": np.array([[2.00001, 1.00009]]), "content": np.array([[1.0, 0.4]])}
    check_agreement("torch", ours, near, "float32")
    for term, values in (
        ("loss", [[2.0001, 1.0]]),
        ("loss", [[2.0, 1.001]]),
        ("content", [[1.0001, 0.5]]),
        ("content", [[np.nan, 0.5]]),
    ):
        with pytest.raises(FloatingPointError, match=f"not compute the same: {term}"):
            wrong = ours | {term: np.array(values)}
            check_agreement("torch", ours, wrong, "float32")
    one = {k: v[:, :1] for k, v in ours.items()}
    check_agreement("torch", one, near, "float32")
    rough = {"loss": np.array([[2.1]]), "content": np.array([[1.2]])}
    with pytest.raises(FloatingPointError, match="content before step 1 is"):
        check_agreement("torch", one, rough, "bfloat16")


def test_what_a_peer_has_not_is_refused_before_it_runs():
    pytest.importorskip("torch")
    for change, field in (
        ({"pooling": "average"}, "pooling=max"),
        ({"style_loss": "mean_std"}, "style_loss=gram"),
        ({"optimizer": "sgd"}, "optimizer=adam"),
    ):
        recipe = dataclasses.replace(OBJECTIVE, **change)
        with pytest.raises(ValueError, match=f"it has {field}, not"):
            check_peer("torch", [Case(recipe, 32)])
    check_peer("torch", [Case(dataclasses.replace(OBJECTIVE, dtype="bfloat16"), 32)])
    with pytest.raises(ValueError, match="one image at a time"):
        check_peer("keras", [Case(OBJECTIVE, 32, 2)])
    with pytest.raises(ValueError, match="style_pyramid"):
        check_peer("keras", [Case(dataclasses.replace(OBJECTIVE, style_pyramid=2), 32)])


def test_a_missing_pytorch_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ValueError, match=r"pip install 'jnst\[torch\]'"):
        check_peer("torch", [Case(OBJECTIVE, 32)])


@pytest.mark.parametrize("name", ["jnst", "keras", "neural-style", "crowsonkb"])
def test_a_recipe_reaches_another_process_whole(name):
    assert read_record(record(RECIPES[name])) == RECIPES[name]
