"""Rooflines on the page: the latest file of each machine, and of each absent chip."""

from pathlib import Path

from jnst.bench.roofline import roofline_table
from jnst.bench.roofline_plot import plot_roofline


def described(run):
    """Say where a file's figures come from: a title, and what was run or compiled."""
    document, versions = run.document, run.document["versions"]
    stack = f"JAX {versions['jax']}"
    if "topology" in document:
        chip = document["rows"][0]["device_kind"]
        return f"{chip}, {stack}, libtpu {versions['libtpu']}", "compiled, never run"
    return f"{document['device']}, {document['cpu']}, {stack}", "measured"


def roofline_section(runs, topologies, draw):
    """Each row's operations and bytes, the least time they take, and what was reached.

    Rows of the suite have other columns of their own; those of older files none.
    """
    latest = {}
    for run in [*runs, *topologies]:
        rows = [row for row in run.document["rows"] if row.get("intensity")]
        if rows and not run.document.get("harness"):
            latest[described(run)] = run, rows
    parts = []
    for (title, how), (run, rows) in latest.items():
        words = (
            f"`results/{run.name}`: {title}; {how}, {run.date}, commit {run.commit}."
        )

        def plot(path, rows, title=title):
            plot_roofline(path, rows, title=title)

        picture = draw(Path(run.name).stem, plot, rows)
        parts += [f"{words}\n", roofline_table(rows, style="pipe") + "\n", *picture]
    words = (
        "T_math and T_memory are the least times of the executed operations and of the "
        "bytes in main memory at the device's peaks, a CPU's being measured; MFU has "
        "the model's operations, HFU those executed (`jnst/bench/roofline.py`).\n"
    )
    return ["## Roofline\n", words, *parts] if parts else []
