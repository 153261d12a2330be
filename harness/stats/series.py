"""Questions that depend on order or shape: does the series drift, does it have two modes, is it
steady yet?

Each test states its null hypothesis and is judged by simulation in benchmarks/calibration.py. The
launch is the unit of each test: iterations of one launch share the state of the machine, so however
many there are, they are not independent evidence.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import combinations, pairwise
from statistics import NormalDist, median

from harness.core.types import Value

SEED = 20_240_229
STEADY_ALPHA = 0.02  # what 7 launches can reach, and rare enough for a warning on every case
DRIFT_ALPHA = 0.02  # what 5 launches can reach
MODES_ALPHA = 0.01
NEIGHBOURS_ALPHA = 0.01

_MOST_FOR_DRIFT = 300  # up to this many values, all pairs are compared
_EXACT_UP_TO = 40  # values; beyond, the normal approximation of Kendall's S is good to 3 digits


# --- autocorrelation -------------------------------------------------------------------------


def effective_n(values: Sequence[float]) -> float:
    """How many independent values a series in order of time is worth, 1 to len(values).

    n / (1 + 2 sum of autocorrelations), summed by Geyer's initial positive sequence ("Practical
    Markov Chain Monte Carlo", Statistical Science 7, 1992): pairs of lags until a pair's sum is
    no longer positive. A constant series counts in full: it has nothing to average out.
    """
    n = len(values)
    if n < 4:
        return float(n)
    import numpy as np

    x = np.asarray(values, float)
    x = x - x.mean()
    spectrum = np.fft.rfft(x, 2 * n)
    covariance = np.fft.irfft(np.abs(spectrum) ** 2, 2 * n)[:n]
    if covariance[0] <= 1e-20 * max(1.0, float(np.square(values).mean())):
        return float(n)
    rho = covariance / covariance[0]
    pairs = rho[: n - n % 2].reshape(-1, 2).sum(axis=1)
    ends = np.flatnonzero(pairs <= 0)
    total = 2 * float(pairs[: ends[0] if len(ends) else len(pairs)].sum()) - 1
    return min(float(n), n / max(total, 1.0))


class Neighbours(Value, frozen=True):
    """`correlation` of each value's rank with that of the next (-1 to 1), `p` how often chance
    alone does as much, `worth` how many independent values the series is worth."""

    correlation: float
    p: float
    worth: float

    @property
    def significant(self) -> bool:
        """Flagged: at most one independent series in a hundred looks like this."""
        return self.p < NEIGHBOURS_ALPHA


def neighbours(values: Sequence[float]) -> Neighbours | None:
    """Do values in order of measurement resemble the one before? One-sided test of the rank
    version of von Neumann's ratio (Bartels, JASA 77, 1982), whose null is that all orders are
    equally likely, with its normal approximation, good from 10 values on; None for fewer.

    If launches do, they are not independent: an interval over them is too narrow for what another
    run would find, but not for a comparison paired by round.
    """
    n = len(values)
    if n < 10:
        return None
    ordered = sorted(values)
    ranks = [(bisect_left(ordered, v) + bisect_right(ordered, v) + 1) / 2 for v in values]
    spread = sum((r - (n + 1) / 2) ** 2 for r in ranks)
    if not spread:
        return None
    ratio = sum((b - a) ** 2 for a, b in pairwise(ranks)) / spread
    deviation = math.sqrt(4 * (n - 2) * (5 * n**2 - 2 * n - 9) / (5 * n * (n + 1) * (n - 1) ** 2))
    return Neighbours(
        correlation=1 - ratio / 2,
        p=NormalDist().cdf((ratio - 2) / deviation),
        worth=effective_n(values),
    )


# --- drift -----------------------------------------------------------------------------------


class Drift(Value, frozen=True):
    """`tau`: Kendall's correlation with time (-1 to 1). `p`: how often chance alone does as much.
    `change`: relative change from the first to the last value along the Theil-Sen line, with its
    95 % interval (Sen 1968)."""

    tau: float
    p: float
    change: float
    ci_low: float = 0.0
    ci_high: float = 0.0
    confidence: float = 0.95

    @property
    def significant(self) -> bool:
        """Flagged: more than one order in fifty would show by chance."""
        return self.p < DRIFT_ALPHA


def drift(values: Sequence[float]) -> Drift | None:
    """Mann-Kendall test on positive values in order of measurement; None for fewer than five.

    Null: all orders are equally likely. The p value is two-sided, exact up to 40 values without
    ties, by the normal approximation with tie correction otherwise (Mann 1945; Kendall 1975).
    """
    n = len(values)
    if n < 5 or min(values) <= 0:
        return None
    values = [float(v) for v in values]
    pairs = list(combinations(range(n), 2))
    s = sum((values[j] > values[i]) - (values[j] < values[i]) for i, j in pairs)
    slopes = sorted(math.log(values[j] / values[i]) / (j - i) for i, j in pairs)
    ties = [values.count(v) for v in set(values)]
    variance = n * (n - 1) * (2 * n + 5) - sum(t * (t - 1) * (2 * t + 5) for t in ties)
    deviation = math.sqrt(max(0, variance) / 18)
    if n <= _EXACT_UP_TO and max(ties) == 1:
        p = _kendall_tail(n, abs(s))
    else:
        z = max(0, abs(s) - 1) / deviation if deviation else 0.0
        p = 2 * (1 - NormalDist().cdf(z))
    # Sen's interval: as many slopes lie outside it as Kendall's S may be off by chance.
    reach = NormalDist().inv_cdf(0.975) * deviation
    low = max(0, round((len(slopes) - reach) / 2))
    high = min(len(slopes) - 1, round((len(slopes) + reach) / 2))
    change, ci_low, ci_high = (
        math.expm1(slope * (n - 1)) for slope in (median(slopes), slopes[low], slopes[high])
    )
    return Drift(tau=s / len(pairs), p=min(1.0, p), change=change, ci_low=ci_low, ci_high=ci_high)


@lru_cache(maxsize=256)
def _kendall_tail(n: int, s: int) -> float:
    """P(|S| >= s) over all n! orders; the number of inversions is (pairs - S) / 2."""
    counts = [1]
    for size in range(2, n + 1):  # one more value adds 0 to size - 1 inversions
        longer = len(counts) + size - 1
        counts = [sum(counts[max(0, k - size + 1) : k + 1]) for k in range(longer)]
    most = (n * (n - 1) // 2 - s) // 2
    return min(1.0, 2 * sum(counts[: most + 1]) / math.factorial(n))


def drift_of_run(cases: Iterable[Sequence[tuple[int, float]]]) -> Drift | None:
    """Drift of a whole run: (order of measurement, value) of every launch of every case on one
    device, each relative to the median of its case, because heat or a busy neighbour slows all
    cases equally, and ten cases show it long before one does."""
    relative: list[tuple[int, float]] = []
    for case in cases:
        if len(case) > 1 and all(value > 0 for _, value in case):
            middle = median(value for _, value in case)
            relative += [(order, value / middle) for order, value in case]
    ordered = [value for _, value in sorted(relative)]
    # All pairs of ten thousand launches would take minutes: neighbours in time are taken together.
    block = -(-len(ordered) // _MOST_FOR_DRIFT) or 1
    return drift([median(ordered[i : i + block]) for i in range(0, len(ordered), block)])


# --- two modes -------------------------------------------------------------------------------


class Modes(Value, frozen=True):
    """The sample split at its widest central gap: the two medians, the share of values in the
    upper part, and how often a sample with one mode shows such a gap."""

    low: float
    high: float
    high_share: float
    p: float

    @property
    def significant(self) -> bool:
        """Flagged: one or two unimodal samples in a hundred look like this."""
        return self.p < MODES_ALPHA


def modes(values: Sequence[float]) -> Modes | None:
    """Gap test for two modes on positive values; None for fewer than five.

    On the log scale, the widest gap that leaves at least two values and a sixth of them on either
    side, relative to the range. Null: uniform, the flattest unimodal shape and so the one with
    the widest central gaps (as for Hartigan's dip). Between its extremes the n - 1 spacings of a
    uniform sample are Dirichlet, so a given one exceeds the share x of the range with probability
    (1 - x)^(n - 2); Bonferroni over the c central ones gives p = c (1 - x)^(n - 2), an upper
    bound that is close where it matters. Made for some 5 to 100 launches: with many more, the
    tails of two overlapping modes close the gap.
    """
    n = len(values)
    if n < 5 or min(values) <= 0:
        return None
    ordered = sorted(map(float, values))
    side = max(2, math.ceil(n / 6))
    span = math.log(ordered[-1] / ordered[0])
    splits = range(side, n - side + 1)
    gap, split = max((math.log(ordered[k] / ordered[k - 1]), k) for k in splits)
    x = gap / span if span else 0.0
    return Modes(
        low=float(median(ordered[:split])),
        high=float(median(ordered[split:])),
        high_share=(n - split) / n,
        p=min(1.0, len(splits) * max(0.0, 1 - x) ** (n - 2)),
    )


# --- steady state ----------------------------------------------------------------------------


class SteadyState(Value, frozen=True):
    """`starts_at`: the timed iteration from which on nothing changes any more, 0 if all of them
    are steady, None if never. `change`: the median of the iterations before the first change
    relative to those after it (+0.08: the first ones are 8 % slower), `p` its p value."""

    starts_at: int | None
    change: float
    p: float

    @property
    def reached(self) -> bool:
        """Whether warm-up was over when the timed iterations began."""
        return self.starts_at == 0


def steady_state(
    groups: Sequence[Sequence[float]],
    *,
    alpha: float = STEADY_ALPHA,
    least_shift: float = 0.01,
    seed: int = SEED,
) -> SteadyState | None:
    """Change-point test over the timed iterations, one series per launch, in order.

    A machine that changes speed does so at another moment in every launch; a warm-up that was too
    short is slow at the same iterations of all. So the launches' weighted rank CUSUM curves are
    summed, and the largest excursion (the change point) is compared with those that arise when each
    launch's series is reversed at random. Null: a series forwards looks like one backwards,
    whatever its autocorrelation. All 2^n reversals up to 10 launches, 999 random ones (seeded)
    beyond. A change counts if it moves the mean by `least_shift`; then the rest is tested again,
    until nothing changes any more.

    None when it cannot be told: fewer than 7 launches cannot reach `alpha`, and five iterations
    are the least. Launches are cut to the length of the shortest.
    """
    length = min(map(len, groups), default=0)
    if 2.0 ** (1 - len(groups)) >= alpha or length < 5:
        return None
    import numpy as np

    series = np.array([group[:length] for group in groups], float)
    start, first = 0, (0.0, 1.0)
    while length - start >= 5:
        at, p = _change_point(series[:, start:], seed)
        before = np.median(series[:, start : start + at], axis=1)
        after = np.median(series[:, start + at :], axis=1)
        change = float(np.median(before / after)) - 1 if (after > 0).all() else 0.0
        if start == 0:
            first = (change, p)
        share = at / (length - start)
        if p >= alpha or abs(change) * min(share, 1 - share) < least_shift:
            return SteadyState(starts_at=start, change=first[0], p=first[1])
        start += at
    return SteadyState(starts_at=None, change=first[0], p=first[1])


def _change_point(series: object, seed: int) -> tuple[int, float]:
    """(iterations before the largest excursion, p value) of launches x iterations."""
    import numpy as np

    x = np.asarray(series, float)
    launches, length = x.shape
    ranks = np.array([_midranks(row) for row in x])
    cut = np.arange(1, length)
    curves = np.cumsum(ranks - ranks.mean(axis=1, keepdims=True), axis=1)[:, :-1]
    curves /= np.sqrt(cut * (length - cut))
    forwards = np.abs(curves.sum(axis=0))
    # The curve of a reversed series is its own mirror image, upside down. Reversing all of them
    # changes no excursion, so the first launch may stay as it is.
    if launches <= 10:
        turned = np.array(list(np.ndindex(*(2,) * (launches - 1))), float)
        turned = np.hstack([np.zeros((len(turned), 1)), turned])
    else:
        turned = np.random.default_rng(seed).integers(0, 2, (999, launches)).astype(float)
        turned = np.vstack([np.zeros((1, launches)), turned])
    excursions = np.abs((1 - turned) @ curves - turned @ curves[:, ::-1]).max(axis=1)
    p = float((excursions >= forwards.max() * (1 - 1e-9)).mean())
    return int(forwards.argmax()) + 1, p


def _midranks(row: object) -> object:
    """Ranks from 1, ties sharing the mean of theirs: a coarse clock makes many."""
    import numpy as np

    _, where, counts = np.unique(np.asarray(row), return_inverse=True, return_counts=True)
    upper = np.cumsum(counts)
    return (upper - (counts - 1) / 2)[where]
