"""The largest difference between an output of the device and the host's on the same input."""

from __future__ import annotations

from harness.analysis.metrics import exact
from harness.analysis.metrics._parity import beside_host, compared, why_not
from harness.core.types import Evidence, Measurement, MetricSpec

spec = MetricSpec(
    name="parity_difference",
    unit="1",
    direction="lower",
    title="largest difference from the host",
    exact=True,
    gated=False,
    optional=True,
    head="off host",
    place=260,
)


def extract(evidence: Evidence) -> Measurement:
    """In the unit of the outputs, dequantized."""
    launch = beside_host(evidence)
    if launch is None:
        return exact(None, spec, why_not(evidence))
    found = compared(launch)
    if found is None:
        return exact(None, spec, "the device and the host do not answer in the same shape")
    return exact(
        found.largest_difference, spec, "an output is finite on the device or the host only"
    )
