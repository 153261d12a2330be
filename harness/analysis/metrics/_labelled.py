"""What the metrics of labelled images share: why there is nothing to measure, and the shape."""

from __future__ import annotations

from collections.abc import Callable

from harness.core.types import Estimate, Evaluation, Evidence, Measurement, MetricSpec


def measured(
    evidence: Evidence, spec: MetricSpec, estimate: Callable[[Evaluation], Estimate | float | str]
) -> Measurement:
    """The metric that `estimate` makes of the evaluation: with an interval, without one, or a text
    that says why it is absent."""
    evaluation = evidence.evaluation
    if evaluation is None or evaluation.failure is not None:
        return absent(spec, why_not(evidence))
    found = estimate(evaluation)
    if isinstance(found, str):
        return absent(spec, found)
    if isinstance(found, Estimate):
        return Measurement(
            unit=spec.unit,
            point=found.point,
            ci_low=found.ci_low,
            ci_high=found.ci_high,
            confidence=found.confidence,
            n=found.n,
        )
    return Measurement(
        unit=spec.unit, point=found, n=evaluation.n, absent={"ci": "no interval is known for it"}
    )


def why_not(evidence: Evidence) -> str:
    """Why the artifact has no evaluation that could be used."""
    if evidence.artifact.trained is False:
        return "untrained: its answers mean nothing"
    if evidence.evaluation is not None and evidence.evaluation.failure is not None:
        return f"it could not be evaluated: {evidence.evaluation.failure.message}"
    if evidence.artifact.model is None:
        return "no labelled images for a file you brought; --data DIR gives them"
    return "no labelled images; --data DIR gives them"


def absent(spec: MetricSpec, because: str) -> Measurement:
    """The metric, not measured."""
    return Measurement(unit=spec.unit, point=None, absent_because=because)
