"""Fewer launches than an interval needs."""

from __future__ import annotations

from harness.core.text import count
from harness.core.types import Evidence, Finding
from harness.stats.summaries import MIN_LAUNCHES, launch_medians


def findings(evidence: Evidence) -> list[Finding]:
    """Without an interval, this number cannot be told from one that chance alone would give."""
    n = len(launch_medians(evidence.launches))
    if not 0 < n < MIN_LAUNCHES:
        return []
    sustained = evidence.plan.timing.sustained_ns is not None
    return [
        Finding(
            level="serious",
            code="too-few-launches",
            message=f"{count(n, 'launch', 'launches')} of the {MIN_LAUNCHES} "
            "that an interval needs",
            fix="run it several times and compare, or measure latency without --sustained"
            if sustained
            else f"--launches {MIN_LAUNCHES} or more",
        )
    ]
