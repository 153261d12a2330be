"""The metrics of a case, in families: each file holds the metrics that are read in the same way.

A family is found by its file name and offers `METRICS`, a tuple of `Metric`. A new metric is one
more entry there: its spec says all that the gate, the verdict, the tables and the charts need.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from harness.core.types import Estimate, Evidence, Measurement, MetricSpec
from harness.stats.summaries import measure


class Metric(NamedTuple):
    """A metric: its description, and how it is read from the evidence of one case. `extract` never
    raises; a metric that could not be measured is a Measurement without a point, with the reason.
    """

    spec: MetricSpec
    extract: Callable[[Evidence], Measurement]


def per_launch(spec: MetricSpec) -> Metric:
    """A metric that has one value per launch, in the field `spec.raw`: the median over launches,
    with its interval if there are enough launches. If no launch has a value, it is absent for the
    reason that the launches give."""

    def extract(evidence: Evidence) -> Measurement:
        values = [getattr(launch, spec.raw) for launch in evidence.launches]
        return measure(
            [value for value in values if value is not None],
            spec.unit,
            absent_because=reason(evidence, spec.raw),
        )

    return Metric(spec, extract)


def reason(evidence: Evidence, field: str) -> str:
    """Why the launches did not observe `field`; empty if they do not say."""
    return next((x.absent[field] for x in evidence.launches if field in x.absent), "")


def exact(value: float | None, spec: MetricSpec, absent_because: str = "not known") -> Measurement:
    """A value without sampling error, or absent if it is None."""
    if value is None:
        return absent(spec, absent_because)
    return Measurement(unit=spec.unit, point=value, n=1)


def estimated(spec: MetricSpec, estimate: Estimate) -> Measurement:
    """A point with its interval."""
    return Measurement(
        unit=spec.unit,
        point=estimate.point,
        ci_low=estimate.ci_low,
        ci_high=estimate.ci_high,
        confidence=estimate.confidence,
        n=estimate.n,
    )


def absent(spec: MetricSpec, because: str) -> Measurement:
    """The metric, not measured, with the reason."""
    return Measurement(unit=spec.unit, point=None, absent_because=because)
