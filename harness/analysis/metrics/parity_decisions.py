"""The share of examples for which the device and the host decide alike (0 to 1)."""

from __future__ import annotations

from math import prod

from harness.analysis.metrics import exact
from harness.analysis.metrics._parity import beside_host, compared, says_nothing, why_not
from harness.core.types import Evidence, Measurement, MetricSpec

spec = MetricSpec(
    name="parity_decisions",
    unit="1",
    direction="higher",
    title="decisions equal to the host's",
    exact=True,
    gated=False,  # of a few examples, one that is on the edge is more than any threshold
    optional=True,
    head="as host",
    place=250,
)


def extract(evidence: Evidence) -> Measurement:
    """A decision is the largest output, or which side of one half a single output is on. Where
    nothing but agreement was to be expected, agreement is no number."""
    launch = beside_host(evidence)
    if launch is None:
        return exact(None, spec, why_not(evidence))
    wanted = [prod(output.shape) for output in evidence.artifact.outputs]
    if len(wanted) > 1:
        return exact(None, spec, "the model has several outputs, so what it decides is not known")
    found = compared(launch)
    if found is None:
        return exact(None, spec, "the device and the host do not answer in the same shape")
    if launch.parity is None and wanted and wanted[0] > found.values:
        return exact(None, spec, f"{found.values} of {wanted[0]} outputs were kept")
    if found.equal_decisions == found.examples and (why := says_nothing(launch)):
        return exact(None, spec, why)
    return exact(found.equal_decisions / found.examples, spec)
