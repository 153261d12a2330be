"""Mean of -ln(score of the label): punishes answers that are wrong and sure of it."""

from __future__ import annotations

from harness.analysis.metrics import _labelled
from harness.core.types import Estimate, Evaluation, Evidence, Measurement, MetricSpec
from harness.stats import accuracy

spec = MetricSpec(
    name="log_loss",
    unit="1",
    direction="lower",
    title="log loss",
    gated=False,
    place=180,
    labelled=True,
)


def extract(evidence: Evidence) -> Measurement:
    """With the normal interval of a mean over images."""
    return _labelled.measured(evidence, spec, _loss)


def _loss(evaluation: Evaluation) -> Estimate | str:
    rows = evaluation.rows
    if not accuracy.are_probabilities(rows):
        return "its scores are no probabilities"
    return accuracy.log_loss(rows, evaluation.truth, evaluation.step) or "one image has no spread"
