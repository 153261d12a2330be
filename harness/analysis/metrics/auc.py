"""Area under the ROC curve: how well the scores rank, wherever the threshold is put."""

from __future__ import annotations

from harness.analysis.metrics import _labelled
from harness.core.types import Estimate, Evaluation, Evidence, Measurement, MetricSpec
from harness.stats import accuracy
from harness.stats.mean_auc import mean_auc

spec = MetricSpec(
    name="auc",
    unit="1",
    direction="higher",
    title="ROC AUC",
    gated=False,
    place=170,
    importance=21,
    labelled=True,
)


def extract(evidence: Evidence) -> Measurement:
    """Of two classes, or of more the mean of each against the rest; with its interval."""
    return _labelled.measured(evidence, spec, _area)


def _area(evaluation: Evaluation) -> Estimate | str:
    if len(evaluation.classes) == 2:
        positive = [label == 1 for label in evaluation.truth]
        area = accuracy.auc([row[1] for row in evaluation.rows], positive)
    else:
        area = mean_auc(evaluation.rows, evaluation.truth, len(evaluation.classes))
    return "the test split has no image of one of the classes" if area is None else area
