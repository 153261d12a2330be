"""Most resident memory from loading to the last iteration, the process itself included."""

from __future__ import annotations

from harness.analysis.metrics import per_launch
from harness.core.types import Evidence, Measurement, MetricSpec

spec = MetricSpec(
    name="peak_rss",
    unit="bytes",
    direction="lower",
    title="peak RSS",
    place=120,
    importance=5,
)


def extract(evidence: Evidence) -> Measurement:
    """The median over launches, with its interval."""
    return per_launch(evidence, "peak_rss_bytes", spec)
