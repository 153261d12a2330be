"""Models that keep state: one inference changes the answer of the next."""

from __future__ import annotations

from harness.core.types import Evidence, Finding


def findings(evidence: Evidence) -> list[Finding]:
    """Says how its answers and its latency were taken."""
    if not evidence.artifact.keeps_state:
        return []
    return [
        Finding(
            level="info",
            code="keeps-state",
            message="it keeps state between inferences: each answer begins with a fresh state, "
            "while latency is measured over consecutive inferences, as in a stream",
        )
    ]
