"""The tables of a report: losses by layer, recipe, inputs, timings, versions."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jnst.drivers.record import device, versions
from jnst.recipes.changing import named
from jnst.recipes.recipe import Recipe
from jnst.recipes.schedule import Stage
from jnst.recipes.settings import record
from jnst.report.analysis import LayerLoss
from jnst.report.page import as_text

USUAL = "jnst"
"""What a recipe without a name is held against."""


def table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a table of text, whose first column names the rows."""
    top = "".join(f'<th scope="col">{as_text(head)}</th>' for head in heads)
    body = "".join(
        f'<tr><th scope="row">{as_text(name)}</th>'
        + "".join(f"<td>{as_text(value)}</td>" for value in values)
        + "</tr>"
        for name, *values in rows
    )
    return (
        f'<div class="wide"><table class="numbers"><thead><tr>{top}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def number(value: float) -> str:
    """Return a number in four digits."""
    return f"{value:.4g}"


def layer_table(rows: Sequence[LayerLoss]) -> str:
    """Return the table of losses by layer, at the first image and at the last."""
    body = []
    for row in rows:
        first, last = row.losses
        share = number(last / first) if first > 0 else "-"
        figures = row.layer, number(row.weight), number(first), number(last), share
        body.append((row.term, *figures, number(row.weight * last)))
    heads = "term", "layer", "weight", "at start", "at end", "end / start", "weighted"
    return table(heads, body)


def gram_table(
    before: str, grams: Mapping[str, Mapping[str, np.ndarray]], target: str
) -> str:
    """Return how far Gram matrices are from the style's, before and after.

    Args:
      before: Key of `grams`: what the run's result is compared with.
      grams: {picture: {layer: Gram matrix [C, C]}}.
      target: Key of the style's.
    """
    rows = []
    for layer, style in grams[target].items():
        norm = float(np.linalg.norm(style))
        gaps = [
            float(np.linalg.norm(grams[name][layer] - style)) / norm if norm else 0.0
            for name in (before, "result")
        ]
        rows.append((layer, style.shape[0], *map(number, gaps)))
    return table(("layer", "channels", before, "result"), rows)


def flat(recipe: Recipe) -> dict[str, Any]:
    """Return all fields of a recipe by their flat names, as a record has them."""
    document = record(recipe)
    terms = document.pop("terms")
    document["terms"] = [term["name"] for term in terms]
    for term in terms:
        name = term.pop("name")
        document |= {f"{name}_{field}": value for field, value in term.items()}
    return document


def differences(recipe: Recipe, base: str) -> list[tuple[str, str, str]]:
    """List the fields in which a recipe differs from one of the table.

    Args:
      recipe: The recipe in effect.
      base: Key of `RECIPES`.

    Returns:
      (field, value there, value here), "" where there is none.
    """
    here, there = flat(recipe), flat(named(base))

    def text(fields: dict[str, Any], name: str) -> str:
        return repr(fields[name]) if name in fields else ""

    return [
        (name, text(there, name), text(here, name))
        for name in dict.fromkeys([*there, *here])
        if there.get(name) != here.get(name)
    ]


def recipe_table(recipe: Recipe, name: str | None) -> str:
    """Return the recipe as differences from its base, and whole behind a click."""
    base = name or USUAL
    own = "" if name else " (the recipe was given without a name)"
    found = differences(recipe, base)
    shown = (
        table(("field", f"in {base}", "here"), found)
        if found
        else f"<p>As {as_text(base)} has it, in every field.</p>"
    )
    rows = [(k, repr(v)) for k, v in flat(recipe).items()]
    return (
        f"<p>What differs from {as_text(base)}{as_text(own)}:</p>{shown}"
        f"<details><summary>All {len(rows)} fields</summary>"
        f"{table(('field', 'value'), rows)}</details>"
    )


def input_table(inputs: Mapping[str, Any], weights: Mapping[str, str]) -> str:
    """Return the pictures and the weights file, with their hashes."""
    rows, rest = [], []
    for what, value in inputs.items():
        several = value if isinstance(value, list) else [value]
        found = list(_described(several))
        for n, each in enumerate(found, start=1):
            name = each.get("name") or f"an array {each.get('shape', '')}"
            label = f"{what} {n}" if len(found) > 1 else what
            rows.append((label, name, each["sha256"]))
        if not found and value is not None:
            rest.append((what, value))
    title = weights.get("title") or weights.get("name") or "given as arrays"
    rows.append(("weights", title, weights.get("tensors_sha256", "")))
    known = [(f"weights' {k}", v) for k, v in weights.items() if k != "tensors_sha256"]
    return table(("input", "name", "SHA-256"), rows) + table(
        ("also", "value"), [*rest, *known]
    )


def _described(values: Sequence[Any]) -> list[Mapping[str, Any]]:
    """Pick what has a hash, out of batches too."""
    found = []
    for value in values:
        if isinstance(value, list):
            found += _described(value)
        elif isinstance(value, Mapping) and "sha256" in value:
            found.append(value)
    return found


def run_table(
    stages: Sequence[Stage], steps: int, seconds: float, compile_seconds: float | None
) -> str:
    """Return sizes, steps and times.

    Args:
      stages: Sizes from coarse to fine.
      steps: Steps that were done.
      seconds: Time in the loop.
      compile_seconds: Time of compiling; None where nobody knows.
    """
    sizes = ", ".join(
        f"{s.steps} steps at {s.shape[1]}x{s.shape[0]} px" for s in stages
    )
    rows = [
        ("sizes (width x height)", sizes),
        ("steps done", f"{steps}"),
        ("seconds in the loop", f"{seconds:.2f}"),
        ("ms a step, over all sizes", f"{1000 * seconds / max(steps, 1):.1f}"),
    ]
    if compile_seconds is not None:
        rows.append(("seconds compiling", f"{compile_seconds:.2f}"))
    return table(("time", ""), rows)


def version_table() -> str:
    """Return device and versions."""
    return table(("made with", ""), [("device", device()), *versions().items()])
