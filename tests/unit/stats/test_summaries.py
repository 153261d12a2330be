"""Medians, summaries, spread and outliers: numbers that can be checked by hand, and laws."""

from __future__ import annotations

import random
import time
from statistics import fmean, median, pstdev

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analysis import metric_specs
from harness.core.types import Estimate, LatencySummary
from harness.stats.bootstrap import bootstrap
from harness.stats.series import drift, effective_n, modes, steady_state
from harness.stats.summaries import (
    _ranks,
    launch_medians,
    measure,
    measure_iterations,
    measure_summaries,
    median_interval,
    needed_for,
    observed,
    outliers,
    spread,
    summary,
    summary_of_iterations,
)
from tests.strategies import SPECS, factors, groups, launch, medians

MEDIANS_OF_TWENTY = [float(v) for v in range(20)]


# --- the median's interval -------------------------------------------------------------------


def test_interval_of_seven_by_hand() -> None:
    """Hettmansperger & Sheather for n = 7: extremes cover 98.44 %, the next pair 87.5 %, so
    I = 0.03438 / 0.10938 = 0.3143 and lambda = 6 I / (1 + 5 I) = 0.7333."""
    e = median_interval([7.0, 1.0, 2.0, 6.0, 3.0, 5.0, 4.0])
    assert e is not None
    assert (e.point, e.confidence, e.n) == (4.0, 0.95, 7)
    assert (e.ci_low, e.ci_high) == pytest.approx((1.73333, 6.26667), abs=1e-4)


def test_five_launches_tell_the_level_that_they_reach() -> None:
    e = median_interval([5.0, 1.0, 4.0, 2.0, 3.0])
    assert e == Estimate(point=3.0, ci_low=1.0, ci_high=5.0, confidence=0.9375, n=5)


@pytest.mark.parametrize("n", range(5))
def test_fewer_than_five_give_no_interval(n: int) -> None:
    assert median_interval([1.0] * n) is None


@pytest.mark.parametrize("n", [7, 10, 20])
def test_the_interval_covers_skewed_data_as_often_as_it_says(n: int) -> None:
    rng = random.Random(n)
    hits = 0
    for _ in range(2000):
        e = median_interval([rng.lognormvariate(0, 0.8) for _ in range(n)])
        hits += e is not None and e.ci_low <= 1 <= e.ci_high
    assert 0.93 <= hits / 2000 <= 0.97


@given(medians, factors)
def test_scaling_the_data_scales_the_interval(values: list[float], factor: float) -> None:
    plain, scaled = median_interval(values), median_interval([v * factor for v in values])
    assert plain is not None and scaled is not None
    assert (scaled.point, scaled.ci_low, scaled.ci_high) == pytest.approx(
        (plain.point * factor, plain.ci_low * factor, plain.ci_high * factor)
    )
    assert (scaled.n, scaled.confidence) == (plain.n, plain.confidence)


@given(medians, st.randoms())
def test_the_order_of_launches_does_not_matter(values: list[float], rng: random.Random) -> None:
    shuffled = rng.sample(values, len(values))
    assert median_interval(shuffled) == median_interval(values)


@given(medians, st.floats(min_value=1, max_value=1e15))
def test_an_outlier_moves_the_interval_no_more_than_its_rank_allows(
    values: list[float], outlier: float
) -> None:
    """One value more, however large, shifts every order statistic by at most one place: each end
    stays between the neighbours of the two order statistics that it is interpolated from."""
    e = median_interval([*values, outlier])
    assert e is not None
    padded = sorted([min(*values, outlier), *values, max(*values, outlier)])  # x_0 ... x_(n+1)
    n = len(values) + 1
    rank = _ranks(n, 0.95)[0]
    assert padded[rank - 1] <= e.ci_low <= padded[rank + 1]
    assert padded[n - rank - 1] <= e.ci_high <= padded[n - rank + 1]


@given(st.lists(st.floats(min_value=1, max_value=1e6), min_size=8, max_size=30))
def test_how_large_an_outlier_is_does_not_matter_from_nine_on(values: list[float]) -> None:
    assert median_interval([*values, 1e7]) == median_interval([*values, 1e15])


@given(medians)
def test_the_point_lies_within_its_interval(values: list[float]) -> None:
    e = median_interval(values)
    assert e is not None and e.ci_low <= e.point <= e.ci_high


# --- launches --------------------------------------------------------------------------------


def test_launch_medians_leave_out_what_was_not_timed() -> None:
    launches = [launch(0, [1, 2, 9]), launch(1, []), launch(2, [4, 6])]
    assert launch_medians(launches) == [2.0, 5.0]


def test_what_a_launch_says_of_a_metric() -> None:
    seen = launch(0, [1, 2, 9], counters={"instructions": 7, "accuracy": 1})
    assert observed(seen, SPECS["latency"]) == 2
    assert observed(seen, SPECS["init"]) == 20_000_000
    assert observed(seen, SPECS["size"]) is None
    assert observed(seen, metric_specs.specs()["instructions"]) == 7
    assert observed(seen, SPECS["accuracy"]) is None  # no launch has one


@given(groups, st.randoms())
def test_permuting_iterations_changes_nothing(data: list[list[float]], rng: random.Random) -> None:
    """But for which tails are there: that goes by autocorrelation, which is order."""
    before = measure_iterations(data, "ns")
    after = measure_iterations([rng.sample(g, len(g)) for g in data], "ns")
    assert after.estimate == before.estimate
    assert (after.min, after.p50, after.mean, after.std) == (
        before.min,
        before.p50,
        before.mean,
        before.std,
    )
    for name in ("p90", "p95", "p99"):
        if None not in (tails := (getattr(before, name), getattr(after, name))):
            assert tails[0] == tails[1]


# --- summaries -------------------------------------------------------------------------------


def test_summary_by_hand() -> None:
    s = summary([4.0, 1.0, 3.0, 2.0])
    assert (s.min, s.p50, s.mean) == (1.0, 2.5, 2.5)
    assert s.std == pytest.approx(1.290994)


@pytest.mark.parametrize(
    ("name", "p", "n"), [("p90", 0.9, 29), ("p95", 0.95, 59), ("p99", 0.99, 299)]
)
def test_a_tail_is_absent_until_n_can_bound_it(name: str, p: float, n: int) -> None:
    assert needed_for(p) == n
    without = summary([float(v) for v in range(n - 1)])
    assert getattr(without, name) is None
    assert without.absent[name] == f"{n - 1} independent values cannot bound it; {n} can"
    assert getattr(summary([float(v) for v in range(n)]), name) == pytest.approx(p * n, abs=1.5)


def test_autocorrelated_iterations_do_not_support_a_tail() -> None:
    rng = random.Random(1)
    free = [[rng.gauss(5, 1) for _ in range(20)] for _ in range(6)]
    walks = []
    for _ in range(6):
        walks.append([5.0])
        for _ in range(19):
            walks[-1].append(5 + 0.95 * (walks[-1][-1] - 5) + rng.gauss(0, 0.1))
    assert summary_of_iterations(free).p95 is not None
    assert summary_of_iterations(walks).p95 is None


def test_launches_weigh_the_same_however_many_iterations_they_had() -> None:
    s = summary_of_iterations([[1.0] * 100, [3.0] * 10])
    assert (s.mean, s.p50) == (2.0, 2.0)


def test_nothing_observed_says_so() -> None:
    assert summary([]).absent["p50"] == "nothing was observed"
    gone = measure([], "ns", absent_because="no /proc here")
    assert (gone.point, gone.absent_because) == (None, "no /proc here")


def test_a_measurement_without_interval_says_why() -> None:
    m = measure([1.0, 2.0], "ns")
    assert (m.point, m.n, m.estimate) == (1.5, 2, None)
    assert m.absent["ci"] == "2 launches give no interval; 5 do"


@given(groups)
def test_a_measurement_of_iterations_is_the_median_of_medians(data: list[list[float]]) -> None:
    m = measure_iterations(data, "ns")
    assert m.point == median(median(g) for g in data)
    assert m.n == len(data)
    tails = [v for v in (m.min, m.p50, m.p90, m.p95, m.p99) if v is not None]
    assert tails == sorted(tails)


# --- spread and outliers ---------------------------------------------------------------------


def test_spread_tells_launches_from_iterations() -> None:
    rng = random.Random(3)
    data = []
    for _ in range(200):
        centre = rng.gauss(100, 10)
        data.append([rng.gauss(centre, 2) for _ in range(20)])
    s = spread(data)
    assert s is not None
    assert s.within == pytest.approx(2, rel=0.1)
    assert s.between == pytest.approx(10, rel=0.15)
    assert s.between_share == pytest.approx(0.96, abs=0.02)


def test_spread_of_launches_that_are_alike_is_within() -> None:
    s = spread([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]])
    assert s is not None and s.between == 0
    assert spread([[1.0, 2.0]]) is None


def test_outliers_are_labelled_and_none_is_dropped() -> None:
    values = [10.0, 11.0, 12.0, 13.0, 10.0, 11.0, 12.0, 13.0, 18.0, 30.0, 0.5]
    labels = outliers(values)
    assert len(labels) == len(values)
    assert labels[8:] == ["high mild", "high severe", "low severe"]
    assert set(labels[:8]) == {""}


# --- the bootstrap ---------------------------------------------------------------------------


def two_levels(launches: int, iterations: int, seed: int) -> list[list[float]]:
    rng = random.Random(seed)
    made = []
    for _ in range(launches):
        centre = rng.lognormvariate(0, 0.05)
        made.append([centre * rng.lognormvariate(0, 0.1) for _ in range(iterations)])
    return made


def test_the_same_launches_give_the_same_numbers() -> None:
    data = two_levels(8, 80, 1)
    assert bootstrap(data) == bootstrap(data)
    assert bootstrap(data) != bootstrap(data, seed=2)


def test_the_quick_inner_draw_is_the_literal_one() -> None:
    """Standard deviations of the mean and of p90 against drawing launches, then iterations."""
    import numpy as np

    data = two_levels(10, 60, 2)
    rng = np.random.default_rng(0)
    arrays = [np.array(g) for g in data]
    literal = []
    for _ in range(1500):
        drawn = [rng.choice(arrays[i], 60) for i in rng.integers(0, 10, 10)]
        pooled = np.concatenate(drawn)
        literal.append((pooled.mean(), np.quantile(pooled, 0.9)))
    spreads = np.std(literal, axis=0)
    quick = bootstrap(data)
    for name, expected in zip(("mean", "p90"), spreads, strict=True):
        e = quick[name]
        # 2.262 * sqrt(10 / 9): Student's t and the factor of few launches
        assert (e.ci_high - e.ci_low) / 2 / 2.384 == pytest.approx(expected, rel=0.2)


@settings(max_examples=20)
@given(factors)
def test_scaling_scales_the_bootstrap(factor: float) -> None:
    data = two_levels(6, 40, 3)
    plain = bootstrap(data)
    scaled = bootstrap([[v * factor for v in g] for g in data])
    assert plain.keys() == scaled.keys() == {"mean", "p90", "p95"}
    for name, e in plain.items():
        assert scaled[name].point == pytest.approx(e.point * factor)
        assert scaled[name].ci_low == pytest.approx(e.ci_low * factor)
        assert scaled[name].ci_high == pytest.approx(e.ci_high * factor)


def test_few_launches_have_no_bootstrap_and_few_iterations_no_tail() -> None:
    assert bootstrap(two_levels(4, 100, 4)) == {}
    assert set(bootstrap(two_levels(5, 3, 4))) == {"mean"}


def test_ten_cases_of_twenty_launches_take_about_a_second() -> None:
    """The promise is one second; three leave room for a loaded machine."""
    cases = [two_levels(20, 500, seed) for seed in range(10)]
    bootstrap(cases[0])  # numpy is imported once
    began = time.process_time()
    for data in cases:
        measure_iterations(data, "ns")
        bootstrap(data)
        spread(data)
        middles = [median(g) for g in data]
        drift(middles)
        modes(middles)
        steady_state(data)
    assert time.process_time() - began < 3


def test_effective_n() -> None:
    rng = random.Random(5)
    free = [rng.gauss(0, 1) for _ in range(1000)]
    walk = [0.0]
    for _ in range(999):
        walk.append(0.9 * walk[-1] + rng.gauss(0, 1))
    assert effective_n(free) > 700
    assert 20 < effective_n(walk) < 120  # theory: 1000 * 0.1 / 1.9 = 53
    assert effective_n([5.0] * 50) == 50
    assert effective_n([1.0, 2.0]) == 2


def told(latencies: list[int]) -> LatencySummary:
    """As a runner tells a launch: the population's deviation, integers."""
    return LatencySummary(
        count=len(latencies),
        median_ns=int(median(latencies)),
        mean_ns=round(fmean(latencies)),
        min_ns=min(latencies),
        max_ns=max(latencies),
        std_ns=round(pstdev(latencies)),
    )


@given(
    st.integers(2, 12).flatmap(
        lambda n: st.lists(
            st.lists(st.integers(10**6, 10**7), min_size=n, max_size=n), min_size=1, max_size=9
        )
    )
)
def test_summaries_of_launches_tell_what_their_iterations_would(
    observed_ns: list[list[int]],
) -> None:
    """Point, interval, least, mean and spread agree but for rounding to ns; tails are absent."""
    whole = measure_iterations(observed_ns, "ns")
    told_only = measure_summaries([told(g) for g in observed_ns], "ns")
    for field in ("point", "ci_low", "ci_high", "min", "mean", "std"):
        expected, got = getattr(whole, field), getattr(told_only, field)
        assert (expected is None) == (got is None), field
        if expected is not None:
            assert got == pytest.approx(expected, abs=2), field
    assert told_only.n == whole.n
    for tail in ("p50", "p90", "p95", "p99"):
        assert getattr(told_only, tail) is None
        assert told_only.absent[tail]


def test_a_launch_counts_by_its_summary_where_it_has_no_iterations() -> None:
    summary = told([10**6, 2 * 10**6, 3 * 10**6])
    one = msgspec.structs.replace(launch(0, [1]), latency_ns=(), latency_summary=summary)
    none = msgspec.structs.replace(launch(1, [1]), latency_ns=())
    assert launch_medians([one, none]) == [2e6]
    spec = metric_specs.specs()["latency"]
    assert observed(one, spec) == 2e6
    assert observed(none, spec) is None
