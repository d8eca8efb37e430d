"""Whether an earlier file can be compared with, told before anything is measured."""

from collections.abc import Mapping, Sequence
from typing import Any

from jnst.bench.against import differing, find_equal, key_of
from jnst.bench.measure import Row

Document = Mapping[str, Any]


def kind_of(document: Document) -> str | None:
    """Name the kind of device of a document; for a CPU its model, None if not told."""
    kind = document["device_kind"]
    return document.get("cpu") if kind == "cpu" else kind


def _check_device(now: Document, before: Document, where: str) -> None:
    ours, theirs = kind_of(now), kind_of(before)
    if now["device_kind"] != before["device_kind"]:  # also where a model is not told
        ours, theirs = now["device_kind"], before["device_kind"]
    if None not in (ours, theirs) and ours != theirs:
        raise ValueError(
            f"{where!r} is of another device, {theirs!r}, and this is {ours!r}; "
            "measure it again here, or see both by `jnst bench --merge`"
        )


def _weights_name(weights: Document, field: str) -> str:
    """Name weights so that those of one title are told apart too."""
    title = repr(weights.get("title"))
    return title if field == "title" else f"{title} (tensors {weights[field][:12]})"


def _check_weights(now: Document, before: Document, where: str) -> None:
    """Compare checksums where both are known, else titles."""
    ours, theirs = now["weights"], before["weights"]
    known = [
        name
        for name in ("tensors_sha256", "title")
        if None not in (ours.get(name), theirs.get(name))
    ]
    if known and ours[known[0]] != theirs[known[0]]:
        told = [_weights_name(w, known[0]) for w in (theirs, ours)]
        raise ValueError(
            f"{where!r} was measured with other weights, {told[0]}, and these are "
            f"{told[1]}; give the same by --weights, or measure it again"
        )


def _nearest(asked: Sequence[Row], rows: Sequence[Row]) -> str:
    """Say what tells the nearest row from what is asked."""
    pairs = [(one, other, differing(one, other)) for one in asked for other in rows]
    one, other, names = min(pairs, key=lambda pair: len(pair[2]))
    ours, theirs = key_of(one), key_of(other)
    return ", ".join(f"{k} {theirs[k]} there and {ours[k]} asked" for k in names)


def check_comparable(
    now: Document, before: Document, asked: Sequence[Row], *, where: str
) -> list[Row]:
    """Raise unless an earlier document can be compared with what is asked.

    Args:
      now: A document as it will be, without rows.
      before: The earlier one.
      asked: What is to be measured, from `jnst.bench.measure.describe`.
      where: Name of the earlier file.

    Returns:
      Those of `asked` that have no equal there; not all of them.

    Raises:
      ValueError: If it is of another kind of device (for a CPU: another model), of
        other weights, or no row in it measured what one of `asked` will.
    """
    _check_device(now, before, where)
    _check_weights(now, before, where)
    alone = [row for row in asked if find_equal(row, before["rows"]) is None]
    if len(alone) < len(asked):
        return alone
    timed = [row for row in before["rows"] if row.get("step_ms")]
    why = (
        f"; the nearest has {_nearest(asked, timed)}" if timed else ": it has no times"
    )
    raise ValueError(f"no row of {where!r} measured what is asked{why}")
