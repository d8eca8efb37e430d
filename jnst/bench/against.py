"""Now against before: ratios of medians, with what noise alone could do.

The band of a ratio is the middle 95 % of what it would be had other calls been drawn:
both rows' samples are resampled 2,000 times with replacement (a bootstrap, Efron 1979)
and the ratio of medians taken each time. It knows the noise within two runs. It does
not know what else differs between two days on one machine (clocks, neighbours, heat):
that is what the threshold is for. The verdict on a row, the first that applies:

- "inconclusive": either side has fewer than `MIN_SAMPLES` samples. Of n samples all lie
  on one side of the true median with probability 2^(1-n), and no resampling reaches
  beyond them: below 6 the widest possible band misses more often than 5 %.
- "inconclusive": the band spans 1 and reaches beyond the threshold, upwards or as far
  downwards (1 / threshold). From 0.8 to 1.3 excludes neither a regression nor a gain.
- "within noise": the band spans 1, and lies within the threshold.
- "slower": the band lies above 1 and the ratio is beyond the threshold. Only this one
  makes `jnst bench --against` exit with 1.
- "slower, within the threshold", or "faster": the band lies on one side of 1.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tabulate import tabulate

from jnst.bench.measure import KEY, Row

DRAWS = 2000
MIN_SAMPLES = 6
"""Fewest samples, or processes of `--ab`, that decide; see above."""
Band = tuple[float, float] | None
WATCHED = ("device", "device_kind", "cpu", "cores", "matmul_precision", "xla_flags")
ABSENT = {"mode": "step", "devices": "1"}
"""What fields of `KEY` were before files told them; others may be anything."""
SHOWN = ("size_px", "batch", "dtype", "loss", "optimizer")
"""Fields of `KEY` that every comparison shows; others where they vary."""


def noise_band(now: Sequence[float], before: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % band of the ratio of medians.

    Args:
      now: Samples in ms, at least 1.
      before: The same of the earlier run.

    Returns:
      Lowest and highest ratio; both the ratio itself for one sample each.
    """
    rng = np.random.default_rng(0)
    medians = [
        np.median(rng.choice(np.asarray(one), (DRAWS, len(one))), axis=1)
        for one in (now, before)
    ]
    low, high = np.quantile(medians[0] / medians[1], [0.025, 0.975])
    return float(low), float(high)


def key_of(row: Row) -> Row:
    """Return the fields that say what a row measured; None for what is not told."""
    told = {name: row.get(name) for name in KEY}
    return {k: ABSENT.get(k) if v is None else v for k, v in told.items()}


def differing(one: Row, other: Row) -> list[str]:
    """List the fields by which two rows measured different things.

    A field that one of them does not tell is no difference, see `ABSENT`.
    """
    ours, theirs = key_of(one), key_of(other)
    return [
        name
        for name in KEY
        if None not in (ours[name], theirs[name]) and ours[name] != theirs[name]
    ]


def find_equal(row: Row, rows: Sequence[Row]) -> Row | None:
    """Return the last row with a time that measured what `row` did."""
    equals = [r for r in rows if r.get("step_ms") and not differing(row, r)]
    return equals[-1] if equals else None


def verdict_of(ratio: float, band: Band, threshold: float, samples: int) -> str:
    """Judge a ratio now / before by the rule above.

    Args:
      ratio: Of medians.
      band: What noise alone could do; None where there are no samples.
      threshold: Ratio above which a row is slower, at least 1.
      samples: Of the side that has fewer.

    Returns:
      The verdict.
    """
    if band is None or samples < MIN_SAMPLES:
        return "inconclusive"
    low, high = band
    if low <= 1 <= high:
        wide = high > threshold or low < 1 / threshold
        return "inconclusive" if wide else "within noise"
    if ratio > threshold:
        return "slower"
    return "faster" if ratio < 1 else "slower, within the threshold"


def check_threshold(threshold: float) -> None:
    """Raise `ValueError` for a threshold below 1."""
    if not threshold >= 1:
        raise ValueError(f"threshold must be at least 1, got {threshold}")


def _compared(row: Row, earlier: Row, threshold: float) -> Row:
    """Compare two rows that measured the same."""
    ratio = row["step_ms"] / earlier["step_ms"]
    samples = [side.get("samples_ms") or [] for side in (row, earlier)]
    fewest = min(map(len, samples))
    band = noise_band(*samples) if fewest else None
    return (
        {k: row.get(k) for k in KEY}
        | {"before_ms": earlier["step_ms"], "now_ms": row["step_ms"]}
        | {"ratio": ratio, "band": band, "samples": list(map(len, samples))}
        | {"verdict": verdict_of(ratio, band, threshold, fewest)}
    )


def compare_rows(
    now: Sequence[Row], before: Sequence[Row], *, threshold: float = 1.10
) -> list[Row]:
    """Compare rows that measured the same.

    Args:
      now: Rows of this run.
      before: Rows of an earlier one.
      threshold: Ratio of medians above which a row is "slower".

    Returns:
      A row for each of `now` that has an equal in `before`: its key, both medians, the
      ratio now / before, its band, numbers of samples (now, before) and a verdict.

    Raises:
      ValueError: If the threshold is below 1, or no two rows measured the same.
    """
    check_threshold(threshold)
    timed = [(row, find_equal(row, before)) for row in now if row.get("step_ms")]
    found = [_compared(row, equal, threshold) for row, equal in timed if equal]
    if not found:
        raise ValueError(
            "no row measured what a row of the earlier file did; ask for the same "
            "sizes, types, losses and weights"
        )
    return found


def is_slower(comparison: Sequence[Row]) -> bool:
    """Whether any row is slower beyond threshold and noise."""
    return any(row["verdict"] == "slower" for row in comparison)


def differences(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[str]:
    """List what else differs between two documents, a line each."""
    lines = [
        f"{name}: {before.get(name)} before, {now.get(name)} now"
        for name in WATCHED
        if before.get(name) != now.get(name)
    ]
    versions = now.get("versions", {}), before.get("versions", {})
    for name in sorted({*versions[0], *versions[1]}):
        new, old = versions[0].get(name), versions[1].get(name)
        if new != old:
            lines.append(f"{name}: {old} before, {new} now")
    return lines


def _told(row: Row) -> str:
    """Return a verdict, and why it is none."""
    if row["verdict"] != "inconclusive":
        return row["verdict"]
    unit = "rounds" if "rounds" in row else "samples"
    few = row["rounds"] if "rounds" in row else min(row["samples"])
    if few < MIN_SAMPLES:
        return f"inconclusive: {few} {unit}, {MIN_SAMPLES} would do"
    return "inconclusive: the noise is wide"


def comparison_table(comparison: Sequence[Row]) -> str:
    """Return a comparison as an aligned table."""
    varying = [k for k in KEY if len({str(row.get(k)) for row in comparison}) > 1]
    names = [name for name in KEY if name in SHOWN or name in varying]
    rows = [
        {name.removeprefix("size_"): row.get(name) for name in names}
        | {
            "before ms": f"{row['before_ms']:.4g}",
            "now ms": f"{row['now_ms']:.4g}",
            "ratio": f"{row['ratio']:.3f}",
            "noise": "{:.3f} to {:.3f}".format(*row["band"]) if row["band"] else "",
            "": _told(row),
        }
        for row in comparison
    ]
    return tabulate(rows, headers="keys", disable_numparse=True)
