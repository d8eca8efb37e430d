"""Same machine, same versions: the same bits. What README says of it, held.

On a CPU the number of cores that a process may use decides how sums are cut, and with
it the last digits; so does whether matrix products may have several threads.
"""

import hashlib
import json
import os
import subprocess
import sys

import jax
import numpy as np
import pytest
from tiny import picture, tiny_params

import jnst

RUN = """
import hashlib, json, os, sys
cores = int(sys.argv[1])
if cores:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
sys.path.insert(0, "tests")
from test_determinism import digest, run
import jnst
jnst.keep_programs()
result = run()
print(json.dumps([digest(result), float(result.history["loss"][-1])]))
"""
FIELDS = {
    "style_layers": ("relu1_1", "relu2_1"),
    "content_layers": ("relu2_2",),
    "style_layer_weights": (),
}


def run(content=None, **changes):
    """Five steps of a picture large enough to be cut for several cores."""
    content = picture(96, 100) if content is None else content
    fields = {"steps": 5, "convolution": "winograd", **FIELDS, **changes}
    style = picture(90, 96, seed=1)
    return jnst.stylize(content, style, weights=tiny_params(), init="noise", **fields)


def digest(result):
    """SHA-256 of a result's picture and history, every bit of them."""
    arrays = [result.image, *(result.history[k] for k in sorted(result.history))]
    return hashlib.sha256(b"".join(x.tobytes() for x in arrays)).hexdigest()


def elsewhere(tmp_path, *, cores=0, flags=""):
    """The same run in a process of its own: digest and last loss."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(cores)],
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path), "XLA_FLAGS": flags},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_two_runs_of_a_process_have_the_same_bits(quicker_compile):
    first = digest(run())
    assert digest(run()) == first
    assert digest(run(seed=1)) != first
    jax.clear_caches()  # programs come from the disk, or are compiled anew
    assert digest(run()) == first


@pytest.mark.slow
def test_processes_and_kept_programs_change_no_bit(tmp_path):
    first, _ = elsewhere(tmp_path / "a")  # compiled
    assert list((tmp_path / "a").rglob("*run_chunk*-cache"))
    assert elsewhere(tmp_path / "a")[0] == first  # found on disk
    assert elsewhere(tmp_path / "b")[0] == first  # compiled again


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="of Linux")
@pytest.mark.parametrize(
    "how",
    [{"cores": 1}, {"flags": "--xla_cpu_multi_thread_eigen=false"}],
    ids=["one core", "one thread"],
)
def test_other_threads_change_last_digits_alone(how, tmp_path):
    usual, other = elsewhere(tmp_path / "a"), elsewhere(tmp_path / "b", **how)
    assert other[1] == pytest.approx(usual[1], rel=1e-2)
    assert elsewhere(tmp_path / "c", **how)[0] == other[0]  # the same each time


@pytest.mark.slow
def test_a_picture_of_a_batch_is_its_run_alone_to_rounding():
    contents = np.stack([picture(96, 100, seed) for seed in range(3)])
    batch, turned = run(contents), run(contents[::-1].copy())
    assert digest(run(contents)) == digest(batch)
    for n, content in enumerate(contents):
        alone = run(content)
        for found in (batch.history["loss"][n], turned.history["loss"][2 - n]):
            np.testing.assert_allclose(found[0], alone.history["loss"][0], rtol=1e-5)
            np.testing.assert_allclose(found, alone.history["loss"], rtol=1e-3)
