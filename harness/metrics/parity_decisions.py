"""The share of examples for which the device and the host decide alike (0 to 1)."""

from __future__ import annotations

from math import prod

from harness.core.types import Evidence, Measurement, MetricSpec
from harness.metrics import exact
from harness.metrics._parity import compared, decision, pairs, why_not

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
    """A decision is the largest output, or which side of one half a single output is on."""
    launch = compared(evidence)
    if launch is None:
        return exact(None, spec, why_not(evidence))
    if len(evidence.artifact.outputs) > 1:
        return exact(None, spec, "the model has several outputs, so what it decides is not known")
    if launch.parity is not None:
        return exact(launch.parity.equal_decisions / launch.parity.examples, spec)
    answers = list(pairs(launch))
    elements = [prod(output.shape) for output in evidence.artifact.outputs]
    if elements and elements[0] > len(answers[0][0]):
        return exact(None, spec, f"{len(answers[0][0])} of {elements[0]} outputs were kept")
    equal = [decision(ours) == decision(theirs) for ours, theirs in answers]
    return exact(sum(equal) / len(equal), spec)
