"""Rows as a document, a table and CSV.

The document is what `--json` and `--output` give and `--against` reads: `SCHEMA` names
its form, and changes when a field changes its meaning.
"""

import csv
import datetime
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
from tabulate import tabulate

import jnst
from jnst.bench.host import surroundings
from jnst.bench.measure import Row
from jnst.bench.schema import SCHEMA, check_document, read_json
from jnst.drivers.record import device, versions
from jnst.files import atomic_write
from jnst.processor import cpu_name

COLUMNS: dict[str, tuple[str, str]] = {
    # Heading: (field of a row, format).
    "from": ("source", ""),
    "px": ("size_px", "d"),
    "batch": ("batch", "d"),
    "dtype": ("dtype", ""),
    "precision": ("precision", ""),
    "loss": ("loss", ""),
    "optimizer": ("optimizer", ""),
    "convolution": ("convolution", ""),
    "mode": ("mode", ""),
    "devices": ("devices", ""),
    "compile s": ("compile_s", ".1f"),
    "step ms": ("step_ms", ".4g"),
    "p10": ("step_ms_p10", ".4g"),
    "p90": ("step_ms_p90", ".4g"),
    "device ms": ("device_ms", ".4g"),
    "Mpx-steps/s": ("mpx_steps_per_s", ".3g"),
    "TFLOP/s": ("tflop_per_s", ".3g"),
    "MFU": ("utilisation", ".1%"),
    "HFU": ("hfu", ".1%"),
    "peak MiB": ("peak_mib", ".4g"),
    "first loss": ("first_loss", ".6g"),
    "peer": ("peer", ""),
    "variant": ("peer_variant", ""),
    "peer ms": ("peer_step_ms", ".4g"),
    "ratio": ("ratio", ".3f"),
    "RSS MiB": ("jnst_peak_rss_mib", ".0f"),
    "peer RSS MiB": ("peer_peak_rss_mib", ".0f"),
    "error": ("error", ""),
}
ALWAYS = {"px", "dtype", "loss", "step ms", "TFLOP/s", "MFU"}
"""Columns shown even where they say nothing new."""
DULL = ("batch", "optimizer", "convolution", "mode", "devices")
"""Columns left out where they say the same everywhere."""
SAMPLES = ("samples_ms", "peer_samples_ms", "blocks")
"""Fields too long for a line of CSV."""


def commit() -> str | None:
    """Name the commit that is running, "-dirty" if changed.

    Returns:
      None where it is not known: jnst is installed, or there is no git.
    """
    folder = Path(jnst.__file__).parent
    tracked = ["git", "ls-files", "--error-unmatch", Path(jnst.__file__).name]
    described = ["git", "describe", "--always", "--dirty", "--abbrev=10"]
    try:
        for command in (tracked, described):
            done = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, check=True
            )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def make_document(
    rows: Sequence[Row], *, weights: Mapping[str, Any], options: Mapping[str, Any]
) -> dict[str, Any]:
    """Gather rows and what they depend on.

    Args:
      rows: From `jnst.bench.measure.measure`.
      weights: What is known of the weights.
      options: What was asked for.

    Returns:
      A document that `jnst.files.write_json` takes.
    """
    return {
        "schema": SCHEMA,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "device": device(),
        "device_kind": jax.devices()[0].device_kind,
        "cpu": cpu_name(),
        "cores": len(os.sched_getaffinity(0)),
        "matmul_precision": jax.config.jax_default_matmul_precision,  # type: ignore[attr-defined]
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "surroundings": surroundings(),
        "versions": versions(),
        "weights": dict(weights),
        "options": dict(options),
        "rows": list(rows),
    }


def read_document(path: str | Path) -> dict[str, Any]:
    """Read a document written by `--output` or `--json`.

    Raises:
      FileNotFoundError: If there is no such file.
      ValueError: If it is no such document, or one of another schema; names the field
        that is wrong, see `jnst.bench.schema`.
    """
    document = read_json(path)
    check_document(document, where=str(path))
    return document


def flat(row: Row) -> Row:
    """Return a row without samples and with deciles as numbers of their own."""
    found: Row = {}
    for name, value in row.items():
        if name in SAMPLES:
            continue
        if name.endswith("_deciles"):
            stem = name.removesuffix("_deciles")
            found[f"{stem}_p10"], found[f"{stem}_p90"] = value
        elif isinstance(value, Mapping):
            found |= {f"{name}_{key}": each for key, each in value.items()}
        else:
            found[name] = value
    return found


def _text(name: str, value: Any, form: str) -> str:
    if value is None:
        return "unknown" if name in ("MFU", "TFLOP/s") else ""
    return format(value, form)


def table(rows: Sequence[Row]) -> str:
    """Return rows as an aligned table.

    A column that says the same everywhere about what was run (batch, optimiser) is left
    out where that is the default.
    """
    plain = [flat(row) for row in rows]
    shown = {}
    for name, (field, form) in COLUMNS.items():
        values = [row.get(field) for row in plain]
        dull = name in DULL and len(set(values)) == 1
        if name in ALWAYS or not (dull or all(v is None for v in values)):
            shown[name] = [_text(name, value, form) for value in values]
    plain_rows = list(zip(*shown.values(), strict=True))
    words = {
        "from",
        "dtype",
        "precision",
        "loss",
        "optimizer",
        "convolution",
        "mode",
        "devices",
        "peer",
        "variant",
        "error",
    }
    align = ["left" if name in words else "right" for name in shown]
    return tabulate(
        plain_rows, headers=list(shown), colalign=align, disable_numparse=True
    )


def heading(document: Mapping[str, Any]) -> str:
    """Return a line on where and with what a document was measured."""
    weights = document["weights"].get("title") or "given weights"
    code = f", commit {document['commit']}" if document["commit"] else ""
    return (
        f"{document['device']}, {document['cores']} usable; JAX "
        f"{document['versions']['jax']}{code}; {weights}; medians of "
        f"{document['options'].get('repeats')} calls"
    )


def memory_table(rows: Sequence[Row]) -> str:
    """Return resident memory of us and a peer by stage; "" where none was measured."""
    stages = {
        "after import": "import",
        "with weights": "loaded",
        "peak of steps": "peak",
    }
    found = [
        {"px": row["size_px"], "side": name}
        | {
            words: f"{row[f'{side}_{stage}_rss_mib']:.0f}"
            for words, stage in stages.items()
        }
        for row in rows
        for side, name in (("jnst", "jnst"), ("peer", row.get("peer")))
        if row.get(f"{side}_peak_rss_mib") is not None
    ]
    return tabulate(found, headers="keys") if found else ""


def write_csv(path: str | Path, rows: Sequence[Row]) -> None:
    """Write rows as CSV, whole or not at all; samples are left to JSON."""
    plain = [flat(row) for row in rows]
    names = list(dict.fromkeys(name for row in plain for name in row))
    with (
        atomic_write(path) as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(plain)
