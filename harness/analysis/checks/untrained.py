"""Weights that have learned nothing."""

from __future__ import annotations

from harness.analysis.candidates import costs, listed
from harness.analysis.metric_specs import title
from harness.core.types import Evidence, Finding


def findings(evidence: Evidence) -> list[Finding]:
    """Explains what such an artifact is good for, as far as that was measured."""
    if evidence.artifact.trained is not False:
        return []
    # What a model costs does not depend on what its weights are.
    held = [
        title(metric)
        for metric in costs()
        if (m := evidence.metrics.get(metric)) is not None and m.point is not None
    ]
    return [
        Finding(
            level="info",
            code="untrained",
            message="this artifact was not trained: "
            + (f"its {listed(held)} hold{'s' * (len(held) == 1)}, " if held else "")
            + "its answers mean nothing",
            fix="--data DIR trains it",
        )
    ]
