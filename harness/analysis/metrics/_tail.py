"""The mean and the tail percentiles of latency, over the iterations of all launches."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from statistics import median

from harness.analysis.metrics import reason
from harness.core.types import Estimate, Evidence, LatencySummary, Measurement, MetricSpec
from harness.stats.bootstrap import bootstrap
from harness.stats.summaries import (
    MIN_LAUNCHES,
    Summary,
    measure_summaries,
    median_interval,
    summary_of_iterations,
)

# With fewer iterations a runner's p95, which is one of them, is the slowest and lies below p95.
LEAST_FOR_P95 = 20

_Groups = tuple[tuple[int, ...], ...]


def measured(evidence: Evidence, spec: MetricSpec, which: str) -> Measurement:
    """`which` is mean, p90, p95 or p99: every launch weighs the same, and the interval is the
    hierarchical bootstrap's, over launches and their iterations. Without enough iterations for the
    percentile it is absent, without enough launches its interval is."""
    groups = tuple(x.latency_ns for x in evidence.launches if x.latency_ns)
    if not groups:
        return _of_summaries(evidence, spec, which)
    summary, estimates = _statistics(groups)
    point = getattr(summary, which)
    if point is None:
        return _absent(spec, summary.absent[which])
    return _with(point, spec, estimates.get(which), len(groups))


def _of_summaries(evidence: Evidence, spec: MetricSpec, which: str) -> Measurement:
    """The same where the runner tells no single iterations. Of its summaries follows the mean, and
    the p95 of a typical launch: the median of the launches' own, which is not the p95 of all
    iterations, but nothing else can be known."""
    summaries = [x.latency_summary for x in evidence.launches if x.latency_summary is not None]
    if not summaries:
        return _absent(spec, reason(evidence, "latency_ns") or "no launch observed it")
    if which == "p95":
        return _of_their_own(summaries, spec)
    latency = measure_summaries(summaries, spec.unit)
    point: float | None = getattr(latency, which)
    if point is None:
        return _absent(spec, latency.absent.get(which, "the runner tells no mean"))
    means = tuple((s.mean_ns,) for s in summaries if s.mean_ns is not None)
    return _with(point, spec, bootstrap(means).get("mean"), len(summaries))


def _of_their_own(summaries: Sequence[LatencySummary], spec: MetricSpec) -> Measurement:
    own = [float(s.p95_ns) for s in summaries if s.p95_ns is not None]
    if len(own) < len(summaries):
        return _absent(spec, "the runner tells no p95")
    fewest = min(s.count for s in summaries)
    if fewest < LEAST_FOR_P95:
        return _absent(spec, f"a launch of {fewest} iterations has no p95; {LEAST_FOR_P95} have")
    return _with(float(median(own)), spec, median_interval(own), len(own))


def _with(point: float, spec: MetricSpec, interval: Estimate | None, launches: int) -> Measurement:
    if interval is None:
        count = f"{launches} launch" + ("es give" if launches > 1 else " gives")
        return Measurement(
            unit=spec.unit,
            point=point,
            n=launches,
            absent={"ci": f"{count} no interval; {MIN_LAUNCHES} do"},
        )
    return Measurement(
        unit=spec.unit,
        point=point,
        ci_low=interval.ci_low,
        ci_high=interval.ci_high,
        confidence=interval.confidence,
        n=interval.n,
    )


def _absent(spec: MetricSpec, because: str) -> Measurement:
    return Measurement(unit=spec.unit, point=None, absent_because=because)


@lru_cache(maxsize=4)  # four metrics ask for the same launches in turn
def _statistics(groups: _Groups) -> tuple[Summary, dict[str, Estimate]]:
    return summary_of_iterations(groups), bootstrap(groups)
