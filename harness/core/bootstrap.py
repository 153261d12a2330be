"""Hierarchical bootstrap over launches and their iterations, for means and tail percentiles.

An iteration is no observation of its own: its launch shares code layout, clock speed and
neighbours with it. So launches are drawn with replacement, and iterations within each drawn
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

from harness.core.series import SEED, effective_n
from harness.core.stats import CONFIDENCE, MIN_LAUNCHES, TAILS, summary_of_iterations
from harness.core.types import Estimate

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
    tails = _expanded(confidence, launches)

    def estimate(point: float, draws: object) -> Estimate:
        low, high = np.quantile(np.asarray(draws), tails)
        return Estimate(
            point=point,
            ci_low=min(float(low), point),
            ci_high=max(float(high), point),
            confidence=confidence,
            n=launches,
        )

    def resampled(values: object, variances: object) -> object:
        """Mean over the drawn launches of `values` plus the noise of their iterations."""
        inner = drawn @ (np.asarray(variances) / worth[:, None]) / launches
        return drawn @ np.asarray(values) + noise * np.sqrt(inner)

    points = summary_of_iterations(groups)
    means = np.array([[d.mean()] for d in data])
    spreads = np.array([[d.var()] for d in data])
    result = {"mean": estimate(float(points.mean or 0.0), resampled(means, spreads))}
    # Share of each launch's iterations at or below each value of a grid, finer towards the tail.
    levels = np.concatenate([np.linspace(0, 0.8, _GRID // 4), np.linspace(0.8, 1, _GRID)])
    grid = np.unique(np.quantile(np.concatenate(data), levels, method="inverted_cdf"))
    shares = np.array([np.searchsorted(d, grid, "right") / len(d) for d in data])
    draws = np.asarray(resampled(shares, shares * (1 - shares)))
    for name, p in TAILS.items():
        point = getattr(points, name)
        if point is not None:
            reached = (draws < p).sum(axis=1)  # the first value with enough below it
            result[name] = estimate(point, grid[np.minimum(reached, len(grid) - 1)])
    return result


def _expanded(confidence: float, n: int) -> tuple[float, float]:
    """Quantiles of the draws to use, so that few launches do not give too narrow an interval: the
    plain percentile interval lacks the factor sqrt(n / (n - 1)) and Student's t (Hesterberg,
    "What Teachers Should Know About the Bootstrap", The American Statistician 69, 2015)."""
    t = _student(1 - (1 - confidence) / 2, n - 1)
    tail = NormalDist().cdf(-math.sqrt(n / (n - 1)) * t)
    return tail, 1 - tail


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
