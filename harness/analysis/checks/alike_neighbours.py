"""Launches that resemble the one before them: they say less than as many independent launches."""

from __future__ import annotations

from harness.core import units
from harness.core.types import Evidence, Finding
from harness.stats.series import neighbours
from harness.stats.summaries import launch_medians


def findings(evidence: Evidence) -> list[Finding]:
    """The interval counts launches as independent. On a machine whose speed changes every few
    minutes they are not, and another run may lie outside it."""
    medians = launch_medians(sorted(evidence.launches, key=lambda x: x.order))
    alike = neighbours(medians)
    if alike is None or not alike.significant:
        return []
    return [
        Finding(
            level="warning",
            code="alike-neighbours",
            message=f"each launch is similar to the one before it: {len(medians)} launches tell as "
            f"much as about {alike.worth:.0f} independent ones, so another run may differ by more "
            f"than the interval says (p = {units.significant(alike.p, 2)})",
            fix="spread the launches over a longer time; compare within one run, paired by round",
        )
    ]
