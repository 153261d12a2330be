"""The accuracy of a case if the device itself answers test images, and how far its answers agree
with the host's for the same file.

Intervals are over images.
"""

from __future__ import annotations

from harness.analysis.metrics import Metric, absent, estimated
from harness.core.types import Evaluation, Evidence, Measurement, MetricSpec
from harness.stats import accuracy
from harness.stats.agreement import beside

# Share of the test images given to the device that it decides as labelled. An answer that is not
# finite is not right.
ACCURACY_DEVICE = MetricSpec(
    name="accuracy_device",
    unit="1",
    direction="higher",
    title="accuracy on the device",
    gated=False,
    optional=True,
    labelled=True,
    head="acc. on device",
    place=152,
    importance=7,
)

# Share of these images on which the device decides as the host does.
AGREEMENT_HOST = MetricSpec(
    name="agreement_host",
    unit="1",
    direction="higher",
    title="decisions of the device equal to the host's",
    gated=False,
    optional=True,
    labelled=True,
    head="agrees w. host",
    place=153,
    importance=19,
)

# Share of these images to which the device's answer is not a finite number.
NOT_FINITE = MetricSpec(
    name="not_finite",
    unit="1",
    direction="lower",
    title="answers of the device that are not finite",
    gated=False,
    optional=True,
    labelled=True,
    head="not finite",
    place=154,
)


def _answered(evidence: Evidence) -> Evaluation | None:
    found = evidence.on_device
    return found if found is not None and found.failure is None and found.n else None


def _accuracy(evidence: Evidence) -> Measurement:
    """Wilson's interval."""
    found = _answered(evidence)
    if found is None:
        return absent(ACCURACY_DEVICE, "the device answered no test images")
    return estimated(ACCURACY_DEVICE, accuracy.accuracy(found.right))


def _agreement(evidence: Evidence) -> Measurement:
    """Wilson's interval."""
    found = _answered(evidence)
    pair = None if found is None else beside(found, evidence.evaluation)
    if pair is None:
        return absent(AGREEMENT_HOST, "the device and the host did not answer the same images")
    return estimated(AGREEMENT_HOST, accuracy.wilson(pair.equal, pair.n))


def _not_finite(evidence: Evidence) -> Measurement:
    """Wilson's interval."""
    found = _answered(evidence)
    if found is None:
        return absent(NOT_FINITE, "the device answered no test images")
    return estimated(NOT_FINITE, accuracy.wilson(found.not_finite, found.n))


METRICS = (
    Metric(ACCURACY_DEVICE, _accuracy),
    Metric(AGREEMENT_HOST, _agreement),
    Metric(NOT_FINITE, _not_finite),
)
