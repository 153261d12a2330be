"""Bytes of the .tflite file, as it is stored on a phone."""

from __future__ import annotations

from harness.analysis.metrics import exact
from harness.core.types import Evidence, Measurement, MetricSpec

spec = MetricSpec(
    name="size",
    unit="bytes",
    direction="lower",
    title="size",
    exact=True,
    place=10,
    importance=4,
)


def extract(evidence: Evidence) -> Measurement:
    """A property of the file: no sampling, no interval."""
    return exact(evidence.artifact.size_bytes, spec)
