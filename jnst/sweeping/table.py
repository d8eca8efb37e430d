"""Records of a sweep, and their table as CSV and LaTeX.

A record is a dict of plain values: `pandas.DataFrame(records)` reads them.
"""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jnst.files import atomic_write
from jnst.sweeping.folder import Finished
from jnst.sweeping.grid import Axis, label
from jnst.sweeping.members import Member

ARRAYS = ("image", "history")
"""Keys of a record that no table has."""
ESCAPES = {
    "\\": r"\textbackslash{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


def make_record(member: Member, seed: int, known: Finished) -> dict[str, Any]:
    """Gather all that is known of a member.

    Args:
      member: The member.
      seed: Its seed.
      known: What came of it.

    Returns:
      "member"; the fields of the grid; "seed", "width", "height", "steps", "seconds",
      "compile_seconds"; "loss" and "loss_TERM", the last of each; metrics; "error";
      "image" and "history".
    """
    last = {name: float(values[-1]) for name, values in known.history.items()}
    total = {"loss": last.pop("loss")} if last else {}
    losses = total | {f"loss_{name}": value for name, value in last.items()}
    found = {
        "member": member.number,
        **member.point,
        "seed": seed,
        "width": known.image.shape[1],
        "height": known.image.shape[0],
        "steps": len(known.history.get("loss", ())),
        "seconds": known.seconds,
        "compile_seconds": known.compile_seconds,
        **losses,
        **{k: v for k, v in known.metrics.items() if not math.isnan(v)},
        "error": known.error,
        "image": known.image,
        "history": known.history,
    }
    return found | member.point  # as asked for, where the run has a say too


def columns_of(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """List the columns of a table: all that any record has, losses of terms together.

    The error is the last.
    """
    found = list(dict.fromkeys(k for record in records for k in record))
    terms = [k for k in found if k.startswith("loss_")]
    others = [k for k in found if k not in (*ARRAYS, *terms, "error")]
    at = others.index("loss") + 1 if "loss" in others else len(others)
    return [*others[:at], *terms, *others[at:], "error"]


def _plain(value: Any) -> Any:
    """Return a value as a cell of a CSV file has it: numbers in full."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if number or isinstance(value, str) else label(value)


def write_csv(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Write all columns of all records; a cell is empty where a record has no such."""
    columns = columns_of(records)
    with atomic_write(path) as temporary:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(columns)
            for record in records:
                rows.writerow([_plain(record.get(name, "")) for name in columns])


def as_latex(value: Any) -> str:
    """Return a cell of a LaTeX table: numbers of four digits in math, text escaped."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        text = value if isinstance(value, str) else label(value)
        return "".join(ESCAPES.get(sign, sign) for sign in text)
    if not math.isfinite(value):
        return "--"
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    digits, power, exponent = text.partition("e")
    return f"${digits} \\times 10^{{{int(exponent)}}}$" if power else f"${text}$"


def latex_table(records: Sequence[Mapping[str, Any]], axes: Sequence[Axis]) -> str:
    r"""Return a table for a paper: grid, last loss, metrics.

    Args:
      records: From `make_record`.
      axes: The grid.

    Returns:
      A `tabular` that needs `\usepackage{booktabs}`; a row whose run stopped is marked
      by a dagger.
    """
    fields = [axis.field for axis in axes]
    skipped = {"member", "seed", "width", "height", "steps", "error", *fields}
    skipped |= {"seconds", "compile_seconds"}
    figures = [
        name
        for name in columns_of(records)
        if name not in skipped and not name.startswith("loss_")
    ]
    names = [*fields, *figures]
    lines = [
        f"\\begin{{tabular}}{{{'l' * len(fields)}{'r' * len(figures)}}}",
        "\\toprule",
        " & ".join(as_latex(name) for name in names) + " \\\\",
        "\\midrule",
    ]
    for record in records:
        cells = [as_latex(record.get(name, "--")) for name in names]
        cells[0] += "$^\\dagger$" if record["error"] else ""
        lines.append(" & ".join(cells) + " \\\\")
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", ""])


def write_latex(
    path: Path, records: Sequence[Mapping[str, Any]], axes: Sequence[Axis]
) -> None:
    """Write `latex_table`."""
    with atomic_write(path) as temporary:
        temporary.write_text(latex_table(records, axes), encoding="utf-8")
