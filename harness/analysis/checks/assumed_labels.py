"""What had to be assumed of a file that the user brought, to tell how right it is."""

from __future__ import annotations

from harness.core.types import Evidence, Finding
from harness.stats.accuracy import accuracy


def findings(evidence: Evidence) -> list[Finding]:
    """Which pixels it was shown and which class each output was taken for: a file says neither.
    If it decides worse than chance, they were probably others."""
    evaluation = evidence.evaluation
    if evidence.artifact.model is not None or evaluation is None or evaluation.failure is not None:
        return []
    names = evaluation.classes
    if evaluation.width == 1:
        outputs = f"its output was taken for the probability of {names[1]}, not {names[0]}"
    else:
        outputs = f"its outputs were taken, in this order, for {', '.join(names)}"
    worse = accuracy(evaluation.right).ci_high < 1 / len(names)
    doubt = ", and it decides worse than chance" if worse else ""
    return [
        Finding(
            level="warning" if worse else "info",
            code="assumed-labels",
            message=f"it was shown grey values from 0 to 255, and {outputs}{doubt}",
            mend="if it wants other values, put the scaling into the model; if it has another "
            "order, rename the folders so that they sort as its classes do",
        )
    ]
