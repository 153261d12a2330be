"""Mean over the classes of the share of their test images that is decided as labelled: a class
weighs the same however many images it has."""

from __future__ import annotations

from harness.analysis.metrics import _labelled
from harness.core.types import Evidence, Measurement, MetricSpec
from harness.stats import accuracy

spec = MetricSpec(
    name="balanced_accuracy",
    unit="1",
    direction="higher",
    title="balanced accuracy",
    gated=False,
    head="balanced acc.",
    place=160,
    labelled=True,
)


def extract(evidence: Evidence) -> Measurement:
    """The recalls' Wilson intervals, combined in quadrature."""
    return _labelled.measured(
        evidence,
        spec,
        lambda e: (
            accuracy.balanced_accuracy(e.confusion)
            or "the test split has no image of one of the classes"
        ),
    )
