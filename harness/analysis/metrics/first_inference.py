"""Time of the first call after init, which lazy set-up makes slower than the rest."""

from __future__ import annotations

from harness.analysis.metrics import per_launch
from harness.core.types import Evidence, Measurement, MetricSpec

spec = MetricSpec(
    name="first_inference",
    unit="ns",
    direction="lower",
    title="first inference",
    place=40,
    importance=18,
)


def extract(evidence: Evidence) -> Measurement:
    """The median over launches, with its interval."""
    return per_launch(evidence, "first_inference_ns", spec)
