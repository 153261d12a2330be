"""One quantity over many runs: where did it change?

A change point is where the ranks before and after differ by more than chance explains. Windows of
many lengths are laid over the series (seeded binary segmentation: Kovács, Bühlmann, Li and Munk,
Biometrika 110, 2023), so that a temporary change is found as well as a lasting one. In each, the
cut with the largest standardised rank-sum (Mann-Whitney) is looked for; the largest of all is
tested against the largest that random orders of as many runs show, so that searching everywhere
causes no extra false alarms. Then both sides of the cut are searched in the same way. Because of
the ranks, outliers and the shape of the noise do not matter. But the rank-sum is sometimes largest
a run or two beside the change, so each cut is moved to where the values lie closest to the medians
of its two sides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from statistics import median

from harness.core.types import Status, Value

ALPHA = 0.01  # false alarms per series of pure noise
MIN_RUNS = 3  # on each side of a change
_ORDERS = 2000  # random orders that the null distribution is made of


class Point(Value, frozen=True):
    """The quantity in one run, in stored units, with its interval where there is one."""

    run_id: str
    started_at: str
    value: float
    ci_low: float | None = None
    ci_high: float | None = None
    status: Status = "ok"


class RunLine(Value, frozen=True):
    """A run as a list of runs shows it; `statuses` counts its cases by status."""

    run_id: str
    started_at: str
    variants: tuple[str, ...]
    devices: tuple[str, ...]
    statuses: dict[Status, int]
    stopped: str = ""


class Skipped(Value, frozen=True):
    """A run folder that holds no report that can be read, and why."""

    path: str
    reason: str
    fix: str = ""


class Change(Value, frozen=True):
    """A change from the point `at` (an index) on; `ratio` is the median after it over the one
    before."""

    at: int
    before: float
    after: float

    @property
    def ratio(self) -> float | None:
        """The ratio of the levels; None if the level was 0 before."""
        return self.after / self.before if self.before else None


class Trend(Value, frozen=True):
    """One metric of one variant in one setting on one device, oldest run first. An `exact` one has
    no noise: every difference is a change."""

    variant: str
    device: str
    identity: str
    setting: str
    metric: str
    unit: str
    points: tuple[Point, ...]
    changes: tuple[Change, ...] = ()
    exact: bool = False

    @property
    def segments(self) -> list[tuple[int, int]]:
        """Ranges of points (first, end) between changes."""
        cuts = [0, *(c.at for c in self.changes), len(self.points)]
        return list(pairwise(cuts))


def changes(values: Sequence[float], *, exact: bool = False) -> tuple[Change, ...]:
    """The change points of a series in order of time. `exact` values have no noise: every
    difference is a change."""
    if exact:
        cuts = [i for i, (a, b) in enumerate(pairwise(values), 1) if a != b]
    else:
        cuts = _placed(values, _cuts(values, 0))
    ends = [0, *cuts, len(values)]
    segments = [values[a:b] for a, b in pairwise(ends)]
    return tuple(
        Change(at=at, before=median(old), after=median(new))
        for at, (old, new) in zip(cuts, pairwise(segments), strict=True)
    )


def _cuts(values: Sequence[float], offset: int) -> list[int]:
    n = len(values)
    if n < 2 * MIN_RUNS:
        return []
    at, best = 0, 0.0
    for start, end in _windows(n):
        cut, score = _best_cut(_ranks(values[start:end]))
        if score > best:
            at, best = start + cut, score
    if best <= _threshold(_tabulated(n)):
        return []
    left, right = values[:at], values[at:]
    return [*_cuts(left, offset), offset + at, *_cuts(right, offset + at)]


def _placed(values: Sequence[float], cuts: Sequence[int]) -> list[int]:
    """Each cut where the absolute deviations from the medians of both its sides are least."""

    def spread(part: Sequence[float]) -> float:
        middle = median(part)
        return sum(abs(v - middle) for v in part)

    placed = list(cuts)
    for i, at in enumerate(cuts):
        start = placed[i - 1] if i else 0
        end = cuts[i + 1] if i + 1 < len(cuts) else len(values)
        near = range(max(start + MIN_RUNS, at - MIN_RUNS), min(end - MIN_RUNS, at + MIN_RUNS) + 1)
        placed[i] = min(near, key=lambda k: spread(values[start:k]) + spread(values[k:end]))
    return placed


@lru_cache(maxsize=256)
def _windows(n: int) -> list[tuple[int, int]]:
    """All of the series, then ever shorter windows, each overlapping the next by half."""
    found = {(0, n)}
    length = n / math.sqrt(2)
    while length >= 2 * MIN_RUNS:
        size = math.ceil(length)
        count = 2 * math.ceil(n / length) - 1
        found |= {
            (start := round(i * (n - size) / (count - 1)), start + size) for i in range(count)
        }
        length /= math.sqrt(2)
    return sorted(found)


def _best_cut(ranks: Sequence[float]) -> tuple[int, float]:
    """Where to cut, and the standardised rank-sum there."""
    n = len(ranks)
    total, best = 0.0, (0, 0.0)
    for k, rank in enumerate(ranks, 1):
        total += 2 * rank - n - 1
        if MIN_RUNS <= k <= n - MIN_RUNS:
            score = abs(total) / math.sqrt(k * (n - k) * (n + 1) / 3)
            if score > best[1]:
                best = (k, score)
    return best


def _ranks(values: Sequence[float]) -> list[float]:
    """1 to n; equal values share the mean of their ranks."""
    order = sorted(range(len(values)), key=lambda i: values[i])
    ranks = [0.0] * len(values)
    start = 0
    for end in range(1, len(order) + 1):
        if end == len(order) or values[order[end]] != values[order[start]]:
            for i in order[start:end]:
                ranks[i] = (start + end + 1) / 2
            start = end
    return ranks


def _tabulated(n: int) -> int:
    """The threshold grows slowly with n: beyond 48 runs, the threshold for the next larger of a few
    sizes is good enough."""
    return n if n <= 48 else next(size for size in _sizes() if size >= n)


def _sizes() -> Sequence[int]:
    return [round(48 * 1.25**i) for i in range(1, 60)]


@lru_cache(maxsize=256)
def _threshold(n: int) -> float:
    """The score that at most ALPHA of random orders of n runs exceed. Seeded."""
    import numpy as np

    generator = np.random.default_rng(n)
    series = generator.random((_ORDERS if n <= 200 else 500, n))
    best = np.zeros(len(series))
    for start, end in _windows(n):
        size = end - start
        ranks = series[:, start:end].argsort(axis=1).argsort(axis=1) + 1
        totals = np.abs(np.cumsum(2 * ranks - size - 1, axis=1))[:, MIN_RUNS - 1 : size - MIN_RUNS]
        k = np.arange(MIN_RUNS, size - MIN_RUNS + 1)
        scores = totals / np.sqrt(k * (size - k) * (size + 1) / 3)
        best = np.maximum(best, scores.max(axis=1))
    return float(np.quantile(best, 1 - ALPHA, method="higher"))
