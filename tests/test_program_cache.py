"""Compiled programs outlive the process, without changing what a run gives."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnst import program
from jnst.processor import cpu_digest

RUN = """
import json, sys
import jax
sys.path.insert(0, "tests")
from tiny import picture, tiny_params
import jnst
jnst.keep_programs()
run = jnst.stylize(
    picture(24, 20), picture(22, 26, seed=1), steps=3, weights=tiny_params(),
    style_layers=("relu1_1", "relu2_1"), content_layers=("relu2_2",),
    style_layer_weights=(), convolution="winograd",
)
folder = jax.config.jax_compilation_cache_dir
print(json.dumps([folder, [float(x) for x in run.history["loss"]]]))
"""


def run(tmp_path, **environment):
    """Run three steps in a fresh process; its cache folder and losses."""
    environment = {"XDG_CACHE_HOME": str(tmp_path), **environment}
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return json.loads(done.stdout)


def files(folder):
    """Programs by name; beside each lies the time of its last use."""
    return sorted(path.name for path in folder.rglob("*-cache"))


@pytest.mark.slow
def test_a_second_process_reads_the_programs_and_gives_the_same_losses(tmp_path):
    folder, first = run(tmp_path)
    kept = files(tmp_path)
    assert folder.startswith(str(tmp_path / "jnst" / "programs"))
    assert any("run_chunk" in name for name in kept)  # the step itself
    assert (tmp_path / "jnst" / "programs").stat().st_mode & 0o077 == 0
    _, second = run(tmp_path)
    assert second == first  # to the bit: it is the same program
    assert files(tmp_path) == kept  # and nothing was compiled


@pytest.mark.slow
def test_a_folder_of_the_users_own_is_left_alone(tmp_path):
    mine = tmp_path / "mine"
    folder, _ = run(tmp_path, JAX_COMPILATION_CACHE_DIR=str(mine))
    assert folder == str(mine)
    assert not (tmp_path / "jnst" / "programs").exists()


def test_nothing_is_kept_where_jax_is_told_not_to():
    """As in this process, see conftest.py."""
    assert program.keep_programs.__wrapped__() is None


def test_the_folder_is_named_by_the_processor():
    name = cpu_digest()
    assert name == cpu_digest()
    assert len(name) == 16 and int(name, 16) >= 0


@pytest.mark.parametrize("told", ["flags\t\t: avx2", "Features\t: asimd"])
def test_other_instructions_have_another_folder(told, tmp_path):
    for name, line in (("one", told), ("same", told), ("other", told + " more")):
        (tmp_path / name).write_text(f"processor\t: 0\n{line}\n\nprocessor\t: 1\n")
    one, same, other = (
        cpu_digest(known=tmp_path / x) for x in ("one", "same", "other")
    )
    assert one == same != other


@pytest.mark.parametrize("native", [False, True])
def test_products_in_bfloat16_are_left_to_ynnpack(monkeypatch, native):
    monkeypatch.setattr(program, "multiplies_bfloat16", lambda: native)
    whole, half = jnp.ones(2), {"a": [jnp.ones(2, jnp.bfloat16)]}
    assert not program.in_half([whole, 3])
    assert program.in_half([whole, half]) == native
    if jax.default_backend() == "cpu":
        usual, other = (program.compiler_options(half=x) for x in (False, True))
        assert usual == {**other, program.YNNPACK: ""} != other


def twice(x):
    return 2 * x


@pytest.mark.parametrize("on_disk", [False, True])
def test_programs_are_forgotten_only_where_the_disk_has_them(monkeypatch, on_disk):
    monkeypatch.setattr(program, "_FOLDERS", [Path("somewhere")] if on_disk else [])
    found, _ = program.compiled(twice, (jnp.ones(3),))
    np.testing.assert_array_equal(found(jnp.ones(3)), 2)
    program.forget(found)
    assert found._cache_size() == (0 if on_disk else 1)
    np.testing.assert_array_equal(found(jnp.ones(3)), 2)  # and can be had again
