"""Programs for a TPU that is not there: rows, errors, and a real compilation."""

import importlib.metadata
import importlib.util
import json
import types

import jax
import pytest
from tiny import STYLE_LAYERS

import jnst
from jnst.bench import absent, topology
from jnst.bench.cases import OBJECTIVE, Case
from jnst.bench.flops import step_flops
from jnst.cli.main import main
from jnst.weights import save_weights

MIB = 2**20
needs_libtpu = pytest.mark.skipif(
    importlib.util.find_spec("libtpu") is None, reason="the extra 'tpu' is missing"
)


def program(
    flops=200.0, bytes_accessed=7e9, arguments=3 * MIB, aliased=MIB, seconds=2e-3
):
    """What `accounts` asks a compiled program."""
    memory = types.SimpleNamespace(
        argument_size_in_bytes=arguments,
        output_size_in_bytes=2 * MIB,
        temp_size_in_bytes=4 * MIB,
        alias_size_in_bytes=aliased,
    )
    return types.SimpleNamespace(
        cost_analysis=lambda: {
            "flops": flops,
            "bytes accessed": bytes_accessed,
            "optimal_seconds": seconds,
        },
        memory_analysis=lambda: memory,
    )


def test_a_row_adds_up_what_the_compiler_says():
    row = topology.accounts(program(), 160.0, 16.0)
    assert row["flops_ratio"] == 1.25
    assert row["bytes_accessed"] == 7e9
    assert row["optimal_ms"] == 2
    assert (row["temp_mib"], row["argument_mib"]) == (4, 3)
    assert row["peak_mib"] == 8  # 3 + 2 + 4, and 1 is donated
    assert row["fits"] is True


def test_a_time_that_the_model_does_not_know_is_not_told():
    assert topology.accounts(program(seconds=-9.99), 160.0, 16.0)["optimal_ms"] is None


def test_what_exceeds_the_chip_does_not_fit():
    just = 16e9 + MIB - 6 * MIB  # bytes of arguments that fill 16 GB to the last
    assert topology.accounts(program(arguments=just), None, 16.0)["fits"] is True
    row = topology.accounts(program(arguments=just + 1), None, 16.0)
    assert row["fits"] is False
    assert row["flops_ratio"] is None


def test_a_chip_of_unknown_memory_is_said_to_be_unknown():
    assert absent.memory_gb("TPU v5 lite") == 16  # JAX's name for a v5e
    assert absent.memory_gb("TPU v99") is None
    assert topology.accounts(program(), 160.0, None)["fits"] is None


def test_without_libtpu_one_line_names_the_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"'v5e:2x2' needs libtpu; .*jnst\[tpu\]") as e:
        absent.load_devices("v5e:2x2")
    assert "\n" not in str(e.value)


def test_arguments_are_those_of_a_run_and_hold_no_array(vgg19):
    case = Case(jnst.RECIPES["jnst"], 64)
    found = topology.abstract_arguments(case, vgg19)
    leaves = jax.tree.leaves(found)
    assert leaves and all(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in leaves)
    objective, state = found
    assert state.image.shape == (1, 64, 64, 3)
    params = objective.extract.params  # as deep as asked
    assert jax.tree.structure(params["conv5_1"]) == jax.tree.structure(vgg19["conv5_1"])
    assert "conv5_2" not in params
    assert objective.targets["content"][0]["relu4_2"].shape == (1, 8, 8, 4)


def test_a_batch_is_refused(vgg19):
    case = Case(OBJECTIVE, 32, batch=2)
    with pytest.raises(ValueError, match="one image a program, got 2"):
        topology.compile_for(case, vgg19, 1, jax.devices()[0])


@pytest.mark.parametrize("length", [1, 3])
def test_a_program_for_this_machine_is_accounted_for(vgg19, length, quick_compile):
    # The same path as for a topology, with a device that is there.
    case = Case(OBJECTIVE, 32)
    found = topology.compile_for(case, vgg19, length, jax.devices()[0])
    by_hand = step_flops(OBJECTIVE, vgg19, 32)
    row = topology.accounts(found, by_hand, 16.0)
    assert row["flops"] > by_hand  # four channels: all that is not counted weighs in
    state_bytes = sum(
        leaf.size * leaf.dtype.itemsize for leaf in [topology_image(32)] * 5
    )
    assert row["argument_mib"] * MIB > state_bytes
    assert row["fits"] is True


def topology_image(side):
    """One picture of the state: the image, two moments, average, last good."""
    return jax.ShapeDtypeStruct((1, side, side, 3), "float32")


@needs_libtpu
def test_an_unknown_topology_is_one_line():
    with pytest.raises(ValueError, match="no topology 'v5e:9x9x9'") as e:
        absent.load_devices("v5e:9x9x9")
    assert "\n" not in str(e.value)


@needs_libtpu
@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_step_compiles_for_a_v5e(vgg19, dtype):
    recipe = jnst.Recipe(style_layers=STYLE_LAYERS[:2], dtype=dtype, tv_weight=1.0)
    cases = [Case(recipe, 64)]
    row, chunk = topology.topology_rows("v5e:2x2", cases, vgg19, chunks=(1, 3))
    assert row["device_kind"] == "TPU v5 lite"
    assert (row["chunk"], chunk["chunk"]) == (1, 3)
    assert row["fits"] and chunk["fits"]
    # A loop's body counts once: XLA's figures are those of a step either way.
    assert chunk["flops"] < 2 * row["flops"]


def run(capsys, *arguments):
    code = main(["bench", *arguments])
    out, err = capsys.readouterr()
    return code, out, err


def test_the_command_without_libtpu_exits_2_before_any_work(monkeypatch, capsys):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: None if name == "libtpu" else find(name),
    )
    code, out, err = run(capsys, "--topology", "v5e:2x2", "--weights", "nowhere.h5")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1 and "pip install 'jnst[tpu]'" in err


@pytest.mark.parametrize("option", [["--peer", "keras"], ["--profile", "traces"]])
def test_what_would_time_is_refused_with_a_topology(capsys, option):
    code, _, err = run(capsys, "--topology", "v5e:2x2", *option)
    assert code == 2 and f"leave out {option[0]}" in err


@pytest.mark.parametrize("chunks", ["0", "1,x", "-1", "2.5"])
def test_what_is_no_number_of_steps_is_refused(capsys, chunks):
    code, _, err = run(capsys, "--topology", "v5e:2x2", "--chunks", chunks)
    assert code == 2 and "chunks must be whole numbers of at least 1" in err
    code, _, err = run(capsys, "--chunks", "1", "--weights", "nowhere.h5")
    assert code == 2 and "--chunks goes with --topology" in err


@pytest.fixture
def here(monkeypatch):
    """Lets this machine's CPU stand in for the topology's first device."""
    for module in (absent, topology):
        monkeypatch.setattr(module, "load_devices", lambda name: jax.devices())
    version = importlib.metadata.version
    monkeypatch.setattr(
        importlib.metadata,
        "version",
        lambda name: "0.0" if name == "libtpu" else version(name),
    )


def test_the_command_prints_and_writes_rows(
    here, vgg19, capsys, tmp_path, quick_compile
):
    weights, output = tmp_path / "tiny.safetensors", tmp_path / "rows.json"
    save_weights(vgg19, weights, title="tiny", licence="MIT")
    common = ["--topology", "v5e:2x2", "--weights", str(weights), "--sizes", "32"]
    common += ["--dtypes", "float32"]
    code, out, err = run(capsys, *common, "--json", "-o", str(output))
    assert code == 0, err
    document = json.loads(out)
    assert document == json.loads(output.read_text())
    assert document["schema"] == "jnst-bench-topology-1"
    assert [row["chunk"] for row in document["rows"]] == [1, 10]
    assert document["versions"]["libtpu"] == "0.0"
    assert document["rows"][0]["hbm_bytes"] == document["rows"][0]["bytes_accessed"]
    code, out, _ = run(capsys, *common, "--chunks", "1", "--json")
    assert [row["chunk"] for row in json.loads(out)["rows"]] == [1]
    code, out, _ = run(capsys, *common)
    assert code == 0 and "GB accessed" in out and "unknown" in out  # memory of a CPU
    assert "roofline, nothing timed" in out and "HBM MB" in out


def test_a_row_is_held_against_the_chips_sheet(
    here, vgg19, monkeypatch, capsys, tmp_path, quick_compile
):
    known = topology.load_devices("v5e:2x2")[0]
    chip = types.SimpleNamespace(device_kind="TPU v5 lite")
    for module in (absent, topology):
        monkeypatch.setattr(module, "load_devices", lambda name: [chip])
    compile_for = topology.compile_for
    monkeypatch.setattr(
        topology,
        "compile_for",
        lambda case, params, length, where: compile_for(case, params, length, known),
    )
    weights = tmp_path / "tiny.safetensors"
    save_weights(vgg19, weights, title="tiny", licence="MIT")
    common = ["--topology", "v5e:2x2", "--weights", str(weights), "--sizes", "32"]
    picture = tmp_path / "roof.png"
    options = ["--dtypes", "float32", "--json", "--roofline", str(picture)]
    code, out, err = run(capsys, *common, *options)
    assert code == 0 and f"wrote {picture}" in err
    assert picture.stat().st_size > 5000
    row = json.loads(out)["rows"][0]
    assert row["flops_xla"] == row["flops"]
    assert row["t_math_ms"] == pytest.approx(row["flops"] * 3 / 197e9)
    assert row["t_memory_ms"] == pytest.approx(row["hbm_bytes"] / 819e6)
    assert row["bound"] == "memory" and row["of_roofline"] is None
    assert row["hbm_bytes_source"].startswith("compiled text")
    assert row["hbm_bytes"] == pytest.approx(row["bytes_accessed"], rel=0.1)


def test_a_roofline_of_an_unknown_chip_is_refused_before_any_work(here, capsys):
    common = ["--topology", "v5e:2x2", "--weights", "nowhere.h5"]
    code, out, err = run(capsys, *common, "--roofline", "a.png")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1 and "--roofline needs a known peak and 'cpu'" in err
