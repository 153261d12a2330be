"""Time per iteration in steady state: the median of the launches' medians."""

from __future__ import annotations

from harness.analysis.metrics import reason
from harness.core.types import Evidence, Measurement, MetricSpec
from harness.stats.summaries import measure_iterations, measure_summaries

spec = MetricSpec(
    name="latency",
    unit="ns",
    direction="lower",
    title="latency",
    place=50,
    importance=3,
)


def extract(evidence: Evidence) -> Measurement:
    """Interval over launches; percentiles, mean and spread over iterations, as far as the runner
    tells them."""
    summaries = [x.latency_summary for x in evidence.launches if x.latency_summary is not None]
    if summaries and not any(x.latency_ns for x in evidence.launches):
        return measure_summaries(summaries, spec.unit)
    return measure_iterations(
        [launch.latency_ns for launch in evidence.launches],
        spec.unit,
        absent_because=reason(evidence, "latency_ns"),
    )
