"""The largest difference between an artifact's score of a class and its float parent's."""

from __future__ import annotations

from harness.analysis.metrics import exact
from harness.core.types import Evidence, Measurement, MetricSpec

spec = MetricSpec(
    name="agreement_largest",
    unit="1",
    direction="lower",
    title="largest difference from the float parent",
    exact=True,
    gated=False,
    optional=True,
    labelled=True,
    head="largest off",
    place=201,
)


def extract(evidence: Evidence) -> Measurement:
    """On the test images; scores go from 0 to 1."""
    found = evidence.evaluation.agreement if evidence.evaluation else None
    return exact(found.largest if found else None, spec, "no float parent was evaluated")
