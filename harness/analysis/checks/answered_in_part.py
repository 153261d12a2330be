"""Variants that stopped answering, since more test images would hardly change the decision."""

from __future__ import annotations

from harness.core.types import Evidence, Finding


def findings(evidence: Evidence) -> list[Finding]:
    """Says on how many images its accuracy was measured."""
    evaluation = evidence.evaluation
    if evaluation is None or evaluation.failure is not None or evaluation.n >= evaluation.of:
        return []
    return [
        Finding(
            level="info",
            code="answered-in-part",
            message=f"it answered the first {evaluation.n:,} of {evaluation.of:,} test images; "
            "then it stopped, because more of them would hardly change the decision",
        )
    ]
