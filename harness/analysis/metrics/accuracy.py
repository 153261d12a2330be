"""Share of the test images that the artifact decides as labelled."""

from __future__ import annotations

from harness.analysis.metrics import _labelled
from harness.core.types import Evidence, Measurement, MetricSpec
from harness.stats import accuracy

spec = MetricSpec(
    name="accuracy",
    unit="1",
    direction="higher",
    title="accuracy",
    place=150,
    importance=6,
    labelled=True,
)


def extract(evidence: Evidence) -> Measurement:
    """With Wilson's interval over images."""
    return _labelled.measured(evidence, spec, lambda e: accuracy.accuracy(e.right))
