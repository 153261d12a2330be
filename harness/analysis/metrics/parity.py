"""A device's answers compared with the host's to the same inputs."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING

from harness.analysis.metrics import Metric, absent, exact
from harness.core import parity
from harness.core.types import Evidence, Launch, Measurement, MetricSpec, Outputs, Parity

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

OTHER_SHAPE = "the device and the host do not answer in the same shape"

# The share of examples for which the device and the host decide alike (0 to 1).
DECISIONS = MetricSpec(
    name="parity_decisions",
    unit="1",
    direction="higher",
    title="decisions equal to the host's",
    exact=True,
    gated=False,  # with few examples, a single one on the edge is more than any threshold
    optional=True,
    head="as host",
    place=250,
)

# The largest difference between an output of the device and the host's on the same input, in the
# unit of the outputs, dequantized.
DIFFERENCE = MetricSpec(
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


def beside_host(evidence: Evidence) -> Launch | None:
    """The first launch that holds both sides."""
    return next((x for x in evidence.launches if x.outputs and x.reference), None)


def why_not(evidence: Evidence) -> str:
    """Why no launch holds both sides."""
    reasons = [x.absent["reference"] for x in evidence.launches if "reference" in x.absent]
    return reasons[0] if reasons else "the answers were not compared with the host's"


def compared(launch: Launch) -> Parity | None:
    """The comparison of both sides: of the whole answers, or if those were not compared, of the
    values that were kept. None if the shapes differ."""
    if launch.parity is not None or launch.outputs is None or launch.reference is None:
        return launch.parity
    return parity.compared(_kept(launch.outputs), _kept(launch.reference))


def _kept(outputs: Outputs) -> Iterator[NDArray[np.float64]]:
    import numpy as np

    return (np.array(row, dtype=np.float64) for row in outputs.values)  # None becomes nan


def why_it_proves_nothing(launch: Launch) -> str:
    """Why equal decisions of both sides would prove nothing; empty if they would prove a lot."""
    sides = [side for side in (launch.outputs, launch.reference) if side]
    if any(len(side.values) < 2 for side in sides):
        return "there is only one example, so agreement proves nothing"
    if all(side.constant for side in sides):
        return "all answers are the same, so agreement proves nothing"
    return ""


def _decisions(evidence: Evidence) -> Measurement:
    """The share of equal decisions. A decision is the largest output, or for a single output, on
    which side of one half it is. Absent if both sides could only agree."""
    launch = beside_host(evidence)
    if launch is None:
        return absent(DECISIONS, why_not(evidence))
    wanted = [prod(output.shape) for output in evidence.artifact.outputs]
    if len(wanted) > 1:
        return absent(DECISIONS, "the model has several outputs, so what it decides is not known")
    found = compared(launch)
    if found is None:
        return absent(DECISIONS, OTHER_SHAPE)
    if launch.parity is None and wanted and wanted[0] > found.values:
        return absent(DECISIONS, f"{found.values} of {wanted[0]} outputs were kept")
    if found.equal_decisions == found.examples and (why := why_it_proves_nothing(launch)):
        return absent(DECISIONS, why)
    return exact(found.equal_decisions / found.examples, DECISIONS)


def _difference(evidence: Evidence) -> Measurement:
    launch = beside_host(evidence)
    if launch is None:
        return absent(DIFFERENCE, why_not(evidence))
    found = compared(launch)
    if found is None:
        return absent(DIFFERENCE, OTHER_SHAPE)
    return exact(
        found.largest_difference,
        DIFFERENCE,
        "an output is finite only on the device or only on the host",
    )


METRICS = (Metric(DECISIONS, _decisions), Metric(DIFFERENCE, _difference))
