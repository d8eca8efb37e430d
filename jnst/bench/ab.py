"""Two versions in turn: A B, B A, A B, ..., each in a process of its own.

Processes of one program differ more than calls within one: where memory lies, which
clock the machine has got to. So a round (a process of each version, one after the
other, each second round the other way around) is what is drawn again: the band of a
ratio is the middle 95 % over draws of rounds with replacement, and of samples within
each process drawn (a bootstrap of two stages, Davison and Hinkley 1997, section 3.8).
Both processes of a round are drawn together, so that what drifts over minutes hits both
sides of each ratio. Verdicts are those of `jnst.bench.against`, with rounds in place of
samples: fewer than `MIN_SAMPLES` decide nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jnst.bench.against import DRAWS, find_equal, verdict_of
from jnst.bench.checkouts import Version, run_bench
from jnst.bench.measure import KEY, Row

Document = Mapping[str, Any]
Samples = Sequence[Sequence[float]]
"""Milliseconds a step, by process."""
SIDES = ("before", "now")
"""The version that was named, and the one that runs; ratios are now / before."""


def order(rounds: int) -> Iterator[str]:
    """Yield whose turn it is; `SIDES` first, which finds out if the other can run."""
    for number in range(rounds):
        yield from SIDES[:: -1 if number % 2 else 1]


def run_in_turn(
    versions: Mapping[str, Version],
    arguments: Sequence[str],
    rounds: int,
    on_run: Callable[[str, dict[str, Any]], None],
) -> None:
    """Run two versions in turn.

    Args:
      versions: By `SIDES`.
      arguments: Of `jnst bench`, without what decides where results go.
      rounds: Processes of each, at least 1.
      on_run: Called with the side and its document after each process.

    Raises:
      ValueError: If one refuses the arguments.
      ChildProcessError: If one fails.
    """
    for side in order(rounds):
        on_run(side, run_bench(versions[side], arguments))


def rounds_band(now: Samples, before: Samples) -> tuple[float, float]:
    """Return the 95 % band of the ratio of medians of pooled samples.

    Args:
      now: Samples by round, at least 1 round of at least 1.
      before: The same of the other version, in the same rounds.

    Returns:
      Lowest and highest ratio.
    """
    rng = np.random.default_rng(0)
    sides = [[np.asarray(each) for each in side] for side in (now, before)]
    ratios = []
    for chosen in rng.integers(len(now), size=(DRAWS, len(now))):
        drawn = [
            np.concatenate([rng.choice(side[i], len(side[i])) for i in chosen])
            for side in sides
        ]
        ratios.append(np.median(drawn[0]) / np.median(drawn[1]))
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(low), float(high)


def _compared(row: Row, now: list[Row], before: list[Row], threshold: float) -> Row:
    """Compare rows of one case, of as many rounds of each side."""
    samples = [[one["samples_ms"] for one in side] for side in (now, before)]
    now_ms, before_ms = (float(np.median(np.concatenate(side))) for side in samples)
    band, ratio = rounds_band(*samples), now_ms / before_ms
    return (
        {k: row.get(k) for k in KEY}
        | {"before_ms": before_ms, "now_ms": now_ms, "ratio": ratio, "band": band}
        | {"verdict": verdict_of(ratio, band, threshold, len(now))}
        | {"rounds": len(now), "samples": [sum(map(len, side)) for side in samples]}
        | {"now_samples_ms": samples[0], "before_samples_ms": samples[1]}
    )


def compare_runs(
    now: Sequence[Document], before: Sequence[Document], *, threshold: float = 1.10
) -> list[Row]:
    """Compare two versions by the documents of their processes.

    Args:
      now: Documents of one version, by round.
      before: Those of the other; of rounds that one side lacks nothing is taken.
      threshold: Ratio above which a row is "slower".

    Returns:
      A row a case that both measured in at least one round: its key, pooled medians,
      their ratio, its band, a verdict, "rounds", numbers of samples and the samples by
      round.

    Raises:
      ValueError: If they measured no case in common.
    """
    found, done = [], set()
    for row in (row for document in now for row in document["rows"]):
        key = tuple(str(row.get(k)) for k in KEY)
        pairs = [
            (find_equal(row, one["rows"]), find_equal(row, other["rows"]))
            for one, other in zip(now, before, strict=False)
        ]
        both = [pair for pair in pairs if all(x and x.get("samples_ms") for x in pair)]
        if key not in done and both:
            mine, theirs = (list(side) for side in zip(*both, strict=True))
            found.append(_compared(row, mine, theirs, threshold))
        done.add(key)
    if not found:
        raise ValueError(
            "the two versions measured no case in common; ask for sizes, types and "
            "losses that both know"
        )
    return found


def middle_row(rows: Sequence[Row]) -> Row:
    """Return the row of the median time; of two in the middle the faster."""
    return sorted(rows, key=lambda row: row["step_ms"])[(len(rows) - 1) // 2]


def middle_rows(documents: Sequence[Document]) -> list[Row]:
    """Return for each case the row of the process in the middle, unchanged.

    A case that failed in every process keeps the row that says so.
    """
    found = []
    for row in documents[0]["rows"]:
        equals = [find_equal(row, document["rows"]) for document in documents]
        timed = [equal for equal in equals if equal]
        found.append(middle_row(timed) if timed else row)
    return found


def make_ab(
    now: Sequence[Document],
    before: Sequence[Document],
    *,
    name: str,
    rounds: int,
    threshold: float = 1.10,
) -> dict[str, Any]:
    """Make a document of two versions.

    Args:
      now: Documents of the running version, by round, at least 1.
      before: Those of the other.
      name: What the user called the other.
      rounds: How many were asked for.
      threshold: Ratio above which a row is "slower".

    Returns:
      The last document of the running version, with the rows of the process in the
      middle, and "ab": the two versions and rows of `compare_runs`.

    Raises:
      ValueError: If the versions measured no case in common.
    """
    done = min(len(now), len(before))
    told = {
        side: {"name": title, "commit": one.get("commit"), "versions": one["versions"]}
        for side, title, one in zip(
            SIDES, (name, "this version"), (before[-1], now[-1]), strict=True
        )
    }
    rows = compare_runs(now, before, threshold=threshold)
    about = {"rounds": done, "rounds_asked": rounds, "rows": rows}
    whole = {"rows": middle_rows(now), "finished": done == rounds}
    return {**now[-1], **whole, "ab": told | about}
