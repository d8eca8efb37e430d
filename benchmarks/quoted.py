"""Figures that others published, in megapixel-steps a second.

`quoted.json` holds what each source says, as it says it; the rate is derived here:
pixels times steps over seconds. An aspect that a source does not state is assumed, and
said so. To add one, add a row there: "long_px" and "short_px" with "steps", or the
"schedule" of a recipe of ours; without a size there is no rate.
"""

import json
from pathlib import Path

from jnst.recipes import RECIPES
from jnst.recipes.schedule import stages

QUOTED = Path(__file__).with_name("quoted.json")
QUOTED_COLUMNS = {
    "Mpx-steps/s": ("mpx_steps_per_s", ".2g"),
    "measured by": ("by", ""),
    "source": ("source", ""),
    "hardware": ("hardware", ""),
    "image": ("image", ""),
    "steps": ("steps", "d"),
    "seconds": ("seconds", ""),
    "optimiser": ("optimizer", ""),
    "remarks": ("remarks", ""),
}


def mpx_steps(row):
    """Work of a quoted run in megapixel-steps; None where its size is not known."""
    if not (row.get("long_px") and row.get("short_px")):
        return None
    shape = row["short_px"], row["long_px"]
    if row.get("schedule"):
        plan = stages(shape, row["long_px"], RECIPES[row["schedule"]].schedule)
        return sum(one.shape[0] * one.shape[1] * one.steps for one in plan) / 1e6
    return shape[0] * shape[1] * row["steps"] / 1e6 if row.get("steps") else None


def rate(row):
    """Megapixel-steps a second, from the middle of a range of seconds; or None."""
    work, seconds = mpx_steps(row), row["seconds"]
    if isinstance(seconds, list):
        seconds = sum(seconds) / len(seconds)
    return None if work is None else work / seconds


def load_quoted(path=QUOTED):
    """Read the rows of `quoted.json`, each with its "mpx_steps_per_s"."""
    rows = json.loads(Path(path).read_text(encoding="utf-8"))["rows"]
    return [row | {"mpx_steps_per_s": rate(row)} for row in rows]


def quoted_row(row):
    """A quoted row as the page shows it."""
    seconds = row["seconds"]
    text = "{} to {}".format(*seconds) if isinstance(seconds, list) else str(seconds)
    remarks = "; ".join(filter(None, [row["configuration"], row["assumption"]]))
    return row | {"by": "quoted", "seconds": text, "remarks": remarks}


def our_row(row, machine):
    """A measured row in the same columns; ours are of steps alone."""
    side = row["size_px"]
    image = f"{side} x {side}" + (", bf16" if row["dtype"] == "bfloat16" else "")
    words = ["a step alone", row["dtype"], f"commit {row['commit']}"]
    return {
        "mpx_steps_per_s": row["mpx_steps_per_s"],
        "by": "**us**",
        "source": "jnst",
        "hardware": machine,
        "image": image,
        "optimizer": row["optimizer"].capitalize(),
        "remarks": ", ".join(words),
    }


def quoted_and_ours(ours):
    """Quoted rows and ours together, the fastest first, those without a rate last."""
    rows = [quoted_row(row) for row in load_quoted()] + list(ours)
    return sorted(rows, key=lambda row: -(row["mpx_steps_per_s"] or 0))
