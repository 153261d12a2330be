"""Instructions per multiply-accumulate: small on fast kernels, large where a slow one is used."""

from __future__ import annotations

from harness.analysis.metrics import exact, instructions
from harness.analysis.metrics._counted import NOT_COUNTED, counted
from harness.core.types import Evidence, Measurement, MetricSpec

spec = MetricSpec(
    name="instructions_per_mac",
    unit="1",
    direction="lower",
    title="instructions per MAC",
    exact=True,
    gated=False,
    optional=True,
    head="instr./MAC",
    place=220,
    importance=8,
)


def extract(evidence: Evidence) -> Measurement:
    """The count over the multiply-accumulates that the graph asks for."""
    count = counted(evidence, instructions.spec).point
    if count is None:
        return exact(None, spec, NOT_COUNTED)
    if not evidence.artifact.macs:
        return exact(None, spec, "the graph's multiply-accumulates are not known")
    return exact(count / evidence.artifact.macs, spec)
