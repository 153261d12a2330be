"""A model file of the user's whose outputs had to be assigned to the classes by assumption."""

from __future__ import annotations

from harness.core.types import Evidence, Finding
from harness.stats.accuracy import accuracy

_KNOWN_BY = {"asked": "by --labels", "metadata": "by the labels in the file"}


def findings(evidence: Evidence) -> list[Finding]:
    """Says which class each output was taken for, since most files do not name them. If the model
    then decides worse than chance, the order was probably wrong."""
    evaluation = evidence.evaluation
    if evidence.artifact.model is not None or evaluation is None or evaluation.failure is not None:
        return []
    if evaluation.scores_of != "order":
        return _of_others(evidence)
    names = evaluation.classes
    if evaluation.width == 1:
        outputs = f"its output was read as the probability of {names[1]}, not of {names[0]}"
    else:
        outputs = f"its outputs were read, in this order, as {', '.join(names)}"
    worse = accuracy(evaluation.right).ci_high < 1 / len(names)
    doubt = "; it then decides worse than chance" if worse else ""
    return [
        Finding(
            level="warning" if worse else "info",
            code="assumed-labels",
            message=f"{outputs}{doubt}",
            fix="if its classes are in another order, name its outputs with --labels FILE, one "
            "per line",
        )
    ]


def _of_others(evidence: Evidence) -> list[Finding]:
    """Scores of classes that the images do not have were left out, which flatters the model."""
    evaluation = evidence.evaluation
    assert evaluation is not None
    if not evaluation.unused:
        return []
    known_by = _KNOWN_BY[evaluation.scores_of]
    return [
        Finding(
            level="info",
            code="unused-outputs",
            message=f"it decided between the {len(evaluation.classes)} classes of the images, "
            f"known {known_by}; its {evaluation.unused:,} other outputs were left out",
            fix="expect fewer right decisions in an app that uses all of its outputs",
        )
    ]
