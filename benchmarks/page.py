"""Write benchmarks/README.md and its pictures from all files in benchmarks/results/.

    python benchmarks/page.py            # after new results
    python benchmarks/page.py --check    # exit 1 if the page is not what they make

Results are those of the suite (`python -m pytest benchmarks/suite --results FILE`),
of `jnst bench --output FILE` and of `jnst bench --topology NAME --output FILE`. Nothing
on the page is typed by hand but its words (those before the first table are in
introduction.md): a test holds it to the results.
"""

import argparse
import sys
from pathlib import Path

from page_plots import (
    plot_history,
    plot_limit,
    plot_peers,
    plot_quoted,
    plot_variants,
)
from page_roofline import roofline_section
from page_tables import (
    LIMIT_COLUMNS,
    MEMORY_COLUMNS,
    PEER_COLUMNS,
    PROGRAM_COLUMNS,
    START_COLUMNS,
    STEP_COLUMNS,
    by_machine,
    history_rows,
    key_of,
    key_text,
    limit_rows,
    markdown,
    read_runs,
    start_rows,
    topology_table,
)
from quoted import QUOTED_COLUMNS, our_row, quoted_and_ours

HERE = Path(__file__).parent
INTRODUCTION = HERE / "introduction.md"


def suite_runs(runs):
    return [run for run in runs if run.document.get("harness")]


def latest_suites(runs):
    """{machine: its latest run of the suite}."""
    return {run.machine: run for run in suite_runs(runs) if run.rows}


def about(run):
    """A line on where a run comes from."""
    document = run.document
    jax = document["versions"]["jax"]
    words = f"`results/{run.name}`: {run.date}, commit {run.commit}, JAX {jax}"
    if document.get("suite_s"):
        words += f", in {document['suite_s'] / 60:.1f} minutes"
    note = document.get("note")
    return words + (f". **{note}**" if note else "") + "\n"


def steps_section(runs, draw):
    """The latest run of the suite on each machine, axis by axis."""
    latest = latest_suites(runs)
    if not latest:
        return []
    parts = ["## One step\n"]
    bars = {}
    for machine, run in latest.items():
        rows = [row for row in run.rows if row["axis"] != "peer"]
        parts += [f"### {machine}\n", about(run), markdown(rows, STEP_COLUMNS) + "\n"]
        parts += [f"Did not run: {'; '.join(run.failed)}.\n"] if run.failed else []
        bars[machine] = [row | {"text": key_text(key_of(row))} for row in rows]
    bars = {machine: rows for machine, rows in bars.items() if rows}
    return [*parts, *(draw("suite_variants", plot_variants, bars) if bars else [])]


def peers_section(runs, draw):
    """Every paired run; the picture shows the latest of each kind."""
    parts, latest = [], {}
    for machine, found in by_machine(runs).items():
        rows = [row for run in found for row in run.rows if row.get("ratio")]
        if rows:
            rows.sort(key=lambda row: (row["peer"], row["dtype"], row["size_px"]))
            parts += [f"### {machine}\n", markdown(rows, PEER_COLUMNS) + "\n"]
            kinds = {(r["peer"], r["dtype"], r["size_px"]): r for r in rows}
            latest[machine] = list(kinds.values())
    if not parts:
        return []
    words = (
        "Others that run the same objective, called in turn with us in one process and "
        "held to our losses; ratios are medians of pairs, below 1 we are faster. "
        "PyTorch is eager, in the better of its memory layouts, but where a variant is "
        "named: that was the fastest; three passes is our own network in the pattern "
        "of Keras' example, which computes content's and style's features anew at "
        "every step.\n"
    )
    return ["## Peers\n", words, *parts, *draw("suite_peers", plot_peers, latest)]


def limit_section(runs, draw):
    """Operations a second beside what the machine could do."""
    latest = {m: run for m, run in latest_suites(runs).items() if limit_rows(run)}
    if not latest:
        return []
    words = (
        "Operations are counted by hand (`jnst/bench/flops.py`): those of the "
        "mathematics, so that a Winograd convolution, which multiplies less often, may "
        "exceed what a matrix product reaches. Where no peak of the device is "
        "published, the limit is the rate of one large product measured in the same "
        "run.\n"
    )
    parts = ["## Distance to the limit\n", words]
    for machine, run in latest.items():
        table = markdown(limit_rows(run), LIMIT_COLUMNS)
        parts += [f"### {machine}\n", about(run), table + "\n"]
    return [*parts, *draw("suite_limit", plot_limit, latest)]


def memory_section(runs, draw):
    """Resident memory beside PyTorch's, and what programs need."""
    parts = []
    for machine, found in by_machine(runs).items():
        rows = [row for run in found for row in run.rows]
        paired = [row for row in rows if row.get("peer_peak_rss_mib")]
        if paired:
            words = (
                "Resident, MiB, each side in a fresh process (Linux). `jnst bench` "
                "left its programs on disk for ours to read; the suite keeps none, and "
                "compiling is in the peak:\n"
            )
            parts += [
                f"### {machine}\n",
                words,
                markdown(paired, MEMORY_COLUMNS) + "\n",
            ]
    for machine, run in latest_suites(runs).items():
        rows = [row for row in run.rows if row["axis"] != "peer"]
        words = (
            f"{machine}: arguments, results and temporaries of the step's program.\n"
        )
        parts += [words, markdown(rows, PROGRAM_COLUMNS) + "\n"]
    return ["## Memory\n", *parts] if parts else []


def start_section(runs, draw):
    """From process start to the end of the first step."""
    parts = []
    for machine, run in latest_suites(runs).items():
        rows = start_rows(run)
        if rows:
            table = markdown(rows, START_COLUMNS)
            parts += [f"### {machine}\n", about(run), table + "\n"]
    words = (
        "Fresh processes, from their start to the end of the first step "
        "(`suite/first_step.py`); with nothing compiled on disk, and with what the "
        "process before left there. `import jnst` imports its parts when they are "
        "used.\n"
    )
    return ["## Cold start\n", words, *parts] if parts else []


def history_section(runs, draw):
    """What was measured at more than one commit or day."""
    parts, several = [], {}
    for machine, found in by_machine(runs).items():
        rows, columns = history_rows(found)
        if rows:
            parts += [f"### {machine}\n", markdown(rows, columns) + "\n"]
            several[machine] = found
    if not parts:
        words = "Nothing has been measured twice on one machine yet.\n"
        return ["## History\n", words]
    words = "Medians in ms a step, a column a commit and day.\n"
    return [
        "## History\n",
        words,
        *parts,
        *draw("suite_history", plot_history, several),
    ]


def topology_section(topologies):
    """Programs compiled for chips that are not there: the latest of each recipe.

    Files that compare precisions, that tell bytes in memory, or that split a picture
    over several chips, are apart from those that do not.
    """
    parts, latest = [], {}
    for run in topologies:
        labels = {row["label"] for row in run.document["rows"]}
        rows = run.document["rows"]
        several = len({row.get("precision") for row in rows}) > 1
        kind = several, "intensity" in rows[0], rows[0].get("chips", 1)
        latest[run.document["topology"], kind, *sorted(labels)] = run
    for (_, _, *labels), run in latest.items():
        versions = run.document["versions"]
        chip = run.document["rows"][0]["device_kind"]
        words = (
            f"`results/{run.name}`: {', '.join(labels)} on one {chip} of "
            f"{run.document['topology']}, {run.date}, commit {run.commit}, JAX "
            f"{versions['jax']}, libtpu {versions['libtpu']}. Compiled, never run: by "
            "XLA's own account, a step.\n"
        )
        parts += [words, topology_table(run) + "\n"]
    return ["## TPU, compiled ahead of time\n", *parts] if parts else []


def quoted_section(runs, draw):
    """Figures that peers published, ours among them."""
    ours = []
    for machine, found in by_machine(runs).items():
        rows = [row for run in found for row in run.rows]
        shown = [r for r in rows if r.get("axis", "size") in ("size", "dtype", "peer")]
        latest = {key_of(row): row for row in shown}
        ours += [our_row(row, machine) for row in latest.values()]
    rows = quoted_and_ours(ours)
    words = (
        "**Rows marked quoted are figures that others published, not measured by us** "
        "(`quoted.json`). Their rate is derived: pixels times steps over seconds, with "
        "the aspect and steps that the remarks assume where the source states none. "
        "None says whether downloads, compiling or files are included, and what one "
        "step costs differs: an L-BFGS step may evaluate the network more than once. "
        "Ours are of steps alone.\n"
    )
    table = markdown(rows, QUOTED_COLUMNS) + "\n"
    return ["## Published figures\n", words, table, *draw("quoted", plot_quoted, rows)]


def make_page(results, pictures=None):
    """Make the page's text, and its pictures if a folder for them is given."""
    runs, topologies = read_runs(results)

    def draw(name, plot, data):
        if pictures:
            plot(pictures / f"{name}.png", data)
        return [f"![{name.replace('_', ' ')}](pictures/{name}.png)\n"]

    sections = (steps_section, peers_section, limit_section, memory_section)
    parts = [INTRODUCTION.read_text(encoding="utf-8")]
    for section in (*sections, start_section, history_section):
        parts += section(runs, draw)
    parts += roofline_section(runs, topologies, draw)
    parts += topology_section(topologies) + quoted_section(runs, draw)
    return "\n".join(parts)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=HERE / "results")
    parser.add_argument("--output", type=Path, default=HERE / "README.md")
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args(arguments)
    if options.check:
        same = options.output.read_text(encoding="utf-8") == make_page(options.results)
        print("up to date" if same else f"{options.output} is stale", file=sys.stderr)
        return 0 if same else 1
    pictures = options.output.parent / "pictures"
    pictures.mkdir(exist_ok=True)
    page = make_page(options.results, pictures)
    options.output.write_text(page, encoding="utf-8")
    print(f"wrote {options.output}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
