"""Judges of pictures: what a result keeps of the content and takes of the style.

`METRICS` is the table, a row a metric: source, range, which way is better, what it sees
and what it does not. `compute` gives one metric of arrays by its formula, `score` all
of a result at once, `scores_and_reasons` also why some are missing, and `as_loss` makes
one a term of an objective. Learned weights come from packages that are read and never
imported, `jnst.metrics.packaged`. To add a metric, see `jnst.metrics.rows`.
"""

from jnst.metrics.computing import as_loss, compute
from jnst.metrics.rows import Metric
from jnst.metrics.scoring import Scores, check_possible, score, scores_and_reasons
from jnst.metrics.table import METRICS

__all__ = [
    "METRICS",
    "Metric",
    "Scores",
    "as_loss",
    "check_possible",
    "compute",
    "score",
    "scores_and_reasons",
]
