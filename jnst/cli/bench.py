"""`jnst bench`: how fast the user's own step is on the user's own device."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jnst.cli.bench_compare import (
    compare,
    comparing_from,
    ended,
    instead,
    keeper,
    start,
)
from jnst.cli.bench_quality import quality_options, warn_of
from jnst.cli.bench_results import line_of, show, write

if TYPE_CHECKING:
    from jnst.bench.cases import Case
    from jnst.bench.measure import Row


@click.command()
@click.option("--sizes", help="Sides of the square image, such as 128,256,512.")
@click.option("--dtypes", help="float32, bfloat16 or both with a comma between.")
@click.option("--precisions", help="Of the convolutions: default, high, highest.")
@click.option("--losses", help="Style losses, such as gram,wasserstein2.")
@click.option("--batch", default="1", show_default=True, help="Images a program: 1,4.")
@click.option("--optimizers", help="Optimisers, such as adam,lbfgs_torch.")
@click.option("--modes", help="forward, gradient, step: parts of a step, or all of it.")
@click.option("--recipe", help="Measure this recipe's step; see `jnst recipes`.")
@click.option(
    "--set", "settings", multiple=True, metavar="FIELD=VALUE", help="Any recipe field."
)
@click.option("--weights", help="Name or path of a weights file, or random.")
@click.option("--repeats", type=click.IntRange(1), default=7, show_default=True)
@click.option(
    "--min-seconds",
    type=click.FloatRange(0),
    default=0.0,
    help="Go on until a case was timed for so long.",
)
@click.option(
    "--blocks", is_flag=True, help="Time each block, the losses, the optimiser too."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("-o", "--output", type=click.Path(), metavar="FILE.json")
@click.option("--csv", "csv_file", type=click.Path(), metavar="FILE.csv")
@click.option("--plot", type=click.Path(), metavar="FILE.png", help="Bars and scaling.")
@click.option(
    "--roofline",
    type=click.Path(),
    metavar="FILE.png",
    help="Speed over operations a byte, under the device's roof.",
)
@click.option(
    "--profile", type=click.Path(), metavar="DIR", help="Record a trace of each case."
)
@comparing_from
@click.option(
    "--peer", type=click.Choice(["torch", "keras"]), help="Run it in turn with us."
)
@click.option(
    "--topology",
    metavar="NAME",
    help="Compile for an absent TPU such as v5e:2x2, and time nothing.",
)
@click.option("--chunks", help="With --topology: steps a program, 1,10 if absent.")
@click.option(
    "--devices",
    metavar="N|RxC,...",
    help="Split over N devices, or rows x columns of them; several such as 1,2,4 tell "
    "how it scales.",
)
@click.option(
    "--scaling",
    default="strong",
    show_default=True,
    help="With several --devices: strong, weak or both with a comma between.",
)
@quality_options
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
def bench(settings: Sequence[str], **options: Any) -> int:
    """Measure one step: its time, its speed, its share of the device's peak.

    Without options the step is Gram matrices of five layers, content at relu4_2 and
    total variation with Adam, at sizes that suit the device. Times are medians of
    --repeats calls after a warm-up, with deciles; TFLOP/s counts the model's
    mathematics; peak MiB is the device's own figure, or what the program needs.

    MFU is the share of the peak by the model's operations, HFU by those executed; the
    roofline holds a step against the least time of its operations and of its bytes. A
    CPU's peaks are measured. A figure above its peak is an error.

    Files are written after each case: Ctrl-C keeps what was measured. --against and
    --ab say slower, faster, within noise, or inconclusive where noise is too wide or
    samples are too few; of these only slower gives exit code 1.

    --to-quality times whole runs until their picture is as good as a target, compiling
    included: the median of three seeds; exit code 1 where that misses it.
    """
    check_outputs(options)
    if work := instead(options):
        return work(options)
    if options["peer"] == "torch":  # two frameworks share one GPU
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    if options["topology"]:
        from jnst.cli.bench_topology import check_untimed, compile_cases

        check_untimed(options)
        return compile_cases(choose_cases(settings, options), settings, options)
    if options["chunks"]:
        raise ValueError("--chunks goes with --topology: leave it out, or add that")
    from jnst.bench.measure import describe
    from jnst.bench.networks import load_network
    from jnst.bench.prepared import check_case
    from jnst.bench.report import make_document, read_document
    from jnst.program import keep_programs

    keep_programs()
    before = read_document(options["against"]) if options["against"] else None
    cases = choose_cases(settings, options)
    params, known = load_network(options["weights"])
    for case in cases:
        check_case(case, params)
    warn_of([case.recipe.dtype for case in cases])
    about = {**options, "settings": list(settings)}
    document = make_document([], weights=known, options=about)
    asked = [describe(case, params) for case in cases]
    start(document, before, asked, options["against"])
    rows, traces = run(cases, params, options, keeper(document, options))
    document |= {"rows": rows, "finished": len(rows) == len(cases)}
    slower = compare(document, before, options["threshold"])
    write(document, options)
    show(document, traces, as_json=options["as_json"])
    return ended(document, slower, len(cases))


def check_outputs(options: dict[str, Any]) -> None:
    """Raise for what would stop the command only after its work."""
    from jnst.files import check_output
    from jnst.plots import PLOT_SUFFIXES, check_matplotlib

    overwrite = options["overwrite"]
    wanted: dict[str, tuple[str, ...]] = {"output": (".json",), "csv_file": (".csv",)}
    wanted |= {"plot": PLOT_SUFFIXES, "roofline": PLOT_SUFFIXES}
    for name, suffixes in wanted.items():
        if options[name]:
            check_output(options[name], overwrite=overwrite, suffixes=suffixes)
    if options["plot"] or options["roofline"]:
        check_matplotlib()
    folder = options["profile"]
    if folder and Path(folder).exists() and not Path(folder).is_dir():
        raise ValueError(f"--profile needs a folder, {folder!r} is a file")
    if not options["threshold"] >= 1:
        raise ValueError(f"threshold must be at least 1, got {options['threshold']}")


def _listed(text: str | None, kind: Callable[[str], Any], what: str) -> list[Any]:
    """Read a list with commas; None gives an empty one."""
    found = []
    for part in (text or "").split(","):
        try:
            found += [kind(part.strip())] if part.strip() else []
        except ValueError:
            raise ValueError(f"{what} must be whole numbers, got {part!r}") from None
    return list(dict.fromkeys(found))


def choose_cases(settings: Sequence[str], options: dict[str, Any]) -> "list[Case]":
    """Turn options into cases, and raise for any no run could do."""
    import jax

    from jnst.base import check_one_of
    from jnst.bench.blocks import check_blocks
    from jnst.bench.cases import OBJECTIVE, make_cases
    from jnst.bench.peers import check_peer
    from jnst.bench.scaling import scaled_cases
    from jnst.bench.session import DEFAULTS
    from jnst.recipes.changing import resolve
    from jnst.recipes.settings import parse_setting
    from jnst.recipes.table import RECIPES

    name = options["recipe"]
    if name:
        check_one_of("recipe", name, RECIPES)
    changes = dict(parse_setting(text) for text in settings)
    recipe = resolve(RECIPES[name] if name else OBJECTIVE, changes)
    backend = "tpu" if options["topology"] else jax.default_backend()
    sizes, dtypes = DEFAULTS.get(backend, DEFAULTS["gpu"])
    asked = name or "dtype" in changes
    cases = make_cases(
        recipe,
        _listed(options["sizes"], int, "sizes") or list(sizes),
        dtypes=_listed(options["dtypes"], str, "dtypes")
        or ([recipe.dtype] if asked else list(dtypes)),
        precisions=_listed(options["precisions"], str, "precisions"),
        losses=_listed(options["losses"], str, "losses"),
        batches=_listed(options["batch"], int, "batch") or [1],
        optimizers=_listed(options["optimizers"], str, "optimizers"),
        modes=_listed(options["modes"], str, "modes") or ["step"],
        label=" ".join([name or "objective", *settings]),
    )
    if not options["topology"]:
        devices = _listed(options["devices"], str, "devices") or ["1"]
        kinds = _listed(options["scaling"], str, "scaling") or ["strong"]
        cases = scaled_cases(cases, devices, kinds)
    if options["peer"]:
        check_peer(options["peer"], cases)
    if options["blocks"]:
        check_blocks(cases)
    return cases


def run(
    cases: "list[Case]",
    params: Any,
    options: dict[str, Any],
    keep: "Callable[[list[Row]], None]",
) -> "tuple[list[Row], list[Path]]":
    """Measure cases with a line each on standard error; all before an interrupt."""
    from tqdm import tqdm

    from jnst.bench.session import case_name, run_cases
    from jnst.cli.stopping import settle

    rows: list[Row] = []
    traces: list[Path] = []
    bar = tqdm(total=len(cases), unit="case", leave=False)

    def show_case(case: "Case") -> None:
        bar.set_description_str(case_name(case))

    def show_row(row: "Row") -> None:
        rows.append(row)
        keep(rows)
        bar.update()
        bar.write(line_of(row), file=sys.stderr)
        for variant, why in row.get("peer_left_out", {}).items():
            text = f"jnst: warning: {row['peer']} {variant} is left out: {why}"
            bar.write(text, file=sys.stderr)

    try:
        run_cases(
            cases,
            params,
            repeats=options["repeats"],
            min_seconds=options["min_seconds"],
            blocks=options["blocks"],
            peer=options["peer"],
            profile_folder=Path(options["profile"]) if options["profile"] else None,
            on_start=show_case,
            on_row=show_row,
            on_trace=traces.append,
        )
    except KeyboardInterrupt:
        if not rows:
            raise
        settle()
    finally:
        bar.close()
    return rows, traces
