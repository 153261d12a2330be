"""One metric per file: `spec` says what it is, `extract` reads it off the evidence."""

from __future__ import annotations

from typing import Protocol

from harness.core.types import Evidence, Measurement, MetricSpec


class Metric(Protocol):
    """The shape of a metric module."""

    spec: MetricSpec

    def extract(self, evidence: Evidence) -> Measurement:
        """The measurement; never raises: what cannot be had is absent with the reason."""
