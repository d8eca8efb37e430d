"""Times to quality as a document, a table, and beside an earlier one.

JSON knows no infinity: a median that missed the target is null with "reached": false.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
from tabulate import tabulate

from jnst.bench.report import make_document
from jnst.bench.schema import read_json
from jnst.bench.to_quality import Row, median_s

SCHEMA = "jnst-bench-quality-1"
WORKLOAD = ("pair", "size_px", "target", "judge", "weights_sha256")
"""Fields of a document that say what was to be done; others say how it was done."""
COLUMNS = {
    # Heading: (field of a row, format).
    "seed": ("seed", "d"),
    "to target s": ("to_target_s", ".2f"),
    "wall s": ("wall_s", ".2f"),
    "loop s": ("loop_s", ".2f"),
    "compile s": ("compile_s", ".2f"),
    "judging s": ("judging_s", ".2f"),
    "steps": ("steps", "d"),
    "of": ("budget_steps", "d"),
    "loss": ("loss", ".6g"),
}


def quality_document(
    rows: Sequence[Row],
    *,
    workload: Mapping[str, Any],
    weights: Mapping[str, Any],
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """Gather runs and what they depend on.

    Args:
      rows: From `run_to`, one a seed.
      workload: "pair", "size_px", "target" and "judge".
      weights: What is known of the weights.
      options: What was asked for.

    Returns:
      A document that `jnst.files.write_json` takes.
    """
    found = median_s(rows) if rows else math.inf
    config: Any = jax.config
    return {
        **make_document(rows, weights=weights, options=options),
        "schema": SCHEMA,
        **workload,
        "weights_sha256": weights.get("tensors_sha256"),
        "programs_from": config.jax_compilation_cache_dir,
        "reached": math.isfinite(found),
        "median_s": found if math.isfinite(found) else None,
    }


def read_quality(path: str | Path) -> dict[str, Any]:
    """Read a document that `--to-quality -o` wrote.

    Raises:
      FileNotFoundError: If there is no such file.
      ValueError: If it is no such document.
    """
    document = read_json(path)
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != SCHEMA:
        raise ValueError(
            f"{str(path)!r} has schema {schema!r}, --to-quality reads {SCHEMA!r}; "
            "measure again with `jnst bench --to-quality --output FILE.json`"
        )
    return document


def check_workload(now: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    """Raise `ValueError` unless two documents, or what one will say, have one task."""
    for name in WORKLOAD:
        if now[name] != before.get(name):
            raise ValueError(
                f"--against had another task: {name} is {now[name]}, there it was "
                f"{before.get(name)}"
            )


def compare_quality(
    now: Mapping[str, Any], before: Mapping[str, Any], *, threshold: float
) -> dict[str, Any]:
    """Compare two medians.

    Args:
      now: This run's document.
      before: An earlier one of the same task.
      threshold: Ratio above which this one is "slower".

    Returns:
      "before_s" and "now_s", None for a miss; their "ratio", None where one missed;
      and a "verdict": "slower" also where this one alone missed.
    """
    found: dict[str, Any] = {
        "before_s": before["median_s"],
        "now_s": now["median_s"],
        "ratio": None,
    }
    if found["now_s"] is None:
        verdict = "slower" if before["reached"] else "both missed the target"
    elif found["before_s"] is None:
        verdict = "faster"
    else:
        found["ratio"] = found["now_s"] / found["before_s"]
        small = "faster" if found["ratio"] < 1 else "not faster, within the threshold"
        verdict = "slower" if found["ratio"] > threshold else small
    return found | {"verdict": verdict}


def quality_heading(document: Mapping[str, Any]) -> str:
    """Return a line on the task, and where it was done."""
    title = document["weights"].get("title") or "given weights"
    return (
        f"{document['pair']} at {document['size_px']} px to loss "
        f"{document['target']:.6g}, {title}; {document['device']}, JAX "
        f"{document['versions']['jax']}"
    )


def quality_table(rows: Sequence[Row]) -> str:
    """Return runs as an aligned table; "missed" where the target was."""
    cells = [
        {
            heading: "missed" if row[field] is None else format(row[field], form)
            for heading, (field, form) in COLUMNS.items()
        }
        for row in rows
    ]
    return tabulate(cells, headers="keys", stralign="right", disable_numparse=True)


def said(seconds: float | None) -> str:
    """Say a median in words."""
    return "infinite (missed)" if seconds is None else f"{seconds:.2f} s"
