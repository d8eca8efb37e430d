"""Result files as the tables of the page: what is shown of each row.

A document comes as `Run`; a "machine" is a device and the CPU beside it, and figures of
two machines never stand in one comparison.
"""

import json
import statistics
from pathlib import Path
from typing import Any, NamedTuple

from tabulate import tabulate

from jnst.bench.against import ABSENT
from jnst.bench.measure import KEY
from jnst.bench.report import SCHEMA, flat
from jnst.cli.bench_topology import COLUMNS as TOPOLOGY_COLUMNS
from jnst.cli.bench_topology import SCHEMA as TOPOLOGY_SCHEMA
from jnst.cli.bench_topology import cell as topology_cell

CASE_COLUMNS = {
    # Heading: (field of a flat row, format).
    "px": ("size_px", "d"),
    "batch": ("batch", "d"),
    "dtype": ("dtype", ""),
    "style loss": ("loss", ""),
    "optimiser": ("optimizer", ""),
    "convolution": ("convolution", ""),
    "backbone": ("backbone", ""),
}
STEP_COLUMNS = {
    "axis": ("axis", ""),
    **CASE_COLUMNS,
    "compile s": ("compile_s", ".1f"),
    "step ms": ("step_ms", ".4g"),
    "10 %": ("step_ms_p10", ".4g"),
    "90 %": ("step_ms_p90", ".4g"),
    "Mpx-steps/s": ("mpx_steps_per_s", ".3g"),
}
LIMIT_COLUMNS = {
    **CASE_COLUMNS,
    "GFLOP an image": ("gflop_per_step", ".1f"),
    "TFLOP/s": ("tflop_per_s", ".3g"),
    "limit, TFLOP/s": ("limit_tflop_per_s", ".3g"),
    "of the limit": ("of_limit", ".0%"),
    "limit": ("limit", ""),
}
PEER_COLUMNS = {
    "date": ("date", ""),
    "commit": ("commit", ""),
    "peer": ("peer", ""),
    "layout": ("peer_layout", ""),
    "variant": ("peer_variant", ""),
    "px": ("size_px", "d"),
    "dtype": ("dtype", ""),
    "jnst ms": ("step_ms", ".4g"),
    "peer ms": ("peer_step_ms", ".4g"),
    "ratio of times": ("ratio", ".2f"),
}
MEMORY_COLUMNS = {
    "date": ("date", ""),
    "commit": ("commit", ""),
    "px": ("size_px", "d"),
    "jnst, peak": ("jnst_peak_rss_mib", ".0f"),
    "PyTorch, peak": ("peer_peak_rss_mib", ".0f"),
    "jnst, imported": ("jnst_import_rss_mib", ".0f"),
    "PyTorch, imported": ("peer_import_rss_mib", ".0f"),
    "jnst, with weights": ("jnst_loaded_rss_mib", ".0f"),
    "PyTorch, with weights": ("peer_loaded_rss_mib", ".0f"),
}
PROGRAM_COLUMNS = {
    **CASE_COLUMNS,
    "peak MiB": ("peak_mib", ".0f"),
    "told by": ("peak_source", ""),
}
START_COLUMNS = {
    "what": ("what", ""),
    "compiled programs on disk": ("cache", ""),
    "image": ("image", ""),
    "s": ("s", ".2f"),
    "importing s": ("phases_import_s", ".2f"),
    "compiling s": ("phases_compile_s", ".2f"),
    "first step s": ("phases_loop_s", ".2f"),
    "files, weights and else s": ("phases_rest_s", ".2f"),
}


class Run(NamedTuple):
    """One file of results."""

    name: str
    document: dict[str, Any]

    @property
    def machine(self):
        device, cpu = self.document["device"], self.document.get("cpu", "CPU unknown")
        return f"{device}, {cpu}"

    @property
    def date(self):
        return self.document["date"][:10]

    @property
    def commit(self):
        return self.document["commit"] or "unknown"

    @property
    def rows(self):
        """Rows with a time, flat, with what the file says of all of them."""
        about = {"date": self.date, "commit": self.commit}
        rows = [row for row in self.document["rows"] if row.get("step_ms")]
        return [about | flat(row) for row in rows]

    @property
    def failed(self):
        """What did not run, in words."""
        rows = [row for row in self.document["rows"] if row.get("error")]
        return [f"{key_text(key_of(row))}: {row['error']}" for row in rows]


def read_runs(folder):
    """Read every file of results by schema, the oldest first: timed, topologies."""
    found = {SCHEMA: [], TOPOLOGY_SCHEMA: []}
    for path in sorted(Path(folder).glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        if document.get("schema") in found:
            found[document["schema"]].append(Run(path.name, document))
    for runs in found.values():
        runs.sort(key=lambda run: (run.document["date"], run.name))
    return found[SCHEMA], found[TOPOLOGY_SCHEMA]


def by_machine(runs):
    """Group runs by machine, machines in the order of their first run."""
    found = {}
    for run in runs:
        found.setdefault(run.machine, []).append(run)
    return found


def markdown(rows, columns):
    """Return a Markdown table; a column that no row has anything for is left out."""
    cells = {
        heading: [
            "" if row.get(field) is None else format(row[field], form) for row in rows
        ]
        for heading, (field, form) in columns.items()
    }
    kept = {k: values for k, values in cells.items() if any(values)}
    numeric = {k for k, (_, form) in columns.items() if form}
    align = ["right" if k in numeric else "left" for k in kept]
    body = list(zip(*kept.values(), strict=True))
    return tabulate(body, list(kept), "pipe", colalign=align, disable_numparse=True)


OLD = {"convolution": "auto", **ABSENT}
"""What rows were before they told of it."""


def key_of(row):
    """What a row measured; an old row without a field ran what was usual.

    Precision is left out: a CPU has one, and the suite does not vary it.
    """
    return tuple(row.get(k) or OLD.get(k) for k in KEY if k != "precision")


def key_text(key):
    """Name a key by what is unusual about it."""
    size, batch, *given = key
    words = [f"{size} px"]
    words += [f"batch {batch}"] if batch != 1 else []
    usual = ("float32", "gram", "adam", "auto", "vgg19", "objective", "step", "1")
    return ", ".join(words + [a for a, b in zip(given, usual, strict=True) if a != b])


def series(runs):
    """Median step ms by key and then by column, "date commit", of several runs."""
    found = {}
    for run in runs:
        for row in run.rows:
            column = f"{run.date} {run.commit}"
            samples = found.setdefault(key_of(row), {}).setdefault(column, [])
            samples.append(row["step_ms"])
    return {
        key: {column: statistics.median(ms) for column, ms in columns.items()}
        for key, columns in sorted(found.items(), key=lambda item: str(item[0][1:]))
    }


def history_rows(runs, last=6):
    """Rows of the history: a key each, a column a commit and day, and the change."""
    found = series(runs)
    columns = list(dict.fromkeys(f"{run.date} {run.commit}" for run in runs))[-last:]
    rows = []
    for key, values in sorted(found.items(), key=lambda item: (item[0][1:], item[0])):
        values = {c: values[c] for c in columns if c in values}
        if len(values) < 2:
            continue
        first, *_, latest = values.values()
        rows.append({"what": key_text(key), **values, "change": latest / first})
    form = {c: (c, ".4g") for c in columns}
    return rows, {"step ms of": ("what", ""), **form, "last / first": ("change", ".2f")}


def limits_of(run):
    """The fastest of a run's matmuls, by type."""
    found = sorted(run.document.get("limits", []), key=lambda row: row["tflop_per_s"])
    return {row["dtype"]: row for row in found}


def limit_rows(run):
    """Rows with the limit that holds for them: the known peak, or a measured one."""
    measured, rows = limits_of(run), []
    for row in run.rows:
        if not row.get("tflop_per_s") or row["flops_counted"] == "network":
            continue
        limit, why = row.get("peak_tflop_per_s"), "published peak"
        source = row.get("peak_tflop_per_s_source") or ""
        why = source if source.startswith("measured") else why
        if limit is None and row["dtype"] in measured:
            best = measured[row["dtype"]]
            limit, side = best["tflop_per_s"], best["side"]
            why = f"measured: {side} x {side} matmul, {best['by']}"
        if limit is not None and row.get("axis", "size") != "peer":
            more = {"limit_tflop_per_s": limit, "limit": why}
            rows.append(row | more | {"of_limit": row["tflop_per_s"] / limit})
    return rows


def start_rows(run):
    """Rows of a run's cold starts."""
    shaped = [
        {"image": "{1} x {0}".format(*row["shape"]) if "shape" in row else None} | row
        for row in run.document.get("starts", [])
    ]
    return [flat(row) for row in shaped]


def topology_table(run):
    """Return what the compiler says of programs for an absent chip."""
    rows = run.document["rows"]
    words = ("dtype", "precision", "loss", "fits")
    columns = {k: (k, "" if k in words else "s") for k in TOPOLOGY_COLUMNS}
    cells = [
        {
            name: topology_cell(row, *what) if what[0] in row else None
            for name, what in TOPOLOGY_COLUMNS.items()
        }
        for row in rows
    ]
    return markdown(cells, columns)
