"""Now against before: ratios of medians, with what noise alone could do.

The band of a ratio is the middle 95 % of what it would be had other calls been drawn:
both rows' samples are resampled 2,000 times with replacement (a bootstrap, Efron 1979)
and the ratio of medians taken each time. It knows the noise within two runs. It does
not know what else differs between two days on one machine (clocks, neighbours, heat):
that is what the threshold is for. A row fails only if its ratio is beyond the threshold
*and* its whole band lies above 1.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tabulate import tabulate

from jnst.bench.measure import KEY, Row

DRAWS = 2000
WATCHED = ("device", "device_kind", "cpu", "cores", "matmul_precision", "xla_flags")


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


def _same(one: Row, other: Row) -> bool:
    """Whether two rows measured the same thing, by what both tell of it."""
    pairs = [(one.get(name), other.get(name)) for name in KEY]
    return all(a == b for a, b in pairs if a is not None and b is not None)


def _verdict(ratio: float, low: float, high: float, threshold: float) -> str:
    if low <= 1 <= high:
        return "within noise"
    if ratio > threshold:
        return "slower"
    return "faster" if ratio < 1 else "slower, within the threshold"


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
      ratio now / before, its band and a verdict.

    Raises:
      ValueError: If the threshold is below 1, or no two rows measured the same.
    """
    if not threshold >= 1:
        raise ValueError(f"threshold must be at least 1, got {threshold}")
    found = []
    for row in (r for r in now if r.get("step_ms")):
        equals = [r for r in before if r.get("step_ms") and _same(row, r)]
        if not equals:
            continue
        earlier = equals[-1]
        ratio = row["step_ms"] / earlier["step_ms"]
        low, high = noise_band(row["samples_ms"], earlier["samples_ms"])
        found.append(
            {k: row.get(k) for k in KEY}
            | {"before_ms": earlier["step_ms"], "now_ms": row["step_ms"]}
            | {"ratio": ratio, "band": [low, high]}
            | {"verdict": _verdict(ratio, low, high, threshold)}
        )
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


def comparison_table(comparison: Sequence[Row]) -> str:
    """Return a comparison as an aligned table."""
    rows = [
        {
            "px": row["size_px"],
            "batch": row["batch"],
            "dtype": row["dtype"],
            "loss": row["loss"],
            "optimizer": row["optimizer"],
            "before ms": f"{row['before_ms']:.4g}",
            "now ms": f"{row['now_ms']:.4g}",
            "ratio": f"{row['ratio']:.3f}",
            "noise": f"{row['band'][0]:.3f} to {row['band'][1]:.3f}",
            "": row["verdict"],
        }
        for row in comparison
    ]
    return tabulate(rows, headers="keys", disable_numparse=True)
