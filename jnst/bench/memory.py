"""Peak resident memory of one side alone, each in a fresh process (Linux).

In one process, importing PyTorch would count for JAX and the other way round. Run as a
module this file is our side; PyTorch's is `torch_peer.py`, run as a script.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jnst.base import Params
from jnst.bench.cases import Case
from jnst.bench.measure import MIB
from jnst.bench.prepared import network_of, prepare
from jnst.files import as_json, write_json
from jnst.memory import peak_bytes, release_freed
from jnst.program import keep_programs
from jnst.recipes.settings import read_record, record
from jnst.weights.network import as_arrays, as_params

CALLS = 3
"""Calls of the step: enough for every buffer to exist twice if it ever does."""


def resident_mib() -> float | None:
    """Return this process's highest resident memory so far (Linux), in MiB."""
    found = peak_bytes()
    return None if found is None else found / MIB


def main(arrays_path: str, spec_path: str, out_path: str) -> None:
    """Run a few steps of a case and write what memory they took."""
    found = {"import": resident_mib()}
    keep_programs()  # as the command line does; the parent has left them on disk
    spec = json.loads(Path(spec_path).read_text(encoding="utf-8"))
    recipe = read_record(spec["recipe"])
    with np.load(arrays_path) as arrays:
        params = jax.block_until_ready(as_params(arrays))
    release_freed()  # as `load_weights` does
    found["loaded"] = resident_mib()
    case = Case(recipe, spec["size_px"], spec["batch"])
    params = network_of(case, params).params  # as `stylize` does
    release_freed()
    prepared = prepare(case, params)
    for _ in range(CALLS):
        prepared.step()
    found["peak"] = resident_mib()
    write_json(out_path, found)


def _run(
    command: list[str],
    arrays: Mapping[str, np.ndarray],
    spec: Mapping[str, Any],
    folder: Path,
) -> dict[str, Any]:
    """Run one side in a process of its own and read what it found, or its error."""
    paths = [folder / name for name in ("arrays.npz", "spec.json", "out.json")]
    np.savez(paths[0], **arrays)  # type: ignore[arg-type]
    paths[1].write_text(json.dumps(as_json(spec)), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, *command, *map(str, paths)], capture_output=True, text=True
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit {done.returncode}"]
        return {"error": last[0]}
    return json.loads(paths[2].read_text(encoding="utf-8"))


def torch_and_jnst_memory(
    case: Case,
    params: Params,
    arrays: Mapping[str, np.ndarray],
    spec: Mapping[str, Any],
) -> dict[str, Any]:
    """Measure peak resident memory of both sides, one after the other.

    Args:
      case: What we run.
      params: Parameters of the network.
      arrays: What PyTorch's side starts from.
      spec: What it runs, with the name of its variant.

    Returns:
      {"jnst_peak_rss_mib", "peer_peak_rss_mib"} and the same after the bare import
      ("import") and with weights loaded ("loaded"); "jnst_memory_error" or
      "peer_memory_error" where a process failed; nothing on an accelerator, where
      memory on the host says little.
    """
    if jax.default_backend() != "cpu":
        return {}
    ours = {"recipe": record(case.recipe), "size_px": case.size_px, "batch": case.batch}
    with tempfile.TemporaryDirectory(prefix="jnst-bench-") as name:
        folder = Path(name)
        us = _run(["-m", "jnst.bench.memory"], as_arrays(params), ours, folder)
        script = str(Path(__file__).with_name("torch_peer.py"))
        them = _run([script], arrays, {**spec, "calls": CALLS}, folder)
    row: dict[str, Any] = {}
    for side, found in (("jnst", us), ("peer", them)):
        for stage, value in found.items():
            failed = stage == "error"
            row[f"{side}_memory_error" if failed else f"{side}_{stage}_rss_mib"] = value
    return row


if __name__ == "__main__":
    main(*sys.argv[1:])
