"""The probe that makes pictures: a texture, and a transfer at three weights.

Small and short: they show what a loss is after, not how well it does.
"""

from typing import Any

import numpy as np

from jnst.drivers.objectives import make_objective
from jnst.drivers.transfer import stylize
from jnst.examining.finding import LOOK, OK, WRONG, Finding, Lab, number, worst
from jnst.loop.history import NonFiniteLossError
from jnst.objective.kinds import Part

SIDE_PX, STEPS = 96, 80
FACTORS = (0.1, 1.0, 10.0)
"""Of the weight at which the loss pulls as hard as the default recipe's own."""
TERMS = {"style": "style", "content": "content", "image": "tv"}
"""Term of the default recipe that a loss stands in for, by its kind."""


def _fields(part: Part) -> dict[str, Any]:
    """Put a loss in place of the default recipe's of its kind."""
    term = TERMS[part.kind]
    found = {f"{term}_loss": part.loss, f"{term}_options": part.options}
    if part.kind != "image":
        found[f"{term}_layers"] = part.layers
    # Without shifts, so that first and last loss are of one function.
    return found | {"scale_steps": (STEPS,), "shift_px": 0}


def balanced_fields(
    part: Part, content: np.ndarray, style: np.ndarray, params: Any
) -> dict[str, Any]:
    """Weigh a loss by gradients.

    A style loss is weighed at the content image, others at noise: at the content image
    a content loss has no gradient.

    Returns:
      Fields of a recipe, the loss's weights among them.
    """
    term, fields = TERMS[part.kind], _fields(part)
    init = {} if part.kind == "style" else {"init": "noise"}
    changes = {**fields, **init, f"{term}_weight": "balance"}
    objective = make_objective(content, style, weights=params, **changes)
    fields[f"{term}_weight"] = float(objective.weights[term])
    layers = objective.layer_weights.get(term)
    if layers is not None:
        fields[f"{term}_layer_weights"] = tuple(np.asarray(layers).tolist())
    return fields


def _run(content: Any, style: Any, term: str, **options: Any) -> dict[str, Any]:
    """Make a picture; tell what its term was before and after."""
    try:
        result = stylize(content, style, **options)
        image, history, error = result.image, result.history, ""
    except NonFiniteLossError as stopped:
        image, history, error = stopped.image, stopped.history, str(stopped)
    values, total = (np.asarray(history[name], np.float64) for name in (term, "loss"))
    row = {"first": values[0], "last": values[-1], "error": error}
    return row | {"loss_first": total[0], "loss_last": total[-1], "image": image}


def pictures(lab: Lab) -> Finding:
    """Make a texture, and a transfer at a tenth of a weight, at it, at ten times."""
    part, scene, term = lab.part, lab.scene, TERMS[lab.part.kind]
    names = ("content", "style")
    content, style = (np.asarray(scene.picture(k, SIDE_PX)[0]) for k in names)
    lab.tell("weighing it by gradients")
    fields = balanced_fields(part, content, style, scene.params)
    weight = fields[f"{term}_weight"]
    shared = {"weights": scene.params, "seed": lab.seed, **fields}
    rows: dict[str, dict[str, Any]] = {}
    if part.kind == "style":
        lab.tell("texture")
        rows["texture"] = _run(None, style, term, **shared)
    for factor in FACTORS:
        lab.tell(f"transfer at {factor:g} times the balanced weight")
        changed = shared | {f"{term}_weight": factor * weight}
        rows[f"transfer x {factor:g}"] = _run(content, style, term, **changed)
    return _finding(part, {"content": content, "style": style}, rows, fields)


def _finding(
    part: Part, pair: dict[str, Any], rows: dict[str, Any], fields: dict[str, Any]
) -> Finding:
    images = pair | {label: row.pop("image") for label, row in rows.items()}
    verdicts, words = [OK], []
    for label, row in rows.items():
        if row["error"]:
            verdicts.append(WRONG)
            words.append(f"{label} stopped: {row['error'][:60]}")
        elif row["loss_last"] > row["loss_first"]:
            verdicts.append(LOOK)
            words.append(f"{label} ends higher than it began")
    label = "texture" if "texture" in rows else "transfer x 10"
    row = rows[label]
    words.insert(
        0, f"{label}: its term from {number(row['first'])} to {number(row['last'])}"
    )
    term = TERMS[part.kind]
    numbers = {"size_px": SIDE_PX, "steps": STEPS, "runs": rows}
    numbers |= {"weight": fields[f"{term}_weight"]}
    numbers |= {"layer_weights": fields.get(f"{term}_layer_weights", ())}
    return Finding(worst(*verdicts), "; ".join(words), numbers, images)
