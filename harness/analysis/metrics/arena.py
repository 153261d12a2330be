"""The runtime's arena for the tensors between layers, part of the anonymous memory."""

from __future__ import annotations

from harness.analysis.metrics import per_launch
from harness.core.types import Evidence, Measurement, MetricSpec

spec = MetricSpec(
    name="arena",
    unit="bytes",
    direction="lower",
    title="arena",
    gated=False,
    optional=True,
    place=144,
    importance=20,
)


def extract(evidence: Evidence) -> Measurement:
    """The median over launches, with its interval if there are enough."""
    return per_launch(evidence, "arena_bytes", spec)
