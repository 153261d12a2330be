"""Ratios with intervals by rank: exact levels, coverage, and the laws a ratio obeys."""

from __future__ import annotations

import random
from itertools import combinations, product

import pytest
from hypothesis import given

from harness.core.types import Estimate
from harness.stats.ratio import (
    _mann_whitney_tails,
    _signed_rank_tails,
    from_intervals,
    paired,
    unpaired,
)
from tests.strategies import factors, medians, rounds


def test_the_signed_rank_distribution_is_counted_right() -> None:
    sums = [sum(r for r, sign in enumerate(s, 1) if sign) for s in product((0, 1), repeat=6)]
    expected = [sum(v <= k for v in sums) / 64 for k in range(22)]
    assert list(_signed_rank_tails(6)) == pytest.approx(expected)


def test_the_mann_whitney_distribution_is_counted_right() -> None:
    u = [sum(ranks) - 10 for ranks in combinations(range(1, 10), 4)]
    expected = [sum(v <= k for v in u) / len(u) for k in range(21)]
    assert list(_mann_whitney_tails(5, 4)) == pytest.approx(expected)


@pytest.mark.parametrize(("exact", "approximate"), [(50, 51)])
def test_the_approximation_takes_over_smoothly(exact: int, approximate: int) -> None:
    level = [
        next(k for k, p in enumerate(_signed_rank_tails(n)) if p > 0.025) / (n * (n + 1) / 2)
        for n in (exact, approximate)
    ]
    assert level[0] == pytest.approx(level[1], abs=0.005)


def test_five_rounds_tell_the_level_that_they_reach() -> None:
    ratio = paired([(1.0, 1.1), (1.0, 1.2), (1.0, 1.3), (1.0, 1.4), (1.0, 1.5)])
    assert ratio is not None
    e = ratio.estimate()
    assert (e.ci_low, e.ci_high) == pytest.approx((1.1, 1.5))
    assert (e.confidence, e.n) == (0.9375, 5)


@pytest.mark.parametrize("n", [5, 7, 10, 20])
def test_both_intervals_cover_a_machine_with_two_speeds(n: int) -> None:
    rng = random.Random(n)

    def side(times: float) -> list[float]:
        return [times * rng.choice((5.4, 7.9)) * rng.lognormvariate(0, 0.04) for _ in range(n)]

    hits = {"apart": 0, "together": 0}
    for _ in range(1000):
        x, y = side(1.0), side(1.1)
        for name, ratio in (
            ("apart", unpaired(x, y)),
            ("together", paired(list(zip(x, y, strict=True)))),
        ):
            assert ratio is not None
            e = ratio.estimate()
            hits[name] += e.ci_low <= 1.1 <= e.ci_high
    least = 915 if n == 5 else 930
    assert all(least <= h <= 985 for h in hits.values()), hits


@given(medians, medians)
def test_swapping_the_sides_inverts_the_ratio(x: list[float], y: list[float]) -> None:
    forth, back = unpaired(x, y), unpaired(y, x)
    assert forth is not None and back is not None
    e, f = forth.estimate(), back.estimate()
    assert (f.point, f.ci_low, f.ci_high) == pytest.approx(
        (1 / e.point, 1 / e.ci_high, 1 / e.ci_low)
    )
    assert f.confidence == pytest.approx(e.confidence)


@given(rounds)
def test_swapping_the_sides_of_rounds_inverts_the_ratio(data: list[tuple[float, float]]) -> None:
    forth, back = paired(data), paired([(c, b) for b, c in data])
    assert forth is not None and back is not None
    e, f = forth.estimate(), back.estimate()
    assert (f.point, f.ci_low, f.ci_high) == pytest.approx(
        (1 / e.point, 1 / e.ci_high, 1 / e.ci_low)
    )


@given(medians, medians, factors)
def test_scaling_one_side_scales_the_ratio(x: list[float], y: list[float], k: float) -> None:
    plain, scaled = unpaired(x, y), unpaired(x, [v * k for v in y])
    assert plain is not None and scaled is not None
    assert scaled.estimate().point == pytest.approx(plain.estimate().point * k)


@given(medians, medians)
def test_the_interval_and_the_p_value_agree(x: list[float], y: list[float]) -> None:
    ratio = unpaired(x, y)
    assert ratio is not None
    e = ratio.estimate()
    outside = (1 - e.confidence) / 2 * (1 + 1e-9)
    assert ratio.p_above(e.ci_low * (1 - 1e-9)) <= outside
    assert ratio.p_below(e.ci_high * (1 + 1e-9)) <= outside


def test_what_cannot_be_a_ratio_is_none() -> None:
    assert unpaired([1.0] * 5, [0.0] * 5) is None
    assert unpaired([1.0] * 4, [1.0] * 9) is None
    assert paired([(1.0, 2.0)] * 4) is None
    assert paired([(0.0, 2.0)] * 6) is None


# --- only the intervals are known ------------------------------------------------------------


def estimate(point: float, width: float, confidence: float = 0.95) -> Estimate:
    return Estimate(
        point=point, ci_low=point - width, ci_high=point + width, confidence=confidence, n=500
    )


def test_intervals_combine() -> None:
    ratio = from_intervals(estimate(0.90, 0.03), estimate(0.81, 0.03))
    assert ratio is not None
    e = ratio.estimate()
    assert e.point == pytest.approx(0.9)
    assert e.ci_low < 0.9 < e.ci_high
    assert e.ci_high / e.ci_low == pytest.approx(1.105, abs=0.005)
    assert ratio.p_below(e.ci_high) == pytest.approx(0.025, abs=1e-6)
    assert ratio.p_above(e.ci_low) == pytest.approx(0.025, abs=1e-6)


def test_intervals_of_unlike_levels_do_not_combine() -> None:
    assert from_intervals(estimate(1, 0.1), estimate(1, 0.1, 0.8)) is None
    assert from_intervals(estimate(1, 1.5), estimate(1, 0.1)) is None
