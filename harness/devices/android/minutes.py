"""A sustained launch, which is made of stretches of about a minute."""

from __future__ import annotations

from statistics import median_low

from harness.core import units
from harness.core.types import Conditions, LatencySummary, Minute


def minute(latency: LatencySummary, after: Conditions) -> Minute:
    """One stretch, and the phone at its end."""
    return Minute(
        iterations=latency.count,
        median_ns=latency.median_ns,
        mean_ns=latency.mean_ns or latency.median_ns,
        temperature_c=after.temperature_c,
        thermal_status=after.thermal_status,
    )


def progress(number: int, count: int, last: Minute) -> str:
    """What is shown after the stretch `number` of `count`."""
    heat = "" if last.temperature_c is None else f", {last.temperature_c:.1f} °C"
    speed = units.significant(1e9 / last.mean_ns)
    return f"sustained, {number} of {count}: {speed} inferences/s{heat}"


def whole(parts: list[LatencySummary]) -> LatencySummary:
    """The summary of all stretches, as far as it follows from their summaries; the median is that
    of the stretches' medians."""
    count = sum(p.count for p in parts)
    means = [p.mean_ns * p.count for p in parts if p.mean_ns is not None]
    lows = [p.min_ns for p in parts if p.min_ns is not None]
    highs = [p.max_ns for p in parts if p.max_ns is not None]
    return LatencySummary(
        count=count,
        median_ns=median_low([p.median_ns for p in parts]),
        mean_ns=sum(means) // count if len(means) == len(parts) else None,
        min_ns=min(lows, default=None),
        max_ns=max(highs, default=None),
    )
