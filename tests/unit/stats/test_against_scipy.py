"""Our statistics beside those of SciPy, which only tests need."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.stats import accuracy, ratio, series, summaries, trend
from harness.stats.bootstrap import _student, bootstrap
from harness.stats.thresholds import holm
from tests.lazily import Lazily
from tests.strategies import medians

stats = Lazily("scipy.stats")

CONFIDENCES = [0.8, 0.9, 0.95, 0.99]
BOUNDS = st.floats(min_value=0.5, max_value=2)


def positive(n: int, seed: int, spread: float = 0.3) -> list[float]:
    """`n` different values of a skewed distribution around 5."""
    drawn = np.random.default_rng(seed).lognormal(math.log(5), spread, n)
    return [float(v) for v in drawn]


# --- rank tests ------------------------------------------------------------------------------

#: n and m of two runs: counted exactly, and so many that the normal approximation is used.
TWO_RUNS = [(5, 5), (5, 9), (7, 7), (12, 8), (30, 20), (80, 60)]


@pytest.mark.parametrize(("n", "m"), TWO_RUNS)
@pytest.mark.parametrize("bound", [0.8, 1.0, 1.05, 1.3])
def test_two_runs_compare_by_mann_whitney(n: int, m: int, bound: float) -> None:
    baseline, candidate = positive(n, seed=n), [1.1 * v for v in positive(m, seed=m + 1000)]
    ours = ratio.unpaired(baseline, candidate)
    assert ours is not None
    exact = n * m <= ratio._EXACT_CELLS
    for alternative, p in (("greater", ours.p_above(bound)), ("less", ours.p_below(bound))):
        theirs = stats.mannwhitneyu(
            candidate,
            [bound * v for v in baseline],
            alternative=alternative,
            method="exact" if exact else "asymptotic",
        )
        assert p == pytest.approx(theirs.pvalue, rel=1e-9 if exact else 1e-6)


@pytest.mark.parametrize("n", [5, 7, 12, 25, 50, 51, 90])
@pytest.mark.parametrize("bound", [0.9, 1.0, 1.05, 1.2])
def test_rounds_compare_by_the_signed_rank_test(n: int, bound: float) -> None:
    baseline, noise = positive(n, seed=n), positive(n, seed=n + 1000, spread=0.1)
    rounds = [(b, b * k / 5 * 1.03) for b, k in zip(baseline, noise, strict=True)]
    ours = ratio.paired(rounds)
    assert ours is not None
    exact = n <= ratio._EXACT_PAIRS
    differences = [math.log(c / b) - math.log(bound) for b, c in rounds]
    for alternative, p in (("greater", ours.p_above(bound)), ("less", ours.p_below(bound))):
        theirs = stats.wilcoxon(
            differences,
            alternative=alternative,
            method="exact" if exact else "asymptotic",
            correction=not exact,
        )
        assert p == pytest.approx(theirs.pvalue, rel=1e-9 if exact else 1e-6)


@given(medians, medians)
def test_the_ratio_of_two_runs_is_hodges_and_lehmanns(x: list[float], y: list[float]) -> None:
    ours = ratio.unpaired(x, y)
    assert ours is not None
    logs = np.subtract.outer(np.log(y), np.log(x))
    assert ours.estimate().point == pytest.approx(float(np.exp(np.median(logs))))


@given(st.lists(st.integers(min_value=1, max_value=12).map(float), min_size=1, max_size=30))
def test_tied_values_share_their_rank(values: list[float]) -> None:
    expected = stats.rankdata(values).tolist()
    assert list(trend._ranks(values)) == expected
    assert np.asarray(series._midranks(values)).tolist() == expected


@settings(max_examples=30)
@given(st.lists(st.floats(min_value=1, max_value=9), min_size=12, max_size=40, unique=True))
def test_the_best_cut_of_a_history_is_the_largest_rank_sum_test(values: list[float]) -> None:
    least = trend.MIN_RUNS
    scores = {
        k: abs(float(stats.ranksums(values[:k], values[k:]).statistic))
        for k in range(least, len(values) - least + 1)
    }
    at, score = trend._best_cut(trend._ranks(values))
    assert score == pytest.approx(max(scores.values(), default=0.0), abs=1e-9)
    if score:
        assert scores[at] == pytest.approx(score)


# --- shares ----------------------------------------------------------------------------------


@given(st.integers(min_value=1, max_value=2000), st.floats(0, 1), st.sampled_from(CONFIDENCES))
def test_a_share_has_wilsons_interval(n: int, share: float, confidence: float) -> None:
    successes = round(share * n)
    ours = accuracy.wilson(successes, n, confidence)
    theirs = stats.binomtest(successes, n).proportion_ci(confidence, method="wilson")
    assert (ours.ci_low, ours.ci_high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@given(st.integers(min_value=0, max_value=300), st.integers(min_value=0, max_value=300))
def test_mcnemars_exact_p_is_that_of_a_fair_coin(only_first: int, only_second: int) -> None:
    n = only_first + only_second
    expected = stats.binomtest(only_first, n).pvalue if n else 1.0
    assert accuracy.mcnemar(only_first, only_second) == pytest.approx(expected, rel=1e-9)


@given(
    st.lists(
        st.tuples(st.integers(min_value=0, max_value=20).map(float), st.booleans()),
        min_size=2,
        max_size=60,
    ).filter(lambda rows: len({positive for _, positive in rows}) == 2)
)
def test_the_area_under_the_curve_is_the_share_of_u(rows: list[tuple[float, bool]]) -> None:
    scores, labels = zip(*rows, strict=True)
    ours = accuracy.auc(scores, labels)
    assert ours is not None
    ups = [s for s, label in rows if label]
    downs = [s for s, label in rows if not label]
    u = float(stats.mannwhitneyu(ups, downs, method="asymptotic").statistic)
    assert ours.point == pytest.approx(u / (len(ups) * len(downs)))


# --- order statistics ------------------------------------------------------------------------


@pytest.mark.parametrize("confidence", CONFIDENCES)
def test_the_medians_interval_lies_between_two_pairs_of_order_statistics(
    confidence: float,
) -> None:
    """The binomial levels of both pairs are SciPy's, and so is the outer pair itself; between
    them the ends are interpolated as Hettmansperger & Sheather do (1986, equation 1.3)."""
    for n in (*range(5, 31), 50, 101, 200):
        values = sorted(positive(n, seed=n))
        ours = summaries.median_interval(values, confidence)
        assert ours is not None

        def level(rank: int, n: int = n) -> float:
            return float(1 - 2 * stats.binom.cdf(rank - 1, n, 0.5))

        if level(1) <= confidence:
            assert (ours.ci_low, ours.ci_high) == (values[0], values[-1]), n
            assert ours.confidence == pytest.approx(level(1)), n
            continue
        rank = max(k for k in range(1, n // 2 + 1) if level(k) >= confidence)
        outer = stats.quantile_test(values, p=0.5).confidence_interval(level(rank) - 1e-9)
        assert (outer.low, outer.high) == (values[rank - 1], values[n - rank]), n
        share = (level(rank) - confidence) / (level(rank) - level(rank + 1))
        weight = (n - rank) * share / (rank + (n - 2 * rank) * share)
        low = (1 - weight) * values[rank - 1] + weight * values[rank]
        high = (1 - weight) * values[n - rank] + weight * values[n - rank - 1]
        assert (ours.ci_low, ours.ci_high) == pytest.approx((low, high)), n
        assert ours.confidence == confidence


# --- bootstrap -------------------------------------------------------------------------------


@pytest.mark.parametrize("df", [4, 5, 6, 9, 19, 99])
@pytest.mark.parametrize("p", [0.9, 0.95, 0.975, 0.99])
def test_students_quantiles_are_within_one_per_cent(df: int, p: float) -> None:
    assert _student(p, df) == pytest.approx(stats.t.ppf(p, df), rel=0.01)


@pytest.mark.parametrize("n", [20, 60, 200])
def test_the_mean_of_launches_has_the_bca_interval(n: int) -> None:
    """Each launch a single iteration, so that nothing is drawn within launches. Ours reaches
    further by Student's t and sqrt(n / (n - 1)), so SciPy is asked for the level of that reach.
    The ends are compared on average over seeds, in standard errors of the mean; the plain
    percentile interval is far enough from BCa to be told from it."""
    values = positive(n, seed=3 * n, spread=0.8)
    reach = math.sqrt(n / (n - 1)) * float(stats.t.ppf(0.975, n - 1))
    level = float(2 * stats.norm.cdf(reach) - 1)
    error = float(np.std(values)) / math.sqrt(n)

    def theirs(method: str) -> tuple[float, float]:
        found = stats.bootstrap(
            (values,),
            np.mean,
            confidence_level=level,
            n_resamples=100_000,
            batch=2_000,
            method=method,
            rng=np.random.default_rng(1),
        ).confidence_interval
        return float(found.low), float(found.high)

    ours = [bootstrap([[v] for v in values], seed=seed)["mean"] for seed in range(30)]
    ends = fmean(e.ci_low for e in ours), fmean(e.ci_high for e in ours)
    bca, plain = theirs("BCa"), theirs("percentile")
    assert distance(ends, bca, error) < 0.08
    assert distance(plain, bca, error) > 0.16


def distance(ends: tuple[float, float], others: tuple[float, float], error: float) -> float:
    """The larger distance of two pairs of ends, in standard errors."""
    return max(abs(a - b) for a, b in zip(ends, others, strict=True)) / error


# --- several comparisons ---------------------------------------------------------------------


@given(st.lists(st.floats(min_value=0, max_value=1), min_size=1, max_size=7))
def test_holm_is_the_closed_test_by_bonferroni(p_values: list[float]) -> None:
    """SciPy has no Holm, so it is held against its definition (Marcus, Peritz & Gabriel 1976): a
    hypothesis is rejected when Bonferroni rejects every set of hypotheses that it belongs to."""
    everyone = range(len(p_values))
    sets = [s for size in everyone for s in combinations(everyone, size + 1)]
    bonferroni = {s: min(1.0, len(s) * min(p_values[i] for i in s)) for s in sets}
    expected = [max(p for s, p in bonferroni.items() if i in s) for i in everyone]
    assert holm(p_values) == pytest.approx(expected)


# --- drift -----------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 10**6), min_size=5, max_size=40, unique=True))
def test_drift_without_ties_is_kendalls_exact_test(values: list[int]) -> None:
    ours = series.drift(values)
    theirs = stats.kendalltau(range(len(values)), values, method="exact")
    assert ours is not None
    assert ours.tau == pytest.approx(theirs.statistic)
    assert ours.p == pytest.approx(theirs.pvalue, rel=1e-6, abs=1e-12)


@given(st.lists(st.integers(1, 5), min_size=5, max_size=80).filter(lambda v: len(set(v)) > 1))
def test_drift_with_ties_is_kendalls_with_a_correction_for_continuity(values: list[int]) -> None:
    ours = series.drift(values)
    assert ours is not None
    s = kendalls_s(values)
    if len(set(values)) == len(values) or s == 0:
        return
    theirs = stats.kendalltau(range(len(values)), values, method="asymptotic")
    # SciPy's z is S over its deviation, without the step of one towards zero.
    deviation = abs(s) / float(stats.norm.isf(theirs.pvalue / 2))
    expected = 2 * float(stats.norm.sf((abs(s) - 1) / deviation))
    assert ours.p == pytest.approx(expected, rel=1e-6)


def kendalls_s(values: Sequence[int]) -> int:
    """Kendall's S: pairs that rise less pairs that fall."""
    upper = np.sign(np.subtract.outer(values, values))
    return -int(np.triu(upper).sum())


@given(medians)
def test_the_change_of_a_drift_is_the_theil_sen_slope(values: list[float]) -> None:
    ours = series.drift(values)
    assert ours is not None
    slope = float(stats.theilslopes(np.log(values)).slope)
    assert math.log1p(ours.change) == pytest.approx(slope * (len(values) - 1), abs=1e-9)
