"""Energy of one inference above the idle draw, from readings of a slow, averaging gauge.

Readings a second apart are not independent: a fuel gauge averages over seconds and the phone's
temperature changes slowly. So the stretch (a minute) is the sampling unit under load, and the
interval is that of the median over stretches (order statistics, as for launches). The idle draw is
read before and after. Its uncertainty is the error of both means, with as many readings as the
series is worth, and half of their difference: in between, it was somewhere from one to the other.
The two parts are added, not squared and added, so that the level holds if either dominates:
benchmarks/energy.py simulates it. The error of the gauge itself is not in the interval.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import NormalDist, fmean, median, stdev

from harness.core.estimates import Measurement
from harness.core.power import Drawn
from harness.stats.series import effective_n
from harness.stats.summaries import CONFIDENCE, MIN_LAUNCHES, median_interval

LEAST_IDLE = 4  # independent readings before, and after: fewer do not show their error
_JOULES = 1e-15  # of a microwatt for a nanosecond

Readings = Sequence[int]


def idle_draw(drawn: Drawn) -> tuple[float, float | None]:
    """Microwatts: the mean of before and after, and how far it may be off either way; None if
    there are too few readings to tell."""
    sides = (drawn.idle_before, drawn.idle_after)
    before, after = map(fmean, sides)
    worth = [_worth(side) for side in sides]
    if min(worth) < LEAST_IDLE:
        return (before + after) / 2, None
    errors = [stdev(side) / math.sqrt(n) for side, n in zip(sides, worth, strict=True)]
    chance = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * math.hypot(*errors) / 2
    return (before + after) / 2, abs(before - after) / 2 + chance


def _worth(readings: Readings) -> float:
    """How many independent readings these are worth; a repeated value is the same reading."""
    fresh = 1 + sum(a != b for a, b in pairwise(readings))
    return min(effective_n(readings), fresh)


def per_inference(drawn: Drawn, unit: str) -> Measurement:
    """Joules above the idle draw of a typical inference. Absent where a load cannot be told from
    none; without interval where the stretches or the idle readings are too few for one."""
    if not all((drawn.idle_before, drawn.idle_after, *drawn.loaded)) or not drawn.loaded:
        return Measurement(unit=unit, point=None, absent_because="the load was too short to read")
    idle, error = idle_draw(drawn)
    paces = drawn.ns_per_inference
    each = [
        (fmean(stretch) - idle) * pace * _JOULES
        for stretch, pace in zip(drawn.loaded, paces, strict=True)
    ]
    point = median(each)
    if point <= 0:
        return Measurement(
            unit=unit, point=None, absent_because="the phone drew no more under load than idle"
        )
    found = Measurement(unit=unit, point=point, n=len(each))
    interval = median_interval(each)
    if interval is None or error is None:
        why = (
            f"{len(each)} stretches give no interval; {MIN_LAUNCHES} minutes do"
            if interval is None
            else "the idle draw was read too few times for an interval; measure for longer"
        )
        return Measurement(unit=unit, point=point, n=len(each), absent={"ci": why})
    reach = error * median(paces) * _JOULES
    return Measurement(
        unit=unit,
        point=found.point,
        ci_low=interval.ci_low - reach,
        ci_high=interval.ci_high + reach,
        confidence=interval.confidence,
        n=found.n,
    )
