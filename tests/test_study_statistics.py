"""Intervals, which differences hold, and the tables that say so."""

import csv
import io

import numpy as np
import pytest
from scipy.stats import norm

from jnst.studying import statistics
from jnst.studying.statistics import (
    ALPHA,
    RESAMPLES,
    SEED,
    compare_methods,
    interval,
    pairs_needed,
    which_hold,
)
from jnst.studying.table import (
    as_csv,
    as_tex,
    as_text,
    legend,
    lines_as_csv,
    off_time,
    tex,
)

RNG = np.random.default_rng(1)
SKEWED = RNG.exponential(1.0, 16) - 0.4


def slow_bca(values, level):
    """Efron (1987), section 3, with the acceleration of his equation 6.6."""
    values = list(map(float, values))
    count, mean = len(values), sum(values) / len(values)
    draws = np.random.default_rng(SEED).integers(0, count, (RESAMPLES, count))
    means = sorted(sum(values[n] for n in draw) / count for draw in draws)
    below = sum(m < mean for m in means) + sum(m <= mean for m in means)
    bias = norm.ppf(below / (2 * RESAMPLES))
    without = [(sum(values) - v) / (count - 1) for v in values]
    middle = sum(without) / count
    cubes = sum((middle - w) ** 3 for w in without)
    squares = sum((middle - w) ** 2 for w in without)
    acceleration = cubes / (6 * squares**1.5)
    ends = []
    for tail in ((1 - level) / 2, (1 + level) / 2):
        z = bias + norm.ppf(tail)
        ends.append(np.quantile(means, norm.cdf(bias + z / (1 - acceleration * z))))
    return ends


def test_an_interval_is_efrons():
    found = interval(SKEWED, level=0.95)
    assert found.method == "BCa"
    # The draws are SciPy's own order of them: ends move by what resampling leaves.
    np.testing.assert_allclose(
        [found.low, found.high], slow_bca(SKEWED, 0.95), atol=0.02
    )
    assert found.low < SKEWED.mean() < found.high


def test_an_interval_is_the_same_every_time():
    assert interval(SKEWED, level=0.9) == interval(SKEWED, level=0.9)


def test_intervals_cover_the_mean_nearly_as_often_as_they_say(monkeypatch):
    monkeypatch.setattr(statistics, "RESAMPLES", 500)
    draws = np.random.default_rng(2).normal(0.3, 1, (200, 20))
    inside = sum(i.low < 0.3 < i.high for i in (interval(d, level=0.95) for d in draws))
    # 95 % of 200 are 190; 20 pairs cost a bootstrap some 2 %; 3 deviations are 9.
    assert 172 <= inside <= 199


def test_degenerate_differences_have_what_interval_they_can():
    assert interval(np.array([]), level=0.95) is None
    assert interval(np.array([1.0]), level=0.95) is None
    same = interval(np.full(5, -2.0), level=0.95)
    assert (same.low, same.high, same.method) == (-2.0, -2.0, "constant")
    assert same.excludes_zero
    assert not interval(np.zeros(5), level=0.95).excludes_zero
    two = interval(np.array([1.0, 3.0]), level=0.95)
    assert (two.low, two.high) == (1.0, 3.0)
    one_off = interval(np.array([0.0] * 9 + [1.0]), level=0.95)
    assert np.isfinite([one_off.low, one_off.high]).all()
    tiny = interval(np.array([1e-30, 2e-30, 3e-30]), level=0.95)
    assert 0 < tiny.low < tiny.high


def test_holms_procedure_is_that_of_p_values(monkeypatch):
    # A p value is the least alpha whose interval excludes 0, by halving.
    monkeypatch.setattr(statistics, "RESAMPLES", 999)
    rng = np.random.default_rng(3)
    several = [rng.normal(shift, 1, 24) for shift in (0.9, 0.55, 0.45, 0.4, 0.0)]

    def p_value(values):
        low, high = 0.0, 1.0
        for _ in range(12):
            middle = (low + high) / 2
            outside = interval(values, level=1 - middle).excludes_zero
            low, high = (low, middle) if outside else (middle, high)
        return high

    p = np.array([p_value(values) for values in several])
    order, expected = np.argsort(p), [False] * len(p)
    for rank, n in enumerate(order):
        if p[n] > ALPHA / (len(p) - rank):
            break
        expected[n] = True
    found = which_hold(several)
    assert found == expected
    assert 0 < sum(found) < len(found)


def test_a_step_of_holms_lets_the_next_hold():
    # At ALPHA / 2 the second does not; once the first is out, at ALPHA, it does.
    rng = np.random.default_rng(0)
    strong = rng.normal(5, 1, 20)
    for shift in np.linspace(0.2, 0.8, 61):
        weak = np.random.default_rng(4).normal(0, 1, 20)
        weak = weak - weak.mean() + shift
        at = [interval(weak, level=1 - a).excludes_zero for a in (ALPHA / 2, ALPHA)]
        if at == [False, True]:
            break
    assert at == [False, True]
    assert which_hold([strong, weak]) == [True, True]
    assert which_hold([weak, weak]) == [False, False]


def test_few_pairs_never_hold_however_far_apart():
    # The signs of n differences are all alike by chance once in 2^(n - 1).
    assert which_hold([np.array([5.0, 5.1, 5.2, 5.3, 5.4])]) == [False]
    assert which_hold([np.array([5.0, 5.1, 5.2, 5.3, 5.4, 5.5])]) == [True]
    assert pairs_needed(1) == 6 and pairs_needed(20) == 10
    assert which_hold([np.array([])]) == [False]


def records(methods, pairs=8, budget="own"):
    """Scores of methods: {name: what they are off by}."""
    rng = np.random.default_rng(5)
    base = rng.random(pairs)
    return [
        {
            "content": f"c{n}", "style": "s", "method": name, "budget": budget,
            "steps": 5, "seconds": 1.0, "error": "",
            "ssim": base[n] + offset + 0.01 * rng.random(),
            "gram": 1e-6 * (base[n] + offset),
        }
        for n in range(pairs)
        for name, offset in methods.items()
    ]  # fmt: skip


def line_of(lines, method, metric):
    return next(x for x in lines if (x.method, x.metric) == (method, metric))


def test_which_way_is_better_is_the_metrics():
    lines = compare_methods(records({"a": 0, "b": 0.5, "same": 0}), ["ssim", "gram"])
    assert line_of(lines, "b", "ssim").verdict == "better"  # higher is
    assert line_of(lines, "b", "gram").verdict == "worse"  # lower is
    same = line_of(lines, "same", "gram")
    assert same.difference == 0 and not same.holds and same.verdict == ""
    first = line_of(lines, "a", "ssim")
    assert first.interval is None and first.difference is None
    b = line_of(lines, "b", "gram")
    assert b.interval.low <= b.difference <= b.interval.high


def test_pairs_without_both_scores_are_left_out():
    several = records({"a": 0, "b": 0.5})
    several[0]["error"] = "stopped"  # a on the first pair
    several[3]["ssim"] = None  # b on the second
    lines = compare_methods(several, ["ssim", "gram"])
    assert line_of(lines, "a", "ssim").scored == 7
    assert line_of(lines, "b", "ssim").scored == 7
    assert line_of(lines, "b", "ssim").pairs == 6
    assert line_of(lines, "b", "gram").pairs == 7


def test_budgets_are_compared_apart_and_counted_together():
    several = records({"a": 0, "b": 0.5}, budget="5 steps")
    several += records({"a": 0, "b": -0.5}, budget="1 seconds")
    lines = compare_methods(several, ["ssim"])
    assert [x.verdict for x in lines if x.method == "b"] == ["better", "worse"]
    assert "over 2 comparisons" in legend(lines)
    text = as_text(lines, several, {"ssim": 1.0})
    assert "b, 5 steps" in text and "b, 1 seconds" in text


def test_the_tables_say_the_same():
    several = records({"a": 0, "b_1": 0.5})
    lines = compare_methods(several, ["ssim", "gram"])
    text = as_text(lines, several, {"ssim": 1.0, "gram": None})
    mean = f"{line_of(lines, 'b_1', 'ssim').mean:.4g}"
    assert mean in text and "gram down" in text and "+ better, - worse" in text
    assert "5 steps, 1 s" in text
    rows = list(csv.DictReader(io.StringIO(lines_as_csv(lines))))
    assert len(rows) == 4 and rows[2]["verdict"] == "better"
    assert float(rows[2]["low"]) == line_of(lines, "b_1", "ssim").interval.low
    code = as_tex(lines)
    assert r"b\_1" in code and r"ssim $\uparrow$" in code and r"\cdot 10^{-7}" in code
    for begin in ("toprule", "midrule", "bottomrule"):
        assert code.count(f"\\{begin}") == 1
    rows_of_code = [x for x in code.splitlines() if x.endswith(r"\\")]
    assert {x.count(" & ") for x in rows_of_code} == {3}
    assert code.count(r"\mathbf") == 2


def test_one_method_and_one_pair_are_tables_too():
    alone = records({"a": 0})
    lines = compare_methods(alone, ["ssim"])
    assert "nothing to compare" in as_text(lines, alone, {})
    one = records({"a": 0, "b": 1}, pairs=1)
    lines = compare_methods(one, ["ssim"])
    assert "One pair: no interval" in as_text(lines, one, {})
    assert line_of(lines, "b", "ssim").difference == pytest.approx(1, abs=0.02)
    assert r"\bottomrule" in as_tex(lines)
    failed = [{**r, "error": "x"} for r in one]
    assert "1 of 1 failed" in as_text(compare_methods(failed, ["ssim"]), failed, {})


def test_runs_off_their_seconds_are_told():
    several = records({"a": 0}, pairs=2, budget="4 seconds")
    several[1]["seconds"] = 6.0
    assert "0.25 to 1.5 times the seconds given" in off_time(several)
    assert off_time([{**several[1], "seconds": 4.5}]) == ""
    assert off_time(records({"a": 0}, budget="4 steps")) == ""


def test_texts_are_escaped():
    assert tex(r"a_b&c%{\x}") == r"a\_b\&c\%\{\textbackslash{}x\}"
    assert as_csv([{"a": 'x,"y"'}, {"b": 1}]) == 'a,b\n"x,""y""",\n,1\n'
