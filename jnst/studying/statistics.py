"""Means of a study's scores, paired intervals, and which differences hold.

Scores of a method are compared with those of the first method, pair by pair: a pair is
one content and one style, at one budget. An interval is a bootstrap of the mean
difference. A difference *holds* by Holm's procedure over all comparisons of a metric
(other methods x budgets): with m of them left, those hold whose interval of level
1 - ALPHA / m excludes 0; they are taken out, and the rest is tried with fewer left,
until none holds. As a bootstrap of few pairs knows too little, a difference must also
have pairs enough that the signs of n differences could tell: 2^(1 - n) <= ALPHA / m.

Pairs that share a content or a style are taken as if they were independent draws: the
intervals speak of such pictures, not of all there are.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jnst.metrics import METRICS

ALPHA = 0.05
RESAMPLES = 9999
SEED = 0
ABOUT = {
    "interval": f"bootstrap of the mean paired difference, level {1 - ALPHA:g}: BCa "
    "(Efron 1987), or percentile where BCa is undefined",
    "holds": "Holm (1979) over a metric's comparisons with the first method, by "
    "intervals of the adjusted level, with pairs enough: 2^(1 - n) <= ALPHA / m",
    "alpha": ALPHA,
    "resamples": RESAMPLES,
    "seed": SEED,
}


class Interval(NamedTuple):
    """An interval of a mean.

    Attributes:
      low: Its lower end.
      high: Its upper end.
      method: "BCa", "percentile", or "constant" where all differences are equal.
    """

    low: float
    high: float
    method: str

    @property
    def excludes_zero(self) -> bool:
        """Tell whether 0 lies outside."""
        return self.low > 0 or self.high < 0


class Line(NamedTuple):
    """A method at a budget, by one metric.

    Attributes:
      budget: Name of the budget.
      method: Name of the method.
      metric: Key of `METRICS`.
      better: "lower" or "higher".
      mean: Mean over the pairs that have a score; None if none has.
      scored: How many those are.
      pairs: Pairs that the first method has a score of too; 0 for that itself.
      difference: Mean difference to the first method over them; None if there are none.
      interval: Of that difference, at level 1 - `ALPHA`; None below two pairs.
      holds: Whether the difference holds.
      verdict: "better" or "worse" than the first method if it holds, else "".
    """

    budget: str
    method: str
    metric: str
    better: str
    mean: float | None
    scored: int
    pairs: int
    difference: float | None
    interval: Interval | None
    holds: bool
    verdict: str


def interval(differences: np.ndarray, *, level: float) -> Interval | None:
    """Return a bootstrap interval of the mean of paired differences.

    Args:
      differences: One a pair, [n].
      level: Of the interval, such as 0.95.

    Returns:
      None for fewer than two pairs.

    References:
      Efron, "Better bootstrap confidence intervals", JASA 1987 (BCa), by
      `scipy.stats.bootstrap`. Departs: where all differences are equal, the interval is
      that value; where BCa is undefined, as for two pairs, it is the percentiles'.
    """
    from scipy.stats import bootstrap  # a second to import

    values = np.asarray(differences, np.float64)
    if len(values) < 2:
        return None
    if np.ptp(values) == 0:
        return Interval(float(values[0]), float(values[0]), "constant")
    for method in ("BCa", "percentile"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of BCa where it is undefined
            found = bootstrap(
                (values,),
                np.mean,
                confidence_level=level,
                n_resamples=RESAMPLES,
                method=method,
                rng=np.random.default_rng(SEED),
            ).confidence_interval
        if np.isfinite([found.low, found.high]).all():
            return Interval(float(found.low), float(found.high), method)
    return None


def which_hold(several: Sequence[np.ndarray]) -> list[bool]:
    """Tell which mean differences hold, of all comparisons of a metric.

    Args:
      several: Paired differences of each comparison, [n] each.

    References:
      Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Stat.
      1979, with intervals for p values; see this module.
    """
    left = [n for n, each in enumerate(several) if len(each) > 1]
    held: set[int] = set()
    while left:
        alpha = ALPHA / len(left)
        found = [n for n in left if _excludes_zero(several[n], alpha)]
        if not found:
            break
        held |= set(found)
        left = [n for n in left if n not in held]
    return [n in held for n in range(len(several))]


def _excludes_zero(differences: np.ndarray, alpha: float) -> bool:
    if 2.0 ** (1 - len(differences)) > alpha:
        return False
    found = interval(differences, level=1 - alpha)
    return found is not None and found.excludes_zero


def pairs_needed(comparisons: int) -> int:
    """Return how many pairs the first of so many comparisons needs to hold."""
    return int(np.ceil(1 - np.log2(ALPHA / max(1, comparisons))))


def compare_methods(
    records: Sequence[Mapping[str, Any]], metrics: Sequence[str]
) -> list[Line]:
    """Compare all methods of a study with the first.

    Args:
      records: Of cells, in order; those with an error are left out.
      metrics: Keys of `METRICS`.

    Returns:
      A line a budget, method and metric, in that order.
    """
    budgets = list(dict.fromkeys(record["budget"] for record in records))
    methods = list(dict.fromkeys(record["method"] for record in records))
    found: dict[tuple[str, str, str], Line] = {}
    for metric in metrics:
        scores = {
            (budget, method): _scores(records, budget, method, metric)
            for budget in budgets
            for method in methods
        }
        for line in _lines(scores, metric, methods[0]):
            found[line.budget, line.method, line.metric] = line
    return [found[b, m, k] for b in budgets for m in methods for k in metrics]


def _scores(
    records: Sequence[Mapping[str, Any]], budget: str, method: str, metric: str
) -> dict[tuple[str, str], float]:
    """Return the scores of a method by pair."""
    return {
        (record["content"], record["style"]): float(record[metric])
        for record in records
        if (record["budget"], record["method"]) == (budget, method)
        and not record["error"]
        and record.get(metric) is not None
    }


def _lines(
    scores: Mapping[tuple[str, str], Mapping[tuple[str, str], float]],
    metric: str,
    first: str,
) -> list[Line]:
    """Compare by one metric."""
    several = {}
    for (budget, method), own in scores.items():
        reference = scores[budget, first] if method != first else {}
        both = [pair for pair in own if pair in reference]
        several[budget, method] = np.array([own[p] - reference[p] for p in both])
    holds = dict(zip(several, which_hold(list(several.values())), strict=True))
    lines = []
    for (budget, method), own in scores.items():
        differences = several[budget, method]
        mean = float(np.mean(list(own.values()))) if own else None
        difference = float(np.mean(differences)) if len(differences) else None
        held, better = holds[budget, method], METRICS[metric].better
        known = interval(differences, level=1 - ALPHA)
        lines.append(
            Line(
                budget,
                method,
                metric,
                better,
                mean,
                len(own),
                len(differences),
                difference,
                known,
                held,
                _verdict(difference, better) if held else "",
            )
        )
    return lines


def _verdict(difference: float | None, better: str) -> str:
    lower = (difference or 0.0) < 0
    return "better" if lower == (better == "lower") else "worse"


def flat(line: Line) -> dict[str, Any]:
    """Return a line as a table has it: nothing nested."""
    low, high, method = line.interval or (None, None, "")
    ends = {"low": low, "high": high, "interval": method}
    return {k: v for k, v in line._asdict().items() if k != "interval"} | ends
