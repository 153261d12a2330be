"""Instructions of the first inference after a load, on an emulated core."""

from __future__ import annotations

from harness.analysis.metrics._counted import COUNT_THRESHOLD, counted
from harness.core.types import Evidence, Measurement, MetricSpec

spec = MetricSpec(
    name="instructions_first",
    unit="count",
    direction="lower",
    title="instructions of the first inference",
    exact=True,
    max_regression=COUNT_THRESHOLD,
    optional=True,
    head="instr. first",
    place=240,
)


def extract(evidence: Evidence) -> Measurement:
    """Counted, not sampled: no interval."""
    return counted(evidence, spec)
