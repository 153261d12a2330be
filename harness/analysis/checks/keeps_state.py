"""Models that remember: what one inference leaves changes the answer of the next."""

from __future__ import annotations

from harness.core.types import Evidence, Finding


def findings(evidence: Evidence) -> list[Finding]:
    """Says what its numbers are of."""
    if not evidence.artifact.keeps_state:
        return []
    return [
        Finding(
            level="info",
            code="keeps-state",
            message="it keeps a state between inferences: answers are each from a fresh state, "
            "latency is of inferences one after the other, as in a stream",
        )
    ]
