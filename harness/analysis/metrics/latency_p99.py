"""The time that 99 of 100 iterations stay within."""

from __future__ import annotations

from harness.analysis.metrics import _tail
from harness.core.types import Evidence, Measurement, MetricSpec

spec = MetricSpec(
    name="latency_p99",
    unit="ns",
    direction="lower",
    title="latency, p99",
    gated=False,
    head="p99",
    place=90,
    importance=23,
)


def extract(evidence: Evidence) -> Measurement:
    """Interval by hierarchical bootstrap."""
    return _tail.measured(evidence, spec, "p99")
