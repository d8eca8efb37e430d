"""`jnst bench --topology`: compile for an absent chip, and say what XLA says."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from jnst.bench.cases import Case
    from jnst.bench.measure import Row

SCHEMA = "jnst-bench-topology-1"
CHUNKS = (1, 10)
"""Steps a program: one, and a scanned chunk."""
TIMED = ("peer", "profile", "against", "plot", "csv_file", "blocks", "modes")
"""Options that need a device to run on."""
COLUMNS = {
    # Heading: (field of a row, factor, format).
    "px": ("size_px", 1.0, "d"),
    "dtype": ("dtype", None, ""),
    "precision": ("precision", None, ""),
    "loss": ("loss", None, ""),
    "steps": ("chunk", 1.0, "d"),
    "compile s": ("compile_s", 1.0, ".0f"),
    "GFLOP": ("flops", 1e-9, ".1f"),
    "/ by hand": ("flops_ratio", 1.0, ".3f"),
    "GB accessed": ("bytes_accessed", 1e-9, ".2f"),
    "at best ms": ("optimal_ms", 1.0, ".2f"),
    "temp MiB": ("temp_mib", 1.0, ".0f"),
    "peak MiB": ("peak_mib", 1.0, ".0f"),
    "fits": ("fits", None, ""),
    "collectives": ("collective_count", 1.0, "d"),
    "their MiB": ("collective_mib", 1.0, ".1f"),
}


def check_untimed(options: dict[str, Any]) -> None:
    """Raise `ValueError` for an option that only a measurement could serve."""
    for name in TIMED:
        if options[name]:
            flag = name.removesuffix("_file")
            raise ValueError(
                f"--topology compiles and runs nothing: leave out --{flag}"
            )


def check_peak(device_kind: str) -> None:
    """Raise `ValueError` for a roofline of a chip whose peak no sheet tells."""
    from jnst.bench.peaks import PEAKS, find_peak

    if find_peak(device_kind) is None:
        known = ", ".join(row.pattern for row in PEAKS if row.pattern.startswith("TPU"))
        raise ValueError(
            f"--roofline needs a known peak and {device_kind!r} has none (known: "
            f"{known}); leave it out"
        )


def chunks_of(text: str | None) -> tuple[int, ...]:
    """Read how many steps programs have; `CHUNKS` where nothing is said.

    Raises:
      ValueError: If that is no list of numbers, each at least 1.
    """
    parts = [part.strip() for part in (text or "").split(",") if part.strip()]
    if any(not part.isdecimal() or int(part) < 1 for part in parts):
        raise ValueError(f"chunks must be whole numbers of at least 1, got {text!r}")
    return tuple(dict.fromkeys(map(int, parts))) or CHUNKS


def compile_cases(
    cases: "list[Case]", settings: Sequence[str], options: dict[str, Any]
) -> int:
    """Compile every case, with a line each on standard error.

    Args:
      cases: What to compile.
      settings: Of `--set`, for the document.
      options: Of the command. A file of `--output` is written anew after each case,
        as each may take minutes.

    Returns:
      The exit code.

    Raises:
      ValueError: Without libtpu, for an unknown topology or an impossible case.
    """
    import jax
    from tqdm import tqdm

    from jnst.bench.absent import load_devices
    from jnst.bench.networks import RANDOM, load_network
    from jnst.bench.session import case_name
    from jnst.bench.topology import topology_rows
    from jnst.files import write_json

    chunks = chunks_of(options["chunks"])
    # Nothing runs: a device that is there would only be held from others.
    jax.config.update("jax_platforms", "cpu")
    name = options["topology"]
    kind = load_devices(name)[0].device_kind  # raises before the work of loading
    if options["roofline"]:
        check_peak(kind)
    params, known = load_network(options["weights"] or RANDOM)
    bar = tqdm(total=len(cases) * len(chunks), unit="program", leave=False)

    def show_case(case: "Case", length: int) -> None:
        bar.set_description_str(f"{case_name(case)}, {length} steps")

    rows: list[Row] = []
    document = {}
    how: dict[str, Any] = {"chunks": chunks, "devices": options["devices"]}
    for row in topology_rows(name, cases, params, **how, on_case=show_case):
        bar.update()
        rows.append(row)
        document = make_document(rows, known, {**options, "settings": list(settings)})
        if options["output"]:
            write_json(options["output"], document)
    bar.close()
    if options["roofline"]:
        from jnst.bench.roofline_plot import plot_roofline

        title = f"{rows[0]['device_kind']} of {name}, by XLA's account"
        plot_roofline(options["roofline"], rows, title=title)
        click.echo(f"wrote {options['roofline']}", err=True)
    show(document, as_json=options["as_json"])
    return 0


def make_document(
    rows: "list[Row]", known: dict[str, Any], options: dict[str, Any]
) -> dict[str, Any]:
    """Gather rows and what they depend on; no device had a part in it."""
    import importlib.metadata

    from jnst.bench.report import make_document

    document = make_document(rows, weights=known, options=options)
    for field in ("device", "device_kind", "cpu", "cores", "xla_flags"):
        del document[field]
    libtpu = {"libtpu": importlib.metadata.version("libtpu")}
    return {
        **document,
        "schema": SCHEMA,
        "topology": options["topology"],
        "versions": document["versions"] | libtpu,
    }


def cell(row: "Row", field: str, factor: float | None, style: str) -> str:
    """Return the text of one of `COLUMNS` for a row."""
    value = row[field]
    if value is None:
        return "unknown"
    if factor is None:
        return {True: "yes", False: "no"}.get(value, str(value))
    return format(value if factor == 1 else value * factor, style)


def show(document: dict[str, Any], *, as_json: bool) -> None:
    """Print the document, or its table."""
    from tabulate import tabulate

    from jnst.bench.roofline import roofline_table
    from jnst.files import json_text

    if as_json:
        click.echo(json_text(document))
        return
    rows = document["rows"]
    cells = [{k: cell(row, *what) for k, what in COLUMNS.items()} for row in rows]
    versions = document["versions"]
    click.echo(
        f"one {rows[0]['device_kind']} of {document['topology']}, "
        f"JAX {versions['jax']}, libtpu {versions['libtpu']}; by XLA's account, a step"
    )
    click.echo(tabulate(cells, headers="keys", disable_numparse=True))
    click.echo(f"\nroofline, nothing timed\n{roofline_table(rows)}")
