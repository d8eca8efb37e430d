"""PyTorch as a peer: the best of its variants, none dropped in silence."""

import dataclasses
import importlib.util
import types

import numpy as np
import pytest

from jnst.bench import torch_setup
from jnst.bench.cases import OBJECTIVE, Case
from jnst.bench.measure import measure
from jnst.bench.networks import random_params
from jnst.bench.peers import PEERS
from jnst.bench.report import make_document
from jnst.bench.schema import check_document
from jnst.bench.torch_setup import one_line, try_variants
from jnst.files import as_json

pytestmark = [
    pytest.mark.usefixtures("quick_compile"),
    # Of PyTorch's own code, where `torch.compile` imports it.
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
]
SHORT = dataclasses.replace(OBJECTIVE, steps=2)
EAGER = ("eager contiguous", "eager channels_last")
DTYPES = ("float32", "bfloat16")


@pytest.fixture
def side(monkeypatch):
    """PyTorch's side, in this process alone."""
    pytest.importorskip("torch")
    from jnst.bench import torch_peer

    monkeypatch.setattr(torch_setup, "torch_and_jnst_memory", lambda *_: {})
    return torch_peer


@pytest.fixture
def eager(side, monkeypatch):
    """The same without what compiles, which takes half a minute."""
    kept = {k: v for k, v in side.VARIANTS.items() if v.mode is None}
    monkeypatch.setattr(side, "VARIANTS", kept)
    return side


def wide(dtype):
    """A network of 16 channels: of four, bfloat16 leaves a quarter of a style."""
    if dtype == "bfloat16":
        return random_params("vgg19", most_channels=16)
    return random_params("vgg19", most_channels=4)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch", [1, 2])
def test_pytorch_computes_the_same_in_every_eager_variant(batch, dtype, eager):
    case = Case(dataclasses.replace(SHORT, dtype=dtype), 32, batch)
    row = measure(case, wide(dtype), repeats=2, peer=PEERS["torch"])
    ahead = [f"{name}, cast ahead" for name in EAGER if dtype == "bfloat16"]
    assert set(row["peer_variants_ms"]) == {*EAGER, *ahead}  # all came past `check`
    assert row["peer_variant"] in row["peer_variants_ms"]
    assert row["peer_layout"] in row["peer_variant"]
    assert row["peer_left_out"] == {}
    assert len(row["peer_samples_ms"]) == 2 and row["ratio"] > 0


def test_pytorch_follows_layers_and_weights(vgg19, eager):
    changes = {
        "style_layers": ("relu1_2", "conv2_1"),
        "style_layer_weights": (0.2, 3.0),
        "content_layers": ("relu2_2", "pool2"),
        "tv_weight": 0.0,
        "epsilon": 1e-3,
    }
    recipe = dataclasses.replace(SHORT, **changes)
    assert measure(Case(recipe, 32), vgg19, repeats=1, peer=PEERS["torch"])["ratio"]


@pytest.fixture
def unchecked(side, monkeypatch):
    """The same without beartype's checks, which `torch.compile` cannot read."""
    spec = importlib.util.spec_from_file_location("unchecked_torch", side.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(torch_setup, "import_torch", lambda: (module.torch, module))
    return module


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
def test_pytorch_computes_the_same_compiled(dtype, unchecked):
    case = Case(dataclasses.replace(SHORT, dtype=dtype), 32)
    row = measure(case, wide(dtype), repeats=1, peer=PEERS["torch"])
    assert row["peer_left_out"] == {}
    tried = set(row["peer_variants_ms"])
    assert tried == set(unchecked.variant_names(dtype))
    assert {f"compiled {layout}" for layout in unchecked.LAYOUTS} < tried
    assert row["peer_compile_s"] >= 0


def test_a_variant_that_computes_something_else_is_refused(vgg19, eager, monkeypatch):
    plain = eager.make_layers

    def doubled(arrays, names, layout, dtype):
        layers = plain(arrays, names, layout, dtype)
        factor = 2 if layout == "channels_last" else 1
        return {k: (factor * kernel, bias) for k, (kernel, bias) in layers.items()}

    monkeypatch.setattr(eager, "make_layers", doubled)
    with pytest.raises(FloatingPointError, match="torch eager channels_last does not"):
        measure(Case(SHORT, 32), vgg19, repeats=1, peer=PEERS["torch"])


def test_what_cannot_be_compiled_is_left_out_by_name(vgg19, side, monkeypatch):
    def refuse(function, **how):
        raise RuntimeError("no working C++ compiler:\n\n  (None, 'g++')\nSet VERBOSE")

    monkeypatch.setattr(side.torch, "compile", refuse)
    row = measure(Case(SHORT, 32), vgg19, repeats=1, peer=PEERS["torch"])
    assert set(row["peer_variants_ms"]) == set(EAGER)
    assert row["peer_left_out"] == {
        name: "RuntimeError: no working C++ compiler: (None, 'g++')"
        for name in ("compiled contiguous", "compiled channels_last")
    }
    document = make_document([row], weights={}, options={"repeats": 1})
    check_document(as_json(document), where="a row of PyTorch's")


def test_memory_is_that_of_the_variant_in_the_row(vgg19, eager, monkeypatch):
    told = []

    def measured(case, params, arrays, spec):
        told.append(spec["variant"])
        return {}

    monkeypatch.setattr(torch_setup, "torch_and_jnst_memory", measured)
    row = measure(Case(SHORT, 32), vgg19, repeats=1, peer=PEERS["torch"])
    assert told == [row["peer_variant"]]


@pytest.mark.slow
def test_memory_is_measured_in_processes_of_their_own(vgg19):
    pytest.importorskip("torch")
    row = measure(Case(SHORT, 32), vgg19, repeats=1, peer=PEERS["torch"])
    for side in ("jnst", "peer"):
        stages = [row[f"{side}_{s}_rss_mib"] for s in ("import", "loaded", "peak")]
        assert 20 < stages[0] <= stages[1] <= stages[2]
        assert f"{side}_memory_error" not in row


class Value(float):
    """A term of one image, as PyTorch would give it."""

    def cpu(self):
        return np.array([float(self)])


@pytest.fixture
def clocked(monkeypatch):
    """Makes variants whose calls take given seconds on a clock of ours."""
    now = [0.0]
    fake = types.SimpleNamespace(perf_counter=lambda: now[0])
    monkeypatch.setattr(torch_setup, "time", fake)

    def make(*seconds):
        left = list(seconds)

        def call():
            now[0] += left.pop(0)
            return [{"loss": Value(len(left))}]

        return lambda: call

    return make


def test_the_fastest_go_on_and_the_others_are_let_go(clocked):
    variants = {"a": clocked(9, 3, 4), "b": clocked(2, 1, 7), "c": clocked(5, 2, 2)}
    trials, left_out = try_variants(variants, 2, [])
    assert left_out == {} and list(trials) == ["b", "c", "a"]
    assert [trial.step_ms for trial in trials.values()] == [500, 1000, 1500]
    assert [trial.compile_s for trial in trials.values()] == [1, 3, 6]
    assert trials["a"].losses["loss"].tolist() == [[2, 1, 0]]
    with pytest.raises(RuntimeError, match="not among the fastest"):
        trials["a"].call()


def test_only_what_may_fail_is_left_out(clocked):
    def broken():
        raise OSError("no compiler")

    variants = {"a": clocked(1, 1, 1), "b": broken}
    assert try_variants(variants, 1, ["b"])[1] == {"b": "OSError: no compiler"}
    variants = {"a": clocked(1, 1, 1), "b": broken}
    with pytest.raises(OSError, match="no compiler"):
        try_variants(variants, 1, ["c"])


def test_an_error_becomes_one_line():
    assert one_line(ValueError("")) == "ValueError:"
    assert one_line(ValueError("\none\ntwo")) == "ValueError: one"
