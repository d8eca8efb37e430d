"""Examine every built-in loss; keep the findings, and write them as a page.

    python benchmarks/examine_all.py                     # all but costs and pictures
    python benchmarks/examine_all.py --probes costs      # on an idle machine
    python benchmarks/examine_all.py --losses gram,mrf   # those anew
    python benchmarks/examine_all.py --page              # the page from the results

Findings are added to `results/examine_cpu.json`, probe by probe: what is not asked
again stays, with the device, versions and date that it was found with. The page is
`examine.md`.
"""

import argparse
import datetime
import json
import sys
from pathlib import Path

import jax

from jnst.base import check_one_of
from jnst.drivers.record import device, versions
from jnst.examining.finding import FACT, LOOK, OK, WRONG
from jnst.examining.report import SIZE_PX, chosen_probes, examine_in
from jnst.examining.scene import make_scene
from jnst.examining.table import PROBES
from jnst.files import as_json, write_json
from jnst.objective.term import TABLES
from jnst.program import keep_programs

HERE = Path(__file__).parent
RESULTS, PAGE = HERE / "results" / "examine_cpu.json", HERE / "examine.md"
USUAL = tuple(k for k, row in PROBES.items() if row.quick)
MOST_MAPS = 20_000
"""Memory maps of a process above which programs go: Linux ends at 65530."""
NOTHING = 1e-12
"""Below which a number is rounding, and shown as 0."""
DETAILS = ("slopes", "differences", "ways")
MARKS = {OK: "ok", LOOK: "**look**", WRONG: "**WRONG**", FACT: "-"}


def read(path):
    """What was found before; nothing if there is no file."""
    if not path.exists():
        return {"losses": {}}
    return json.loads(path.read_text(encoding="utf-8"))


def forget_programs():
    """Let go of programs where there are more than the system allows."""
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > MOST_MAPS:
        jax.clear_caches()


def short(value):
    """Numbers in six digits, without lists that only a single report needs."""
    if isinstance(value, dict):
        return {k: short(v) for k, v in value.items() if k not in DETAILS}
    if isinstance(value, list):
        return [short(each) for each in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def add(document, report):
    """Put a report's findings in place of those of the same probes."""
    fresh = report.document()
    about = {"date": datetime.date.today().isoformat(), "device": device()}
    about["jax"] = versions()["jax"]
    found = short(as_json(fresh.pop("findings")))
    findings = {k: {**v, **about} for k, v in found.items()}
    kept = document["losses"].get(report.loss, {}).get("findings", {})
    merged = kept | findings
    fresh["findings"] = {name: merged[name] for name in PROBES if name in merged}
    document["losses"][report.loss] = fresh


def table(rows, columns):
    lines = [" | ".join(columns), " | ".join("---" for _ in columns)]
    lines += [" | ".join(str(row.get(c, "")) for c in columns) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def verdict_rows(losses):
    for name, row in losses.items():
        marks = {k: MARKS[v["verdict"]] for k, v in row["findings"].items()}
        yield {"loss": f"`{name}`", **marks}


def nearest(findings):
    """The loss that pulls most alike, with its mean cosine."""
    rows = findings.get("resemblance", {}).get("cosines", {})
    for name, cosines in rows.items():
        if None not in cosines:
            return f"{name} {sum(cosines) / len(cosines):.2f}"
    return ""


def figure_rows(losses):
    for name, row in losses.items():
        found = row["findings"]
        changes = found.get("invariance", {}).get("maps", {})
        sizes, rounding = found.get("sizes", {}), found.get("rounding", {})
        curvature, costs = found.get("curvature", {}), found.get("costs", {})

        def text(value):
            if value is None or isinstance(value, str):
                return ""
            return "0" if abs(value) < NOTHING else f"{value:.2g}"

        yield {
            "loss": f"`{name}`",
            "size_free": found.get("invariance", {}).get("size_free", ""),
            **{k: text(v) for k, v in changes.items()},
            "drift 64 to 256 px": text(sizes.get("gradient_drift")),
            "beside": text(sizes.get("beside_reference")),
            "float32": text(rounding.get("float32", {}).get("value_error")),
            "bfloat16": text(rounding.get("bfloat16", {}).get("value_error")),
            "upwards": text(curvature.get("positive")),
            "times Gram": " / ".join(text(r["ratio"]) for r in costs.get("rows", [])),
            "nearest": nearest(found),
        }


FIGURES = ["loss", "size_free", "shift", "rotation", "mirror", "half", "tiling"]
FIGURES += ["drift 64 to 256 px", "beside", "float32", "bfloat16", "upwards"]
FIGURES += ["times Gram", "nearest"]
WORDS = """# Every built-in loss, examined

Written by `examine_all.py` from `results/examine_cpu.json`; nothing is typed by hand
but these words. A verdict is *ok*, *look* (worth a look), *WRONG* (against the contract
of a loss) or - (a fact that is neither).

- shift, rotation, mirror, half, tiling: the loss of changed maps against the maps as
  they were, over that of unlike maps; 0 where it is blind to the change. Of losses on
  the image alone the change of their value.
- drift: how its gradient changes from 64 to 256 px; beside: over the change of `gram`'s
  (`mean_squared`'s, `tv_mean_l2`'s), 1 where a weight is as good for another size.
- float32, bfloat16: relative error of the value against float64.
- upwards: share of random directions on which it curves upwards, at the other picture.
- times Gram: time of value and gradient over `gram`'s at 128 / 256 / 512 px, in turn.
- nearest: the loss whose gradient is most alike, by mean cosine along a run.
"""


def page(document):
    """The page's text."""
    losses = document["losses"]
    parts = [WORDS]
    for kind, names in TABLES.items():
        chosen = {k: losses[k] for k in names if k in losses}
        if not chosen:
            continue
        parts += [f"## {kind.capitalize()} losses\n"]
        parts += [table(verdict_rows(chosen), ["loss", *PROBES]) + "\n"]
        parts += [table(figure_rows(chosen), FIGURES) + "\n"]
        for name, row in chosen.items():
            parts += [
                f"- `{name}`, {probe}: {found['verdict']}. {found['says']}."
                for probe, found in row["findings"].items()
                if found["verdict"] in (LOOK, WRONG)
            ]
        parts += [""]
    return "\n".join(parts)


def run(names, probes, results):
    scene = make_scene(size_px=SIZE_PX)
    for n, name in enumerate(names, start=1):
        report = examine_in(scene, name, probes=probes)
        document = read(results)
        document |= {"device": device(), "versions": versions()}
        add(document, report)
        write_json(results, document)
        took = sum(report.seconds.values())
        print(f"{n}/{len(names)} {report} {took:.0f} s", file=sys.stderr, flush=True)
        forget_programs()


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--losses", default="", help="all if absent")
    parser.add_argument("--probes", default=",".join(USUAL), help="%(default)s")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--output", type=Path, default=PAGE)
    parser.add_argument("--page", action="store_true", help="measure nothing")
    options = parser.parse_args(arguments)
    known = [name for names in TABLES.values() for name in names]
    names = [name for name in options.losses.split(",") if name] or known
    for name in names:
        check_one_of("loss", name, known)
    probes = chosen_probes(options.probes.split(","), quick=False)
    if not options.page:
        keep_programs()
        run(names, probes, options.results)
    options.output.write_text(page(read(options.results)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
