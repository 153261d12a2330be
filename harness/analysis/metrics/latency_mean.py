"""Mean time per iteration, warm-up left out."""

from __future__ import annotations

from harness.analysis.metrics import _tail
from harness.core.types import Evidence, Measurement, MetricSpec

spec = MetricSpec(
    name="latency_mean",
    unit="ns",
    direction="lower",
    title="latency, mean",
    gated=False,
    head="mean",
    place=60,
)


def extract(evidence: Evidence) -> Measurement:
    """Interval by hierarchical bootstrap."""
    return _tail.measured(evidence, spec, "mean")
