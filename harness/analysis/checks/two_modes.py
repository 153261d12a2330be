"""Launches that fall into two groups, so that the median describes neither."""

from __future__ import annotations

from harness.core import units
from harness.core.types import Evidence, Finding
from harness.stats.series import modes
from harness.stats.summaries import launch_medians


def findings(evidence: Evidence) -> list[Finding]:
    """The gap test over the medians of launches; modes closer than the precision that was asked
    for are not reported."""
    split = modes(launch_medians(evidence.launches))
    if split is None or not split.significant:
        return []
    if split.high / split.low - 1 < evidence.plan.target_ci:
        return []
    return [
        Finding(
            level="warning",
            code="two-modes",
            message=f"launches fall into two groups: {units.duration(split.low)}, and "
            f"{units.duration(split.high)} in {units.percent(split.high_share)} of them",
            fix="look for what changes speed: clock frequency, a neighbour on a shared machine, "
            "big and small cores (affinity)",
        )
    ]
