"""`jnst doctor`: what it sees of machine, weights and a known run, and how it ends."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest
from tiny import tiny_params

from jnst.cli.main import main
from jnst.doctor import device, folders, machine, processor, report, smoke
from jnst.doctor.finding import BROKEN, LOOK, OK, Finding, Found, without_names
from jnst.processor import cpu_flags
from jnst.weights import save_weights

pytestmark = pytest.mark.usefixtures("quicker_compile")


@pytest.fixture(autouse=True)
def plain_machine(monkeypatch, tmp_path):
    """No driver, no packages with weights, an empty cache, no variables."""
    monkeypatch.setattr(device, "asked_of_driver", lambda names: [])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("JNST_WEIGHTS", "JAX_PLATFORMS", "XLA_FLAGS", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)


def tree(root, **files):
    for path, text in files.items():
        file = root / path.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def bus(root, vendor, kind):
    return tree(
        root,
        sys__bus__pci__devices__one__vendor=f"{vendor}\n",
        **{"sys__bus__pci__devices__one__class": f"{kind}\n"},
    )


@pytest.mark.parametrize(
    ("files", "pci", "seen"),
    [
        ({}, None, {}),
        ({"dev__nvidiactl": ""}, None, {}),
        ({"dev__nvidia0": ""}, None, {"nvidia"}),
        ({}, (device.NVIDIA, "0x030200"), {"nvidia"}),
        ({}, (device.NVIDIA, "0x020000"), set()),  # a network card
        ({"dev__accel0": ""}, None, {"tpu"}),
        ({"dev__vfio__0": ""}, (device.GOOGLE, "0xff0000"), {"tpu"}),
        ({"dev__vfio__0": ""}, None, set()),  # anything may be passed through
        ({}, (device.AMD, "0x030000"), set()),  # every laptop's
        ({"dev__kfd": ""}, None, {"amd"}),
    ],
)
def test_accelerators_are_seen_whatever_jax_sees(files, pci, seen, tmp_path):
    tree(tmp_path, **files)
    if pci:
        bus(tmp_path, *pci)
    assert set(device.accelerators(root=tmp_path)) == set(seen)


@pytest.mark.parametrize(
    ("driver", "extra"),
    [("550.54.15", "cuda12"), ("580.65.06", "cuda13"), (None, "cuda13")],
)
def test_an_idle_gpu_is_told_loudly_with_what_to_install(driver, extra, monkeypatch):
    told = {"name": [["NVIDIA", "H200"]], "driver_version": driver and [[driver]]}
    monkeypatch.setattr(device, "asked_of_driver", lambda names: told[names[0]] or [])
    monkeypatch.setattr(device, "installed", lambda name: None)
    found = device.devices()
    loud = found.findings[1]
    assert loud.state == BROKEN and "GPU IS HERE" in loud.text
    assert "H200" in loud.text and loud.advice == f"pip install 'jnst[{extra}]'"


def test_what_a_user_chose_is_no_fault(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    found = device.unused("nvidia", "/dev/nvidia0")
    assert found.state == LOOK and "CUDA_VISIBLE_DEVICES is ''" in found.advice


def test_a_plugin_of_another_version_is_named(monkeypatch):
    known = {"jax-cuda12-plugin": "0.4.1", "jaxlib": "0.10.2"}
    monkeypatch.setattr(device, "installed", known.get)
    found = device.unused("nvidia", "/dev/nvidia0")
    assert "jax-cuda12-plugin 0.4.1 is beside jaxlib 0.10.2" in found.advice


@pytest.mark.parametrize(
    ("flags", "used", "xla", "words"),
    [
        ({"avx2", "fma"}, {"avx2", "fma"}, "", ["JAX compiles with avx2, fma"]),
        ({"avx2", "fma"}, {"sse2"}, "", ["compiles without avx2, fma"]),
        ({"avx2"}, {"avx2"}, "--xla_cpu_max_isa=AVX2", ["at AVX2"]),
        ({"avx2"}, {"sse2"}, "--xla_cpu_max_isa=SSE4_2", ["SSE4_2", "without avx2"]),
        ({"amx_bf16"}, {"amx-bf16"}, "", ["with amx_bf16", "bfloat16 itself"]),
        (set(), set(), "", ["for this CPU"]),  # not of x86
    ],
)
def test_instructions_that_stay_unused_are_told(flags, used, xla, words, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", xla)
    lines = list(processor._lines(flags, used))
    assert len(lines) == len(words)
    for line, word in zip(lines, words, strict=True):
        assert word in line.text and bool(line.advice) == (line.state != OK)


def test_a_program_tells_what_it_is_compiled_for():
    used = processor.compiled_for()
    has = {processor.SPELT[name] for name in processor.SPELT if name in cpu_flags()}
    assert used >= has
    assert not has or used  # on x86 it tells


@pytest.mark.slow
def test_a_cap_on_instructions_is_seen_in_a_program():
    words = "from jnst.doctor import processor as p; print(sorted(p.compiled_for()))"
    done = subprocess.run(
        [sys.executable, "-c", words],
        env={**os.environ, "XLA_FLAGS": "--xla_cpu_max_isa=SSE4_2"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "avx" not in done.stdout.replace("'avx512", "")
    assert "sse2" in done.stdout or "sse2" not in cpu_flags()


def test_no_weights_are_worth_a_look_alone():
    (finding,) = folders.weights().findings
    assert finding.state == LOOK and "jnst weights fetch vgg19" in finding.advice


def test_weights_are_verified_to_the_bit(tmp_path, monkeypatch):
    path = tmp_path / "jnst" / "vgg19.safetensors"
    path.parent.mkdir()
    save_weights(tiny_params(), path)
    assert [line.state for line in folders.weights().findings] == [OK]
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)
    (finding,) = folders.weights().findings
    assert finding.state == BROKEN and "damaged" in finding.text
    monkeypatch.setenv("JNST_WEIGHTS", str(tmp_path / "none.h5"))
    first = folders.weights().findings[0]
    assert first.state == BROKEN and "unset JNST_WEIGHTS" in first.advice


def test_the_cache_is_measured_and_its_leftovers_named(tmp_path, monkeypatch):
    programs = tmp_path / "jnst" / "programs" / "cpu"
    programs.mkdir(parents=True)
    (programs / "a").write_bytes(bytes(3 * 2**20))
    (tmp_path / "jnst" / ".jnst-0123.safetensors").write_bytes(bytes(2**20))
    found = folders.caches()
    sizes = {what: row["mib"] for what, row in found.facts["parts"].items()}
    assert sizes == {"weights": 1, "converted weights": 0, "programs": 3}
    assert [line.state for line in found.findings] == [OK, LOOK]
    assert ".jnst-0123" in found.findings[1].text
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/none")  # not even root may write there
    words = folders.caches().findings[-1]
    assert words.state == LOOK and "set XDG_CACHE_HOME" in words.advice


def test_memory_and_disk_say_what_is_little(monkeypatch):
    assert [line.state for line in machine.memory().findings] == [OK]
    monkeypatch.setattr(machine, "available_bytes", lambda: 10 * 2**20)
    monkeypatch.setattr(machine, "LITTLE_DISK_MIB", 2**40)
    assert "--tile-px auto" in machine.memory().findings[0].advice
    assert "make room" in machine.disk().findings[0].advice


def test_the_smoke_run_has_the_losses_it_must_have():
    found = smoke.smoke()  # no weights here: seeded ones
    assert found.facts["weights"] == "random" and found.facts["difference"] > 0
    assert [line.state for line in found.findings] == [OK]


@pytest.mark.slow
@pytest.mark.weights
def test_the_smoke_run_of_real_weights_too(monkeypatch):
    monkeypatch.undo()
    found = smoke.smoke()
    assert found.facts["weights"] == "vgg19"
    assert [line.state for line in found.findings] == [OK]


@pytest.mark.parametrize(("factor", "state"), [(1.00001, OK), (1.01, BROKEN)])
def test_a_loss_beyond_the_tolerance_is_broken(factor, state):
    wanted = smoke.known()["losses"]["random"]["loss"]
    found = smoke.judged("random", [wanted[0], wanted[1] * factor, wanted[2]], known())
    assert [line.state for line in found.findings] == [state]


def test_a_loss_that_is_no_number_is_broken():
    found = smoke.judged("random", [float("nan")] * 3, known())
    assert found.findings[0].state == BROKEN


def known():
    return smoke.known()


def test_nobody_is_named_in_a_report():
    told = {
        "a": "'/home/ann/.cache/x'",
        "/home/ann": ["/scratch/ann/y", "/home/annabel", "ann"],
        "b": Finding("disk", OK, "/home/ann: full"),
    }
    assert without_names(told, home="/home/ann", user="ann") == {
        "a": "'~/.cache/x'",
        "~": ["/scratch/USER/y", "/home/annabel", "ann"],
        "b": Finding("disk", OK, "~: full"),
    }


def test_a_check_that_fails_is_a_finding_and_code_1(monkeypatch, capsys):
    def fail():
        raise RuntimeError("no such\nthing")

    monkeypatch.setattr(report, "CHECKS", {"device": device.devices, "disk": fail})
    assert main(["doctor", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["well"] is False and found["facts"]["disk"] == {
        "error": "RuntimeError"
    }
    assert "no such thing" in found["findings"][-1]["text"]


def test_findings_are_lines_with_what_to_do(monkeypatch, capsys):
    def look():
        return Found({}, [Finding("disk", LOOK, "little room", "make room")])

    monkeypatch.setattr(report, "CHECKS", {"disk": look})
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert (
        lines[0] == "LOOK    disk  little room" and lines[1].strip() == "-> make room"
    )
    assert lines[2] == "all is well, 1 to look at"


def test_without_a_device_nothing_that_needs_one_is_tried(monkeypatch):
    def none(*given):
        raise RuntimeError("no backend")

    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    monkeypatch.setattr(device.jax, "devices", none)
    monkeypatch.setattr(report, "CHECKS", {"device": device.devices, "cpu": none})
    found = report.diagnose(lambda stage: None)
    assert [line["topic"] for line in found["findings"]] == ["device"]
    assert "JAX_PLATFORMS is 'cuda'" in found["findings"][0]["text"]
