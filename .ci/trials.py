"""Runs of pytest on a copy of the tree, each a fork of this process."""

import os
import resource
import signal
import sys
import time
import traceback
from pathlib import Path

UNSEEN = "survived"


def child(tree: Path, tests: list[str], limit_s: float) -> None:
    """Be pytest in a process of its own; never returns."""
    os.setsid()
    os.chdir(tree)
    out = os.open(tree.parent / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    resource.setrlimit(resource.RLIMIT_CPU, (int(limit_s), int(limit_s)))
    sys.path[:0] = [str(tree), str(tree / "tests")]
    os.environ["PYTHONPATH"] = str(tree)
    code = 99
    try:
        import jax
        import pytest

        class Programs:
            """Compiles without optimisation, and keeps the programs in a folder."""

            def pytest_collection(self) -> None:
                """Come after conftest.py, which turns that off."""
                jax.config.update("jax_disable_most_optimizations", True)
                jax.config.update("jax_enable_compilation_cache", True)
                jax.config.update("jax_compilation_cache_dir", str(tree / ".programs"))
                jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)

        options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
        options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
        code = int(pytest.main([*options, *tests], plugins=[Programs()]))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def run(tree: Path, tests: list[str], limit_s: float) -> tuple[str, float]:
    """Run tests in a copy of the tree: "killed", "survived" or "timeout", and seconds.

    Seconds are the processor's: a machine that others share makes no timeouts. Who
    waits for ever is stopped after ten times as long.
    """
    begun = time.monotonic()
    process = os.fork()
    if process == 0:
        child(tree, tests, limit_s)
    while True:
        ended, status, used = os.wait4(process, os.WNOHANG)
        if ended:
            break
        if time.monotonic() - begun > 10 * limit_s:
            os.killpg(process, signal.SIGKILL)
        time.sleep(0.05)
    code = os.waitstatus_to_exitcode(status)
    late = code in (-signal.SIGKILL, -signal.SIGXCPU)
    result = "timeout" if late else "killed" if code else UNSEEN
    return result, used.ru_utime + used.ru_stime


def write(tree: Path, path: str, source: str) -> None:
    """Write a module into the copy, and drop what Python has compiled of it."""
    file = tree / path
    file.write_text(source)
    for each in (file.parent / "__pycache__").glob(f"{file.stem}.*"):
        each.unlink()
