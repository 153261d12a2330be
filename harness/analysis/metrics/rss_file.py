"""Resident pages of mapped files, the model's own among them; the system can drop them."""

from __future__ import annotations

from harness.analysis.metrics import per_launch
from harness.core.types import Evidence, Measurement, MetricSpec

spec = MetricSpec(
    name="rss_file",
    unit="bytes",
    direction="lower",
    title="file-backed RSS",
    gated=False,
    head="file-backed",
    place=140,
    importance=20,
)


def extract(evidence: Evidence) -> Measurement:
    """The median over launches, with its interval."""
    return per_launch(evidence, "rss_file_bytes", spec)
