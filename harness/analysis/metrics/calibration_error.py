"""Expected calibration error: how far the artifact is from being as often right as it is sure."""

from __future__ import annotations

from harness.analysis.metrics import _labelled
from harness.core.types import Evaluation, Evidence, Measurement, MetricSpec
from harness.stats import accuracy

spec = MetricSpec(
    name="calibration_error",
    unit="1",
    direction="lower",
    title="calibration",
    gated=False,
    place=190,
    labelled=True,
)


def extract(evidence: Evidence) -> Measurement:
    """Over ten bins of equal width; it has no interval."""
    return _labelled.measured(evidence, spec, _error)


def _error(evaluation: Evaluation) -> float | str:
    rows = evaluation.rows
    if not accuracy.are_probabilities(rows):
        return "its scores are no probabilities"
    error = accuracy.calibration_error(rows, evaluation.truth)
    least = accuracy.LEAST_FOR_CALIBRATION
    return f"{evaluation.n} images are too few; {least} do" if error is None else error
