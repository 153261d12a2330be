"""Instruction counts that are not the same every time."""

from __future__ import annotations

from harness.core import units
from harness.core.types import Evidence, Finding


def findings(evidence: Evidence) -> list[Finding]:
    """The emulated core is deterministic, so counts that differ come from the program: threads
    that wait for each other, or decisions that depend on addresses or on the time of day."""
    counts = [n for launch in evidence.launches for n in launch.instructions]
    if not counts or min(counts) == max(counts):
        return []
    least, most = min(counts), max(counts)
    return [
        Finding(
            level="warning",
            code="unsteady-instructions",
            message=f"instruction counts differ between inferences: {least:,} to {most:,} "
            f"({units.percent(most / least - 1)}) in {len(counts)} inferences",
            fix="compare with a threshold larger than this spread",
        )
    ]
