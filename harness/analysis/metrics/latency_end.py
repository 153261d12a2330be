"""Latency in the last minute of a sustained launch."""

from __future__ import annotations

from harness.analysis.metrics._sustained import of_minute
from harness.core.types import Evidence, Measurement, MetricSpec

spec = MetricSpec(
    name="latency_end",
    unit="ns",
    direction="lower",
    title="latency at the end",
    gated=False,
    optional=True,
    head="last minute",
    place=110,
)


def extract(evidence: Evidence) -> Measurement:
    """The median of that minute, over the launches that were sustained."""
    return of_minute(evidence, -1, spec)
