"""Weights that have learned nothing."""

from __future__ import annotations

from harness.analysis.candidates import listed
from harness.core.types import Evidence, Finding

# What does not depend on what the weights are, and how it is said.
_HOLD = {
    "size": "size",
    "latency": "latency",
    "instructions": "instruction counts",
    "peak_rss": "memory",
}


def findings(evidence: Evidence) -> list[Finding]:
    """Explains what such an artifact is good for, as far as that was measured."""
    if evidence.artifact.trained is not False:
        return []
    held = [
        name
        for metric, name in _HOLD.items()
        if (m := evidence.metrics.get(metric)) is not None and m.point is not None
    ]
    return [
        Finding(
            level="info",
            code="untrained",
            message="this artifact was not trained: "
            + (f"its {listed(held)} hold{'s' * (len(held) == 1)}, " if held else "")
            + "its answers mean nothing",
            mend="--data DIR trains it",
        )
    ]
