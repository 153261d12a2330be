"""Iterations so short that the clock is too coarse for them."""

from __future__ import annotations

from statistics import median

from harness.core import units
from harness.core.types import Evidence, Finding
from harness.stats.summaries import launch_medians

_ENOUGH = 100  # ticks per iteration: then one tick is 1 %
_TOO_FEW = 10


def findings(evidence: Evidence) -> list[Finding]:
    """A warning below 100 ticks per iteration, serious below 10."""
    medians = launch_medians(evidence.launches)
    ticks = max((x.clock_resolution_ns or 0 for x in evidence.launches), default=0)
    if not medians or not ticks or median(medians) >= _ENOUGH * ticks:
        return []
    latency = median(medians)
    return [
        Finding(
            level="serious" if latency < _TOO_FEW * ticks else "warning",
            code="clock-resolution",
            message=_message(latency, ticks),
            fix="measure a larger model or input, or several inferences in one file",
        )
    ]


def _message(latency_ns: float, tick_ns: int) -> str:
    tick = units.duration(tick_ns)
    if latency_ns == 0:
        return f"an iteration takes less than {tick}, the shortest time that can be measured here"
    return f"an iteration takes {units.duration(latency_ns)} but the clock ticks only every {tick}"
