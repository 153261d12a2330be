"""Latency that rises or falls over the run, and heat that the device reports."""

from __future__ import annotations

from harness.core import units
from harness.core.types import Evidence, Finding
from harness.stats.series import drift
from harness.stats.summaries import launch_median, launch_medians


def findings(evidence: Evidence) -> list[Finding]:
    """The rank test over launches in order of measurement, and what the device itself reports. A
    change smaller than the precision that was asked for is not reported."""
    launches = sorted(
        (x for x in evidence.launches if launch_median(x) is not None), key=lambda x: x.order
    )
    found = []
    trend = drift(launch_medians(launches))
    if trend and trend.significant and abs(trend.change) >= evidence.plan.target_ci:
        way = "rose" if trend.change > 0 else "fell"
        found.append(
            Finding(
                level="warning",
                code="drift",
                message=f"latency {way} by {units.percent(abs(trend.change))} over "
                f"{len(launches)} launches (p = {units.significant(trend.p, 2)})",
                fix="let the device cool down or settle, then measure again; rounds of one run "
                "can still be compared",
            )
        )
    states = [c.thermal_status for x in launches if not x.minutes for c in (x.before, x.after) if c]
    hottest = max((s for s in states if s is not None), default=0)
    if hottest > 0:
        throttled = sum(any(c and c.thermal_status for c in (x.before, x.after)) for x in launches)
        found.append(
            Finding(
                level="serious",
                code="throttled",
                message=f"the device throttled itself in {throttled} of {len(launches)} launches "
                f"(thermal status {hottest})",
                fix="let it cool, take it off the charger and out of its case, raise cooldown_s",
            )
        )
    return found
