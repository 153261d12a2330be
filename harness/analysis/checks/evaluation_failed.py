"""An artifact that could not answer the labelled images."""

from __future__ import annotations

from harness.core.types import Evidence, Finding


def findings(evidence: Evidence) -> list[Finding]:
    """Its other numbers hold, but its accuracy is not known."""
    failure = evidence.evaluation.failure if evidence.evaluation else None
    if failure is None:
        return []
    return [
        Finding(
            level="warning",
            code="not-evaluated",
            message=f"its accuracy is not known: {failure.message}",
            fix=failure.fix,
        )
    ]
