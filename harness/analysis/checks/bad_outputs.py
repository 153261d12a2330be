"""Answers that no working model gives."""

from __future__ import annotations

from harness.core.types import Evidence, Finding


def findings(evidence: Evidence) -> list[Finding]:
    """Not finite: the numbers must not be used. The same answer to every example: suspect, unless
    the model was never trained."""
    seen = [x.outputs for x in evidence.launches if x.outputs is not None]
    if any(not outputs.finite for outputs in seen):
        return [
            Finding(
                level="invalid",
                code="outputs-not-finite",
                message="an output is not a finite number",
                fix="check the conversion (float16 overflow, missing representative data) and "
                "the input range",
            )
        ]
    if any(outputs.constant for outputs in seen):
        return [
            Finding(
                level="warning" if evidence.artifact.trained is False else "serious",
                code="outputs-constant",
                message="the answer is the same for every example",
                fix="check the weights and how inputs are scaled",
            )
        ]
    return []
