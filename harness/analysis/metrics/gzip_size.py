"""Bytes of the .tflite file after gzip, near what a download costs."""

from __future__ import annotations

from harness.analysis.metrics import exact
from harness.core.types import Evidence, Measurement, MetricSpec

spec = MetricSpec(
    name="gzip_size",
    unit="bytes",
    direction="lower",
    title="gzip",
    exact=True,
    place=20,
    importance=15,
)


def extract(evidence: Evidence) -> Measurement:
    """A property of the file: no sampling, no interval."""
    return exact(evidence.artifact.gzip_bytes, spec)
