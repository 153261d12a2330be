"""Hierarchical bootstrap over launches and their iterations, for means and tail percentiles.

Iterations are not independent observations: all iterations of a launch share code layout, clock
speed and neighbours. So launches are drawn with replacement, and iterations within each drawn
launch (Kalibera & Jones, "Rigorous Benchmarking in Reasonable Time", ISMM 2013; Davison & Hinkley,
"Bootstrap Methods and their Application", 1997, section 3.8).

The inner draw is not carried out iteration by iteration. What it does to the share of iterations
below a value is a sum of thousands of coin tosses, so its normal limit is drawn instead: the same
intervals (tests compare them with the literal double draw), some hundred times as fast. It counts
iterations by their autocorrelation-aware effective number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING

from harness.core.types import Estimate
from harness.stats.series import SEED, effective_n
from harness.stats.summaries import CONFIDENCE, MIN_LAUNCHES, TAILS, summary_of_iterations

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    Array = NDArray[Any]

_DRAWS = 2_000
_GRID = 200


def bootstrap(
    groups: Sequence[Sequence[float]],
    *,
    confidence: float = CONFIDENCE,
    seed: int = SEED,
) -> dict[str, Estimate]:
    """Estimates of `mean`, `p90`, `p95` and `p99` over the iterations of launches (`groups`, one
    each), every launch weighing the same. Empty for fewer than five launches; a percentile that
    the iterations cannot support (`Summary.absent` says why) is left out. The same data and seed
    give the same numbers.
    """
    groups = [group for group in groups if group]
    launches = len(groups)
    if launches < MIN_LAUNCHES:
        return {}
    import numpy as np

    rng = np.random.default_rng(seed)
    data = [np.sort(np.asarray(group, float)) for group in groups]
    worth = np.array([effective_n(group) for group in groups])
    drawn = rng.multinomial(launches, [1 / launches] * launches, _DRAWS) / launches
    noise = rng.standard_normal((_DRAWS, 1))

    def resampled(values: Array, variances: Array) -> Array:
        """Mean over the drawn launches of `values` plus the noise of their iterations."""
        inner = drawn @ (variances / worth[:, None]) / launches
        return np.asarray(drawn @ values + noise * np.sqrt(inner))

    def without_each(values: Array) -> Array:
        """Mean over all launches but one, for each of them."""
        return np.asarray((values.sum(axis=0) - values) / (launches - 1))

    def estimate(point: float, draws: Array, left_out: Array) -> Estimate:
        low, high = np.quantile(draws, _levels(point, draws, left_out, confidence))
        return Estimate(
            point=point,
            ci_low=min(float(low), point),
            ci_high=max(float(high), point),
            confidence=confidence,
            n=launches,
        )

    points = summary_of_iterations(groups)
    means = np.array([[d.mean()] for d in data])
    draws = resampled(means, np.array([[d.var()] for d in data]))
    result = {"mean": estimate(float(means.mean()), draws, without_each(means))}
    # Share of each launch's iterations at or below each value of a grid, finer towards the tail.
    levels = np.concatenate([np.linspace(0, 0.8, _GRID // 4), np.linspace(0.8, 1, _GRID)])
    grid = np.unique(np.quantile(np.concatenate(data), levels, method="inverted_cdf"))
    shares = np.array([np.searchsorted(d, grid, "right") / len(d) for d in data])
    draws, left_out = resampled(shares, shares * (1 - shares)), without_each(shares)

    def reached(p: float, below: Array) -> Array:
        """The first value of the grid with the share `p` at or below it."""
        return np.asarray(grid[np.minimum((below < p - 1e-12).sum(axis=1), len(grid) - 1)])

    for name, p in TAILS.items():
        point = getattr(points, name)
        if point is not None:
            result[name] = estimate(point, reached(p, draws), reached(p, left_out))
    return result


def _levels(point: float, draws: Array, left_out: Array, confidence: float) -> list[float]:
    """Which quantiles of the draws bound the interval.

    Bias-corrected and accelerated (Efron, "Better Bootstrap Confidence Intervals", JASA 82,
    1987): a sample with a low tail also underrates the spread of that tail, which the plain
    percentiles ignore. The reach to either side has the factor sqrt(n / (n - 1)) and Student's t
    that few launches need (Hesterberg, "What Teachers Should Know About the Bootstrap", The
    American Statistician 69, 2015).
    """
    n, normal = len(left_out), NormalDist()
    below = float((draws < point).mean() + (draws <= point).mean()) / 2
    bias = normal.inv_cdf(min(max(below, 0.05), 0.95))
    d = left_out.mean() - left_out
    scale = 6 * float((d**2).sum()) ** 1.5
    skew = float((d**3).sum()) / scale if scale else 0.0
    reach = math.sqrt(n / (n - 1)) * _student(1 - (1 - confidence) / 2, n - 1)
    return [
        normal.cdf(bias + (bias + z) / max(1 - skew * (bias + z), 0.2)) for z in (-reach, reach)
    ]


def _student(p: float, df: int) -> float:
    """Quantile of Student's t by Hill's expansion about the normal one (Algorithm 396, 1970;
    Abramowitz & Stegun 26.7.5): within 1 % for df >= 4 and p up to 0.99."""
    z = NormalDist().inv_cdf(p)
    z2 = z * z
    return z * (
        1
        + (z2 + 1) / (4 * df)
        + ((5 * z2 + 16) * z2 + 3) / (96 * df**2)
        + (((3 * z2 + 19) * z2 + 17) * z2 - 15) / (384 * df**3)
        + ((((79 * z2 + 776) * z2 + 1482) * z2 - 1920) * z2 - 945) / (92160 * df**4)
    )
