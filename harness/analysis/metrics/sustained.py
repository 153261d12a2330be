"""How latency holds out in a launch that goes on for minutes (--sustained)."""

from __future__ import annotations

from harness.analysis.metrics import Metric, reason
from harness.core.types import Evidence, Measurement, MetricSpec
from harness.stats.summaries import measure

# Latency in the first minute.
LATENCY_START = MetricSpec(
    name="latency_start",
    unit="ns",
    direction="lower",
    title="latency at the start",
    gated=False,
    optional=True,
    head="first minute",
    place=100,
)

# Latency in the last minute.
LATENCY_END = MetricSpec(
    name="latency_end",
    unit="ns",
    direction="lower",
    title="latency at the end",
    gated=False,
    optional=True,
    head="last minute",
    place=110,
)


def _of_minute(spec: MetricSpec, number: int) -> Metric:
    """The median latency of one minute (0 the first, -1 the last) of each sustained launch."""

    def extract(evidence: Evidence) -> Measurement:
        values = [float(x.minutes[number].median_ns) for x in evidence.launches if x.minutes]
        why = reason(evidence, "latency_ns") or "only --sustained measures it"
        return measure(values, spec.unit, absent_because=why)

    return Metric(spec, extract)


METRICS = (_of_minute(LATENCY_START, 0), _of_minute(LATENCY_END, -1))
