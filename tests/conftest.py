"""Fixtures that several test files share, and compiled programs that all share."""

import os
import shutil
import tempfile
from pathlib import Path

import jax
import pytest
from tiny import tiny_params

from jnst import program
from jnst.bench import measured_peaks

# A mistaken broadcast of [C] against [1, H, W, C] is an error, not a silent result.
jax.config.update("jax_numpy_rank_promotion", "raise")
PROGRAMS = "JNST_TEST_PROGRAMS"
"""Variable that tells the processes of a run where compiled programs are."""
QUICK = {"xla_cpu_use_fusion_emitters": False}
"""Without optimisations XLA's older emitters compile faster."""
MOST_MAPS = 20_000
"""Memory maps of a process above which programs go: Linux ends at 65530."""


def pytest_configure(config):
    """Keeps programs for the run: many tests compile what others have compiled."""
    if not hasattr(config, "workerinput"):
        os.environ[PROGRAMS] = tempfile.mkdtemp(prefix="jnst-tests-")
    jax.config.update("jax_compilation_cache_dir", os.environ[PROGRAMS])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


def pytest_unconfigure(config):
    """Leaves nothing behind."""
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ.pop(PROGRAMS), ignore_errors=True)


@pytest.fixture(params=[lambda fn: fn, jax.jit], ids=["eager", "jit"])
def maybe_jit(request):
    """Runs a test twice: as written, and compiled."""
    return request.param


@pytest.fixture(scope="module", autouse=True)
def few_programs():
    """Lets go of all programs where a file has left more maps than `MOST_MAPS`."""
    yield
    maps = Path("/proc/self/maps")
    if not maps.exists() or maps.read_bytes().count(b"\n") > MOST_MAPS:
        jax.clear_caches()


@pytest.fixture(scope="session", autouse=True)
def quick_peaks():
    """Measures a CPU's peaks by small products, should a benchmark ask for them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(measured_peaks.SIDES, "cpu", 256)
        patch.setitem(measured_peaks.TRIAD_MIB, "cpu", 4)
        yield


@pytest.fixture(scope="module")
def chromium():
    """Headless Chromium of the system; tests that ask for it are skipped without it.

    Of a file's scope: playwright's loop must not run while others use asyncio.
    """
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("needs chromium, as in `apt-get install chromium`")
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def vgg19():
    """A VGG19 of four channels a layer, with Caffe's preprocessing."""
    return tiny_params("vgg19")


@pytest.fixture(scope="session")
def vgg16():
    """A VGG16 of four channels a layer, with Caffe's preprocessing."""
    return tiny_params("vgg16")


@pytest.fixture(scope="module")
def quick_compile():
    """Compiles a whole file without XLA's optimisations: three times faster, once run.

    Of the scope of a file's own fixtures, so that they are compiled like its tests.
    """
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture(scope="module")
def quicker_compile(quick_compile):
    """Compiles runs by XLA's older emitters too, where the last digits do not count."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(program.COMPILER_OPTIONS, "cpu", QUICK)
        _forget_programs()
        yield
    _forget_programs()


def _forget_programs():
    program.compiler_options.cache_clear()
    program.jitted.cache_clear()
