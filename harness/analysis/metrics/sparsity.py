"""Share of an artifact's weights that are zero, which is what pruning is for."""

from __future__ import annotations

from harness.analysis.metrics import exact
from harness.core.types import Evidence, Measurement, MetricSpec

spec = MetricSpec(
    name="sparsity",
    unit="1",
    direction="higher",
    title="sparsity",
    exact=True,
    gated=False,
    optional=True,
    place=25,
)


def extract(evidence: Evidence) -> Measurement:
    """A property of the file: no sampling, no interval."""
    return exact(evidence.artifact.sparsity, spec)
