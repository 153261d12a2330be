"""How many times as large: ratios of two samples of launches, with intervals by rank.

Both methods invert an exact rank test on the log scale (Hodges & Lehmann 1963; Lehmann,
"Nonparametrics", 1975, sections 2.5 and 4.3), so their level holds for every continuous
distribution, bimodal and heavy-tailed ones included, at every n:

- launches of two runs: the Mann-Whitney test; all n x m ratios of one launch to another;
- rounds of one run: the Wilcoxon signed-rank test; all means of two rounds' log ratios.

The point is the median of those ratios (Hodges-Lehmann), the *typical ratio* of a candidate's
launch to a baseline's. When one side is the other times a factor, it estimates the ratio of the
medians, and does so without flipping between modes as the quotient of two medians does on a
machine with two speeds: a bootstrap of that quotient covers as often, but at twenty launches its
interval is almost three times as wide (benchmarks/calibration.py). And a rank test has an exact
p value, which the correction for many comparisons needs.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, combinations_with_replacement
from statistics import NormalDist, median

from harness.core.types import Estimate, Value
from harness.stats.summaries import CONFIDENCE, MIN_LAUNCHES

_EXACT_PAIRS = 50  # rounds up to which the null distribution of the signed-rank sum is exact
_EXACT_CELLS = 1_000  # n x m up to which that of Mann and Whitney's U is exact


class Ratio(Value, frozen=True):
    """Candidate over baseline. `logs` are the sorted log ratios that the interval is cut from,
    `n` the rounds or the launches of the baseline, `m` those of the candidate (0 if paired)."""

    logs: tuple[float, ...]
    n: int
    m: int = 0

    def estimate(self, confidence: float = CONFIDENCE) -> Estimate:
        """Point and two-sided interval. The interval's level is the nearest possible one not below
        `confidence`, stated in the Estimate; where even the extremes do not reach it (five rounds:
        93.75 %), they are the interval. `n` is that of the smaller side."""
        tails = self._tails()
        cut = max(0, bisect_right(tails, (1 - confidence) / 2 * (1 + 1e-12)) - 1)
        return Estimate(
            point=math.exp(median(self.logs)),
            ci_low=math.exp(self.logs[cut]),
            ci_high=math.exp(self.logs[-1 - cut]),
            confidence=1 - 2 * tails[cut],
            n=min(self.n, self.m) if self.m else self.n,
        )

    def p_above(self, bound: float) -> float:
        """One-sided p value of "the ratio is at most `bound`": small means that it is larger."""
        return self._tails()[math.ceil(self._at_most(bound))]

    def p_below(self, bound: float) -> float:
        """One-sided p value of "the ratio is at least `bound`": small means that it is smaller."""
        return self._tails()[math.ceil(len(self.logs) - self._at_most(bound))]

    def least_n(self, p: float) -> int:
        """The fewest rounds, or launches of each side, that can reach a p value as small as `p`:
        even if all are on one side, chance may have done it."""
        n = MIN_LAUNCHES
        while (1 / math.comb(2 * n, n) if self.m else 2.0**-n) > p:
            n += 1
        return n

    def _at_most(self, bound: float) -> float:
        """How many of `logs` are at most `bound`, ties counted half."""
        log = math.log(bound)
        return (bisect_left(self.logs, log) + bisect_right(self.logs, log)) / 2

    def _tails(self) -> Sequence[float]:
        """P(statistic <= k), k = 0 ... len(logs), if the true ratio is the bound."""
        return _mann_whitney_tails(self.n, self.m) if self.m else _signed_rank_tails(self.n)


def unpaired(baseline: Sequence[float], candidate: Sequence[float]) -> Ratio | None:
    """Candidate over baseline of launches that have nothing to do with one another (two runs).
    None with fewer than five launches on a side or a value that is not positive."""
    n, m = len(baseline), len(candidate)
    if min(n, m) < MIN_LAUNCHES or min(*baseline, *candidate) <= 0:
        return None
    lower, upper = [math.log(v) for v in baseline], [math.log(v) for v in candidate]
    return Ratio(logs=tuple(sorted(c - b for c in upper for b in lower)), n=n, m=m)


def paired(rounds: Sequence[tuple[float, float]]) -> Ratio | None:
    """Candidate over baseline of rounds (baseline, candidate) measured side by side in random
    order: what slows both equally cancels, and since either could have been first, the level holds
    even if the rounds are not independent of one another. None with fewer than five rounds or a
    value that is not positive."""
    n = len(rounds)
    if n < MIN_LAUNCHES or min(min(r) for r in rounds) <= 0:
        return None
    logs = [math.log(c) - math.log(b) for b, c in rounds]
    walsh = sorted((a + b) / 2 for a, b in combinations_with_replacement(logs, 2))
    return Ratio(logs=tuple(walsh), n=n)


class IntervalRatio(Value, frozen=True):
    """Candidate over baseline of which only the two intervals are known (an accuracy with its
    Wilson interval, a report without its launches). `log` is the log ratio, `down` and `up` its
    distances to the interval's ends at `confidence`."""

    log: float
    down: float
    up: float
    confidence: float
    n: int

    def estimate(self, confidence: float = CONFIDENCE) -> Estimate:
        """Point and two-sided interval, stretched to `confidence` as for a normal estimator."""
        stretch = _two_sided(confidence) / _two_sided(self.confidence)
        return Estimate(
            point=math.exp(self.log),
            ci_low=math.exp(self.log - stretch * self.down),
            ci_high=math.exp(self.log + stretch * self.up),
            confidence=confidence,
            n=self.n,
        )

    def p_above(self, bound: float) -> float:
        """One-sided p value of "the ratio is at most `bound`"."""
        return self._p(self.log - math.log(bound), self.down)

    def p_below(self, bound: float) -> float:
        """One-sided p value of "the ratio is at least `bound`"."""
        return self._p(math.log(bound) - self.log, self.up)

    def _p(self, beyond: float, width: float) -> float:
        if width == 0:
            return 0.0 if beyond > 0 else 1.0
        return NormalDist().cdf(-beyond / width * _two_sided(self.confidence))


def from_intervals(baseline: Estimate, candidate: Estimate) -> IntervalRatio | None:
    """Combine two independent intervals on the log scale (MOVER: Zou & Donner, Statistics in
    Medicine 27, 2008). None if a bound is not positive or the levels differ."""
    sides = (baseline, candidate)
    if min(e.ci_low for e in sides) <= 0 or abs(baseline.confidence - candidate.confidence) > 0.02:
        return None

    def log(up: float, down: float) -> float:
        return math.log(up / down)

    return IntervalRatio(
        log=log(candidate.point, baseline.point),
        down=math.hypot(
            log(candidate.point, candidate.ci_low), log(baseline.ci_high, baseline.point)
        ),
        up=math.hypot(
            log(candidate.ci_high, candidate.point), log(baseline.point, baseline.ci_low)
        ),
        confidence=min(e.confidence for e in sides),
        n=min(e.n for e in sides),
    )


def _two_sided(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + confidence) / 2)


# --- null distributions ----------------------------------------------------------------------


@lru_cache(maxsize=256)
def _signed_rank_tails(n: int) -> tuple[float, ...]:
    """P(W <= k) of Wilcoxon's signed-rank sum, k = 0 ... n (n + 1) / 2."""
    cells = n * (n + 1) // 2
    if n > _EXACT_PAIRS:
        return _normal_tails(cells, cells * (2 * n + 1) / 12)
    counts = [1] + [0] * cells
    for rank in range(1, n + 1):  # each rank is in the sum or is not
        for k in range(cells, rank - 1, -1):
            counts[k] += counts[k - rank]
    return _cumulative(counts)


@lru_cache(maxsize=256)
def _mann_whitney_tails(n: int, m: int) -> tuple[float, ...]:
    """P(U <= k) of Mann and Whitney's U, k = 0 ... n m."""
    cells = n * m
    if cells > _EXACT_CELLS:
        return _normal_tails(cells, cells * (n + m + 1) / 12)
    counts = [1] + [0] * cells
    for i in range(1, n + 1):  # Gaussian binomial coefficient: times (1 - x^(m+i)) / (1 - x^i)
        for k in range(cells, m + i - 1, -1):
            counts[k] -= counts[k - m - i]
        for k in range(i, cells + 1):
            counts[k] += counts[k - i]
    return _cumulative(counts)


def _cumulative(counts: Sequence[int]) -> tuple[float, ...]:
    total = sum(counts)
    return tuple(below / total for below in accumulate(counts))


def _normal_tails(cells: int, variance: float) -> tuple[float, ...]:
    normal = NormalDist(cells / 2, math.sqrt(variance))
    return tuple(normal.cdf(k + 0.5) for k in range(cells + 1))
