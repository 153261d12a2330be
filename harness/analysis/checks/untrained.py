"""Weights that have learned nothing."""

from __future__ import annotations

from harness.analysis.candidates import costs
from harness.analysis.metric_specs import title
from harness.core.text import listed
from harness.core.types import Evidence, Finding


def findings(evidence: Evidence) -> list[Finding]:
    """Says which of its numbers are valid although it was not trained."""
    if evidence.artifact.trained is not False:
        return []
    # What a model costs does not depend on the values of its weights.
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
            + (f"its {listed(held)} {'is' if len(held) == 1 else 'are'} valid, " if held else "")
            + "its answers are meaningless",
            fix="--data DIR trains it",
        )
    ]
