"""The time that 90 of 100 iterations stay within."""

from __future__ import annotations

from harness.analysis.metrics import _tail
from harness.core.types import Evidence, Measurement, MetricSpec

spec = MetricSpec(
    name="latency_p90",
    unit="ns",
    direction="lower",
    title="latency, p90",
    gated=False,
    head="p90",
    place=70,
    importance=16,
)


def extract(evidence: Evidence) -> Measurement:
    """Interval by hierarchical bootstrap."""
    return _tail.measured(evidence, spec, "p90")
