#!/usr/bin/env python3
"""How many small faults the tests see: a sample of mutants, by hand, not in CI.

    .ci/mutants.py --count 300 --seed 0 --out FILE.json      needs the extra 'dev'

cosmic-ray makes the mutants, of which one in each place is drawn. Each is written into
a copy of the tree, and pytest runs the files that `.ci/mutants.toml` names for the
module until one fails. All start as a fork of this process, which has imported what is
slow (not jnst), and share compiled programs in a folder. The table also names faults of
our own, which are always tried, and the mutants that are no faults, with the reason.
"""

import argparse
import difflib
import json
import random
import shlex
import shutil
import subprocess
import tempfile
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from mutations import operators
from trials import UNSEEN, run, write

ROOT = Path(__file__).resolve().parents[1]
TABLE = tomllib.loads((ROOT / ".ci/mutants.toml").read_text())
SLOW_IMPORTS = ("jax", "flax", "optax", "beartype", "jaxtyping", "h5py", "PIL.Image")
SLOW_IMPORTS += ("pytest", "safetensors", "scipy.signal", "jax.test_util")


class Mutant(NamedTuple):
    """One fault: the module's path, what it is called, and the whole mutated source."""

    path: str
    name: str
    source: str


def places(path: str) -> dict[tuple[Any, ...], list[tuple[str, Operator, int]]]:
    """List the mutants of a module by place: name, operator, which occurrence."""
    tree = get_ast((ROOT / path).read_text())
    found: dict[tuple[Any, ...], list[tuple[str, Operator, int]]] = {}
    for name, operator in operators().items():
        spots = [s for n in ast_nodes(tree) for s in operator.mutation_positions(n)]
        for occurrence, (start, end) in enumerate(spots):
            each = found.setdefault((path, start, end), [])
            each.append((name, operator, occurrence))
    return found


def sampled(paths: list[str], count: int, seed: int) -> list[Mutant]:
    """Draw that many places, and of each one mutant that Python can compile."""
    rng = random.Random(seed)
    everywhere = {place: each for path in paths for place, each in places(path).items()}
    order = rng.sample(sorted(everywhere), len(everywhere))
    found: list[Mutant] = []
    while order and len(found) < count:
        path, start, _ = place = order.pop()
        name, operator, occurrence = rng.choice(everywhere[place])
        source = mutate_code((ROOT / path).read_text(), operator, occurrence)
        if source is not None and compiles(source):
            found.append(Mutant(path, f"{name} at {start[0]}:{start[1]}", source))
    print(f"{len(found)} of {len(everywhere)} places, {len(paths)} modules", flush=True)
    return found


def compiles(source: str) -> bool:
    """Tell whether Python can read a source."""
    try:
        compile(source, "module", "exec")
    except SyntaxError:
        return False
    return True


def named() -> list[Mutant]:
    """Return the faults that the table names."""
    found = []
    for each in TABLE["fault"]:
        before = (ROOT / each["path"]).read_text()
        assert before.count(each["old"]) == 1, each
        source = before.replace(each["old"], each["new"])
        found.append(Mutant(each["path"], f"named: {each['name']}", source))
    return found


def changed(mutant: Mutant) -> list[str]:
    """Return the lines that a mutant takes out (-) and puts in (+)."""
    before = (ROOT / mutant.path).read_text().splitlines()
    lines = difflib.unified_diff(before, mutant.source.splitlines(), n=0, lineterm="")
    kept = [x for x in list(lines)[2:] if x[0] in "+-" and x[1:].strip()]
    return [x[0] + " " + " ".join(x[1:].split()) for x in kept]


def equivalent(mutant: Mutant, lines: list[str]) -> str:
    """Return why a mutant is no fault, as the table says; empty if it does not."""
    for each in TABLE.get("equivalent", ()):
        if each["path"] == mutant.path and each["lines"] == lines:
            return each["why"]
    return ""


def tests_of(path: str) -> list[list[str]]:
    """Return the runs of pytest that concern a module, the quickest to fail first."""
    runs = [shlex.split(run) for run in TABLE["tests"][path].split(";")]
    return [[f"tests/test_{name}.py", *rest] for name, *rest in runs]


def row_of(mutant: Mutant) -> dict[str, Any]:
    """Describe a mutant that no test has seen yet."""
    lines = changed(mutant)
    row = {"path": mutant.path, "mutant": mutant.name, "lines": lines, "seconds": 0.0}
    why = equivalent(mutant, lines)
    return row | ({"result": "equivalent", "why": why} if why else {"result": UNSEEN})


def usual(tree: Path, tests: list[str], known: dict[str, float]) -> float:
    """Run tests unchanged, once: they must pass. Return how long they take."""
    name = " ".join(tests)
    if name not in known:
        result, known[name] = run(tree, tests, 1200)
        print(f"{known[name]:6.1f} s  {name}", flush=True)
        if result != UNSEEN:
            raise SystemExit((tree.parent / "log.txt").read_text())
    return known[name]


def tried(tree: Path, mutants: list[Mutant], out: Path) -> list[dict[str, Any]]:
    """Try all, the first run of pytest for each before the second for any."""
    rows, known = [row_of(mutant) for mutant in mutants], {}
    for number in range(max(len(tests_of(path)) for path in TABLE["tests"])):
        for mutant, row in zip(mutants, rows, strict=True):
            tests = tests_of(mutant.path)[number : number + 1]
            if row["result"] != UNSEEN or not tests:
                continue
            limit_s = 30 + 3 * usual(tree, tests[0], known)
            write(tree, mutant.path, mutant.source)
            row["result"], seconds = run(tree, tests[0], limit_s)
            write(tree, mutant.path, (ROOT / mutant.path).read_text())
            row["seconds"] = round(row["seconds"] + seconds, 1)
            out.write_text(json.dumps(rows, indent=1))
            print(number, row["result"], mutant.path, *row["lines"], flush=True)
    return rows


def summary(rows: list[dict[str, Any]]) -> str:
    """Say how many were seen, of those that are faults."""
    count = Counter(row["result"] for row in rows)
    seen = count["killed"] + count["timeout"]
    score = 100 * seen / max(1, seen + count[UNSEEN])
    whole = ", ".join(f"{count[k]} {k}" for k in ("killed", "timeout", UNSEEN))
    whole += f", {count['equivalent']} equivalent"
    return f"{len(rows)} mutants: {whole}; score {score:.1f} %"


def main() -> None:
    """Draw, try, and write what became of each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="part of the modules' paths")
    parser.add_argument("--again", type=Path, help="survivors of this file")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    paths = [path for path in TABLE["tests"] if options.only in path]
    mutants = sampled(paths, options.count, options.seed)
    mutants = [each for each in named() if each.path in paths] + mutants
    if options.again:
        rows = json.loads(options.again.read_text())
        alive = [row["lines"] for row in rows if row["result"] == UNSEEN]
        mutants = [each for each in mutants if changed(each) in alive]
    for name in SLOW_IMPORTS:
        __import__(name)
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.check_output(listed, cwd=ROOT, text=True).split("\0")
        for name in filter(None, names):
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, tree / name)
        rows = tried(tree, sorted(mutants), options.out)
    print("\nSurvivors:")
    for row in rows:
        if row["result"] == UNSEEN:
            print(row["path"], row["mutant"], *row["lines"], sep="\n  ")
    print(summary(rows))


if __name__ == "__main__":
    main()
