"""Launches that resemble the one before, so that they are not as many as they seem."""

from __future__ import annotations

from statistics import median

from harness.core import units
from harness.core.series import neighbours
from harness.core.types import Evidence, Finding


def findings(evidence: Evidence) -> list[Finding]:
    """The interval counts launches as independent. On a machine whose speed changes every few
    minutes they are not, and another run may lie outside it."""
    launches = sorted((x for x in evidence.launches if x.latency_ns), key=lambda x: x.order)
    alike = neighbours([float(median(x.latency_ns)) for x in launches])
    if alike is None or not alike.significant:
        return []
    return [
        Finding(
            level="warning",
            code="alike-neighbours",
            message=f"launches resemble the one before: {len(launches)} of them are worth about "
            f"{alike.worth:.0f}, so another run may differ by more than the interval says "
            f"(p = {units.significant(alike.p, 2)})",
            mend="spread launches over a longer time; compare within one run, paired by round",
        )
    ]
