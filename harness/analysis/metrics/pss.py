"""Proportional set size at its highest: what is shared with other processes counts by its share.
Android observes it beside the peak, in a launch of its own."""

from __future__ import annotations

from harness.analysis.metrics import per_launch
from harness.core.types import Evidence, Measurement, MetricSpec

spec = MetricSpec(
    name="pss",
    unit="bytes",
    direction="lower",
    title="PSS",
    gated=False,
    optional=True,
    place=142,
    importance=20,
)


def extract(evidence: Evidence) -> Measurement:
    """The median over launches, with its interval if there are enough."""
    return per_launch(evidence, "pss_bytes", spec)
