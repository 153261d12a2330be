"""One metric per file: `spec` says what it is, `extract` reads it off the evidence."""

from __future__ import annotations

from typing import Protocol

from harness.core.types import Evidence, Measurement, MetricSpec
from harness.stats.summaries import measure


class Metric(Protocol):
    """The shape of a metric module."""

    spec: MetricSpec

    def extract(self, evidence: Evidence) -> Measurement:
        """The measurement; never raises: what cannot be had is absent with the reason."""


def per_launch(evidence: Evidence, field: str, spec: MetricSpec) -> Measurement:
    """A metric of which every launch holds one value in `field`; if none does, the reason that
    the launches give."""
    values = [getattr(launch, field) for launch in evidence.launches]
    return measure(
        [value for value in values if value is not None],
        spec.unit,
        absent_because=reason(evidence, field),
    )


def reason(evidence: Evidence, field: str) -> str:
    """Why the launches did not observe `field`, if they say so."""
    return next((x.absent[field] for x in evidence.launches if field in x.absent), "")


def exact(value: float | None, spec: MetricSpec, absent_because: str = "not known") -> Measurement:
    """A metric without sampling error."""
    if value is None:
        return Measurement(unit=spec.unit, point=None, absent_because=absent_because)
    return Measurement(unit=spec.unit, point=value, n=1)
