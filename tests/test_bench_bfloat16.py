"""The warning that bfloat16 is slower: by the processor's flags, on a CPU alone."""

import jax
import pytest
from tiny import picture, tiny_params

from jnst.bench import bfloat16
from jnst.bench.bfloat16 import slow_bfloat16
from jnst.cli.main import main
from jnst.image import save_image
from jnst.weights import save_weights

pytestmark = pytest.mark.usefixtures("quick_compile")
AVX2 = "processor\t: 0\nflags\t\t: fpu avx avx2\n\nprocessor\t: 1\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd\n"


def told(tmp_path, text, dtypes=("bfloat16",)):
    (tmp_path / "cpuinfo").write_text(text)
    return slow_bfloat16(dtypes, known=tmp_path / "cpuinfo")


def test_a_cpu_without_the_instructions_is_warned_of(tmp_path):
    line = told(tmp_path, AVX2, ("float32", "bfloat16"))
    assert line == (
        "dtype=bfloat16 is slower than float32, at best as fast, on this CPU, which "
        "has neither avx512_bf16 nor amx_bf16"
    )
    assert told(tmp_path, AVX2, ("float32",)) is None


@pytest.mark.parametrize("flag", bfloat16.INSTRUCTIONS)
def test_one_of_the_instructions_will_do(flag, tmp_path):
    assert told(tmp_path, AVX2.replace("avx2", flag)) is None


def test_nothing_is_said_where_nothing_is_known(tmp_path):
    assert told(tmp_path, ARM) is None
    assert slow_bfloat16(["bfloat16"], known=tmp_path / "absent") is None


def test_an_accelerator_is_not_warned_of(tmp_path, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert told(tmp_path, AVX2) is None


@pytest.fixture
def old_cpu(monkeypatch):
    """A processor of x86 without such instructions."""
    monkeypatch.setattr(bfloat16, "cpu_flags", lambda **_: {"avx2"})


@pytest.fixture
def tiny_file(tmp_path):
    path = tmp_path / "tiny.safetensors"
    save_weights(tiny_params(), path, title="tiny VGG19 for tests", licence="MIT")
    return str(path)


def warnings_of(capsys):
    lines = capsys.readouterr().err.splitlines()
    return [line for line in lines if "warning" in line]


@pytest.mark.parametrize(("dtype", "count"), [("bfloat16", 1), ("float32", 0)])
def test_stylize_says_it_once(dtype, count, old_cpu, tiny_file, tmp_path, capsys):
    given = [str(tmp_path / name) for name in ("c.png", "s.png")]
    for path in given:
        save_image(path, picture(32, 32))
    options = ("-o", str(tmp_path / "o.png"), "--steps", "1", "--recipe", "gatys")
    options += ("--weights", tiny_file, "--set", f"dtype={dtype}", "--size", "32")
    assert main(["stylize", *given, *options, "--set", "min_size_px=32"]) == 0
    found = warnings_of(capsys)
    assert len(found) == count
    assert all("bfloat16 is slower than float32, at best" in x for x in found)


@pytest.mark.parametrize(("dtypes", "count"), [("float32,bfloat16", 1), ("float32", 0)])
def test_bench_says_it_once(dtypes, count, old_cpu, tiny_file, capsys):
    options = ("--sizes", "32", "--weights", tiny_file, "--set", "steps=2")
    assert main(["bench", *options, "--dtypes", dtypes, "--repeats", "1"]) == 0
    found = warnings_of(capsys)
    assert len(found) == count
    assert all("bfloat16 is slower than float32, at best" in x for x in found)
