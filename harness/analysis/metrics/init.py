"""Time to load the model and allocate its tensors, in a fresh process."""

from __future__ import annotations

from harness.analysis.metrics import per_launch
from harness.core.types import Evidence, Measurement, MetricSpec

spec = MetricSpec(
    name="init",
    unit="ns",
    direction="lower",
    title="init",
    place=30,
    importance=14,
)


def extract(evidence: Evidence) -> Measurement:
    """The median over launches, with its interval."""
    return per_launch(evidence, "init_ns", spec)
