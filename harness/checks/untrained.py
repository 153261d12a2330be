"""Weights that have learned nothing."""

from __future__ import annotations

from harness.core.types import Evidence, Finding


def findings(evidence: Evidence) -> list[Finding]:
    """Explains what such an artifact is good for."""
    if evidence.artifact.trained is not False:
        return []
    return [
        Finding(
            level="info",
            code="untrained",
            message="this artifact was not trained: its size, latency and memory hold, its "
            "answers mean nothing",
            mend="--data DIR trains it",
        )
    ]
