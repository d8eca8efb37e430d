"""What cannot be computed in tiles, each in one line that names it."""

from typing import Any

from jnst.losses import CONTENT_LOSSES, STYLE_LOSSES
from jnst.network.layers import IMAGE_LAYER
from jnst.objective.features import Network
from jnst.objective.kinds import Part
from jnst.objective.term import OWN
from jnst.objective.value import Structure


def check_tiles(structure: Structure, extract: Any) -> None:
    """Raise `ValueError` for the first thing that tiles do not serve."""
    reasons = {
        "normalize_gradients": structure.normalize_gradients,
        "diagnostics": structure.diagnostics,
    }
    for name, asked in reasons.items():
        if asked:
            raise ValueError(_refused(f"{name}=true", "needs whole feature maps"))
    if structure.batch is not None:
        raise ValueError(_refused("a batch", "is computed side by side"))
    if not isinstance(extract, Network):
        raise ValueError(_refused("extract=", "is seen only as a whole"))
    for part in structure.parts:
        why = _why_not(part)
        if why:
            who = f"term {part.name!r} with loss {part.loss!r}"
            raise ValueError(_refused(who, why))


def _refused(what: str, why: str) -> str:
    return f"tile_px cannot serve {what}, which {why}; set tile_px=none"


def _why_not(part: Part) -> str:
    """Say why a term cannot be computed in tiles; "" if it can."""
    if part.pyramid > 1:
        return f"has {part.name}_pyramid={part.pyramid}"
    if part.kind == "image" or set(part.layers) == {IMAGE_LAYER}:
        return ""  # pixels are looked at as a whole
    if IMAGE_LAYER in part.layers:
        return "looks at pixels and features at once"
    if part.kind == OWN:
        return "is a function of whole feature maps"
    if part.kind == "style" and (part.row.joint or part.row.moments is None):
        known = _names(STYLE_LOSSES, "moments")
        return f"has a statistic that does not add up over tiles, unlike {known}"
    if part.kind == "content" and part.row.needs_style:
        return "needs whole feature maps of the style"
    if part.kind == "content" and (part.row.keyed or not part.row.over):
        known = _names(CONTENT_LOSSES, "over")
        return f"is no mean over positions, unlike {known}"
    return ""


def _names(table: Any, field: str) -> str:
    return ", ".join(name for name, row in table.items() if getattr(row, field))


def check_optimizer(searches: bool) -> None:
    """Raise `ValueError` for an optimiser that searches along a line."""
    if searches:
        raise ValueError(
            _refused("this optimizer", "evaluates the whole image along a line")
            + ", or optimizer=adam or lbfgs_torch"
        )
