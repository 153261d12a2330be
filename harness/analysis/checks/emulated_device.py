"""A device made of software."""

from __future__ import annotations

from harness.core.types import Evidence, Finding
from harness.stats.summaries import launch_medians


def findings(evidence: Evidence) -> list[Finding]:
    """Its times are those of the machine that emulates it."""
    if not evidence.device.emulated or not launch_medians(evidence.launches):
        return []
    return [
        Finding(
            level="warning",
            code="emulated-device",
            message=f"{evidence.device.name} is emulated: its times are not those of a phone",
            fix="measure on a phone before deciding by latency",
        )
    ]
