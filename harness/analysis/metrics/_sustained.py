"""What the metrics of a sustained launch share."""

from __future__ import annotations

from harness.analysis.metrics import reason
from harness.core.types import Evidence, Measurement, MetricSpec
from harness.stats.summaries import measure


def of_minute(evidence: Evidence, number: int, spec: MetricSpec) -> Measurement:
    """The median latency of one minute (0 the first, -1 the last) of each sustained launch."""
    values = [float(x.minutes[number].median_ns) for x in evidence.launches if x.minutes]
    why = reason(evidence, "latency_ns") or "only --sustained tells it"
    return measure(values, spec.unit, absent_because=why)
