"""Time: of one iteration in steady state, of loading, of the first call."""

from __future__ import annotations

from harness.analysis.metrics import Metric, per_launch, reason
from harness.analysis.metrics._tail import tail
from harness.core.types import Cost, Evidence, Measurement, MetricSpec
from harness.stats.summaries import measure_iterations, measure_summaries

# Time per iteration in steady state: the median of the launches' medians.
LATENCY = MetricSpec(
    name="latency",
    unit="ns",
    direction="lower",
    title="latency",
    raw="latency_ns",
    cost=Cost(kind="latency", better="faster", worse="slower"),
    place=50,
    importance=3,
    headline=True,
    key_figure=True,
)

# Mean time per iteration, warm-up left out.
LATENCY_MEAN = MetricSpec(
    name="latency_mean",
    unit="ns",
    direction="lower",
    title="latency, mean",
    gated=False,
    statistic="mean",
    head="mean",
    place=60,
)

# The time that 90 of 100 iterations stay within.
LATENCY_P90 = MetricSpec(
    name="latency_p90",
    unit="ns",
    direction="lower",
    title="latency, p90",
    gated=False,
    statistic="p90",
    head="p90",
    place=70,
    importance=16,
)

# The time that 95 of 100 iterations stay within.
LATENCY_P95 = MetricSpec(
    name="latency_p95",
    unit="ns",
    direction="lower",
    title="latency, p95",
    gated=False,
    statistic="p95",
    head="p95",
    place=80,
    importance=17,
    key_figure=True,
)

# The time that 99 of 100 iterations stay within.
LATENCY_P99 = MetricSpec(
    name="latency_p99",
    unit="ns",
    direction="lower",
    title="latency, p99",
    gated=False,
    statistic="p99",
    head="p99",
    place=90,
    importance=23,
)

# Time to load the model and allocate its tensors, in a fresh process.
INIT = MetricSpec(
    name="init",
    unit="ns",
    direction="lower",
    title="init",
    raw="init_ns",
    place=30,
    importance=14,
)

# Time of the first call after init, which is slower than the rest because runtimes set up lazily.
FIRST_INFERENCE = MetricSpec(
    name="first_inference",
    unit="ns",
    direction="lower",
    title="first inference",
    raw="first_inference_ns",
    place=40,
    importance=18,
)

# The same two where the runtime finds its caches on disk, written by an earlier launch.
INIT_CACHED = MetricSpec(
    name="init_cached",
    unit="ns",
    direction="lower",
    title="init, cached",
    raw="init_cached_ns",
    optional=True,
    place=35,
    importance=15,
)
FIRST_INFERENCE_CACHED = MetricSpec(
    name="first_inference_cached",
    unit="ns",
    direction="lower",
    title="first inference, cached",
    raw="first_inference_cached_ns",
    optional=True,
    head="first inf., cached",
    place=45,
)


def _latency(evidence: Evidence) -> Measurement:
    """Latency with its interval over launches; percentiles, mean and standard deviation are over
    iterations, as far as the runner reports them."""
    summaries = [x.latency_summary for x in evidence.launches if x.latency_summary is not None]
    if summaries and not any(x.latency_ns for x in evidence.launches):
        return measure_summaries(summaries, LATENCY.unit)
    return measure_iterations(
        [launch.latency_ns for launch in evidence.launches],
        LATENCY.unit,
        absent_because=reason(evidence, LATENCY.raw),
    )


METRICS = (
    Metric(LATENCY, _latency),
    *map(tail, (LATENCY_MEAN, LATENCY_P90, LATENCY_P95, LATENCY_P99)),
    per_launch(INIT),
    per_launch(FIRST_INFERENCE),
    per_launch(INIT_CACHED),
    per_launch(FIRST_INFERENCE_CACHED),
)
