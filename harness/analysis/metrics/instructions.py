"""Instructions per inference in steady state, on an emulated core: exact."""

from __future__ import annotations

from harness.analysis.metrics._counted import COUNT_THRESHOLD, counted
from harness.core.types import Evidence, Measurement, MetricSpec

spec = MetricSpec(
    name="instructions",
    unit="count",
    direction="lower",
    title="instructions",
    exact=True,
    max_regression=COUNT_THRESHOLD,
    optional=True,
    place=210,
    importance=7,
)


def extract(evidence: Evidence) -> Measurement:
    """Counted, not sampled: no interval."""
    return counted(evidence, spec)
