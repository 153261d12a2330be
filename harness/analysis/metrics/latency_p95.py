"""The time that 95 of 100 iterations stay within."""

from __future__ import annotations

from harness.analysis.metrics import _tail
from harness.core.types import Evidence, Measurement, MetricSpec

spec = MetricSpec(
    name="latency_p95",
    unit="ns",
    direction="lower",
    title="latency, p95",
    gated=False,
    head="p95",
    place=80,
    importance=17,
)


def extract(evidence: Evidence) -> Measurement:
    """Interval by hierarchical bootstrap."""
    return _tail.measured(evidence, spec, "p95")
