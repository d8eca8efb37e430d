"""What a sweep writes beside its members: summary, tables, contact sheet, curves."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jnst.drivers.sources import as_array
from jnst.sweeping.curves import plot_curves
from jnst.sweeping.folder import write_summary
from jnst.sweeping.grid import Axis
from jnst.sweeping.sheet import plot_sweep
from jnst.sweeping.table import ARRAYS, write_csv, write_latex


def write_all(
    folder: Path,
    records: Sequence[Mapping[str, Any]],
    axes: Sequence[Axis],
    asked: Mapping[str, Any],
    given: Mapping[str, Any],
) -> None:
    """Write all of `jnst.sweeping.folder.OUTPUTS`, each whole or not at all.

    Args:
      folder: Where to.
      records: Of the members that have ended, in order.
      axes: The grid.
      asked: What was asked for, as JSON has it.
      given: Content and style as they were given, by name; None for a texture's.

    Raises:
      ValueError: If matplotlib is not installed.
    """
    plain = [{k: v for k, v in r.items() if k not in ARRAYS} for r in records]
    write_summary(folder, asked, plain)
    write_csv(folder / "table.csv", records)
    write_latex(folder / "table.tex", records, axes)
    pictures = {k: as_array(k, v) for k, v in given.items() if v is not None}
    plot_sweep(folder / "sheet.png", records, axes, pictures)
    if any(record["history"] for record in records):
        plot_curves(folder / "curves.png", records, axes)
