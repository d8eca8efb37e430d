"""`jnst.save` and `jnst.load`: the same objective and state, to the bit."""

import jax
import numpy as np
import optax
import pytest
from tiny import picture, tiny_params

import jnst
from jnst.keep import objectives
from jnst.keep.storage import read_checkpoint, write_checkpoint
from jnst.network import convolution
from jnst.network.convolution import WINOGRAD
from jnst.weights import save_weights

pytestmark = pytest.mark.usefixtures("quicker_compile")
CONTENT, STYLE = picture(24, 20, 1), picture(22, 26, 2)
SHALLOW = {"style_layers": ("relu1_1",), "content_layers": ("conv1_2",)}
CASES = {
    "shifts": {"shift_px": 4, "style_layer_weights": (2.0,)},
    "lbfgs": {"optimizer": "lbfgs", "shift_px": 0, "cooldown": 0.0},
    "batch": {"content": np.stack([CONTENT, 1 - CONTENT]), "shift_px": 2},
    "styles": {"style": [STYLE, STYLE[:20]], "style_loss": "nnfm", "style_weight": 1.0},
    "texture": {"content": None, "init": "noise"},
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("saving") / "t.safetensors"
    save_weights(tiny_params(), path, title="tiny", licence="MIT")
    return str(path)


def made(weights, **changes):
    known = {"content": CONTENT, "style": STYLE, "weights": weights, **SHALLOW}
    given = known | changes
    if given.get("style_loss") == "nnfm":
        given["style_options"] = ()
    return jnst.make_objective(given.pop("content"), given.pop("style"), **given)


def stepped(objective, state, count):
    for _ in range(count):
        state, losses = jnst.step(objective, state)
    return state, losses


def assert_same(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        if jax.numpy.issubdtype(a.dtype, jax.dtypes.prng_key):
            a, b = jax.random.key_data(a), jax.random.key_data(b)
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


SLOW = ("lbfgs", "styles", "texture")


@pytest.mark.parametrize(
    "name",
    [pytest.param(k, marks=[pytest.mark.slow] if k in SLOW else []) for k in CASES],
)
def test_what_is_loaded_is_what_was_saved(weights, tmp_path, name):
    objective = made(weights, **CASES[name])
    state, _ = stepped(objective, jnst.init(objective), 2)
    jnst.save(tmp_path / "a.safetensors", objective, state)
    found, back = jnst.load(tmp_path / "a.safetensors", weights=weights)
    assert_same((objective, state), (found, back))
    assert_same(stepped(objective, state, 2), stepped(found, back, 2))


def test_parameters_are_found_again_by_their_hash(weights, tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    objective = made(weights)
    jnst.save(path, objective, jnst.init(objective))
    monkeypatch.setenv("JNST_WEIGHTS", weights)
    assert_same(jnst.load(path)[0], objective)
    with pytest.raises(ValueError, match="needs the network's parameters of SHA-256"):
        jnst.load(path, weights=tiny_params(seed=3))
    assert path.stat().st_size < 200_000


def test_parameters_prepared_for_large_images_are_found_too(
    weights, tmp_path, monkeypatch
):
    monkeypatch.setattr(convolution, "SMALL_TILES_FROM", 1)
    tiles = []
    for least in (1, 10**9):
        monkeypatch.setattr(convolution, "LARGE_IMAGE", least)
        monkeypatch.setattr(objectives, "LARGE_IMAGE", least)
        objective = made(weights, convolution="winograd")
        jnst.save(tmp_path / f"{least}", objective, jnst.init(objective))
        found, _ = jnst.load(tmp_path / f"{least}", weights=weights)
        assert_same(found, objective)
        tiles.append(found.extract.params["conv1_2"][WINOGRAD].shape[0])
    assert tiles == [36, 16]


@pytest.mark.parametrize("there", [False, True])
def test_parameters_of_a_cpu_that_multiplies_bfloat16_are_found_on_another(
    weights, tmp_path, monkeypatch, there
):
    monkeypatch.setattr(convolution, "multiplies_bfloat16", lambda: there)
    objective = made(weights, convolution="winograd", dtype="bfloat16")
    jnst.save(tmp_path / "a", objective, jnst.init(objective))
    monkeypatch.setattr(convolution, "multiplies_bfloat16", lambda: not there)
    assert_same(jnst.load(tmp_path / "a", weights=weights)[0], objective)


def test_functions_cannot_be_saved(weights, tmp_path):
    path = tmp_path / "a.safetensors"
    own = jnst.Term("own", lambda maps: maps["image"].mean(), ("image",))
    objective = jnst.make_objective(
        CONTENT, STYLE, jnst.Recipe(terms=(own,)), weights=weights
    )
    with pytest.raises(ValueError, match="term 'own' is a function"):
        jnst.save(path, objective, jnst.init(objective))
    objective = made(weights)
    with pytest.raises(ValueError, match="the optimizer is a transformation"):
        jnst.save(path, objective, jnst.init(objective, optimizer=optax.sgd(0.1)))
    extract = jnst.make_objective(
        CONTENT,
        STYLE,
        jnst.Recipe(terms=(jnst.Term("style", "gram", ("same",)),)),
        extract=lambda image: {"same": image},
    )
    with pytest.raises(ValueError, match="features are a function"):
        jnst.save(path, extract, jnst.init(extract))
    assert not path.exists()


def change_of(name):
    def shape(arrays, document):
        arrays["state.image"] = arrays["state.image"][:, 1:]

    def loss(arrays, document):
        document["structure"]["parts"][0]["loss"] = "nothing"

    def part(arrays, document):
        document["structure"] = [1, 2]

    def lacking(arrays, document):
        del arrays["objective.start.content"]

    def kind(arrays, document):
        document["kind"] = "run"

    return locals()[name]


@pytest.mark.parametrize("name", ["shape", "loss", "part", "lacking", "kind"])
def test_what_is_none_is_refused(weights, tmp_path, name):
    path = tmp_path / "a.safetensors"
    objective = made(weights)
    jnst.save(path, objective, jnst.init(objective))
    arrays, document = read_checkpoint(path)
    change_of(name)(arrays, document)
    write_checkpoint(path, arrays, document)
    with pytest.raises(ValueError, match="a.safetensors") as info:
        jnst.load(path, weights=weights)
    assert "\n" not in str(info.value)
    with pytest.raises(FileNotFoundError):
        jnst.load(tmp_path / "none")
