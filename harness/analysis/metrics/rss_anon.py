"""Resident memory that is no file's: tensors, packed weights, heap; at the end of the launch."""

from __future__ import annotations

from harness.analysis.metrics import per_launch
from harness.core.types import Evidence, Measurement, MetricSpec

spec = MetricSpec(
    name="rss_anon",
    unit="bytes",
    direction="lower",
    title="anonymous RSS",
    gated=False,
    head="anonymous",
    place=130,
    importance=19,
)


def extract(evidence: Evidence) -> Measurement:
    """The median over launches, with its interval."""
    return per_launch(evidence, "rss_anon_bytes", spec)
