"""Share of the test images on which an artifact decides as its float parent does."""

from __future__ import annotations

from harness.analysis.metrics import _labelled
from harness.core.types import Estimate, Evaluation, Evidence, Measurement, MetricSpec
from harness.stats import accuracy

spec = MetricSpec(
    name="agreement",
    unit="1",
    direction="higher",
    title="agreement",
    gated=False,
    place=200,
    importance=22,
    labelled=True,
)


def extract(evidence: Evidence) -> Measurement:
    """With Wilson's interval over images. The largest and the mean difference of scores are with
    the evaluation."""
    if evidence.artifact.float_parent is None:
        return _labelled.absent(spec, "it has no float parent")

    def share(evaluation: Evaluation) -> Estimate | str:
        found = evaluation.agreement
        if found is None:
            return f"its float parent {evidence.artifact.float_parent} was not evaluated"
        return accuracy.wilson(found.equal, found.n)

    return _labelled.measured(evidence, spec, share)
