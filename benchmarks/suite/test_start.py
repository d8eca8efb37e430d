"""Cold start: fresh processes, from their beginning to what a user waits for.

The first process finds jnst's cache folder empty, the others what it left there. JAX's
own settings of a cache, if the user has any, are left out.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jnst.bench.measure import time_in_turn

FIRST_STEP = Path(__file__).with_name("first_step.py")
COMMANDS = {
    "import jnst": ["-c", "import jnst"],
    "jnst --help": ["-m", "jnst", "--help"],
}


@pytest.fixture
def run(tmp_path):
    """Runs a Python process with a cache folder of its own; its standard output."""
    own = {k: v for k, v in os.environ.items() if "COMPILATION_CACHE" not in k}
    environment = {**own, "XDG_CACHE_HOME": str(tmp_path)}

    def call(*arguments):
        command = [sys.executable, *map(str, arguments)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{command} failed:\n{done.stderr}")
        return done.stdout

    return call


def fields(what, seconds, **more):
    return {"what": what, "s": float(np.median(seconds)), "samples_s": seconds, **more}


def test_first_step(plan, weights_file, run, harness, record, benchmark):
    benchmark.group = "start"
    found = []

    def start():
        found.append(json.loads(run(FIRST_STEP, plan.start_px, weights_file)))

    for cache, timer, times in (
        ("empty", time_in_turn, 1),
        ("warm", harness, plan.starts),
    ):
        seconds = timer({cache: start}, times)[cache]
        phases = {k: v for k, v in found[-1].items() if k.endswith("_s")}
        about = {"size_px": plan.start_px, "shape": found[-1]["shape"], "cache": cache}
        record("starts", fields("first step", seconds, **about, phases=phases))


@pytest.mark.parametrize("what", COMMANDS)
def test_command(what, plan, run, harness, record, benchmark):
    benchmark.group = "start"
    run(*COMMANDS[what])  # files into memory, as for the first step
    seconds = harness({what: lambda: run(*COMMANDS[what])}, plan.starts)[what]
    record("starts", fields(what, seconds))
