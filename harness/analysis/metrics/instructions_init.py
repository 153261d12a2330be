"""Instructions to load the model and allocate its tensors, on an emulated core."""

from __future__ import annotations

from harness.analysis.metrics._counted import counted
from harness.core.types import Evidence, Measurement, MetricSpec

spec = MetricSpec(
    name="instructions_init",
    unit="count",
    direction="lower",
    title="instructions of init",
    exact=True,
    max_regression=0.01,
    optional=True,
    head="instr. init",
    place=230,
)


def extract(evidence: Evidence) -> Measurement:
    """Counted, not sampled: no interval."""
    return counted(evidence, spec)
