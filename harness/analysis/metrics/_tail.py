"""The mean and the tail percentiles of latency, over the iterations of all launches."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from statistics import median

import msgspec

from harness.analysis.metrics import Metric, absent, estimated, reason
from harness.core.types import Estimate, Evidence, LatencySummary, Measurement, MetricSpec
from harness.stats.bootstrap import bootstrap
from harness.stats.summaries import (
    MIN_LAUNCHES,
    Summary,
    measure_summaries,
    median_interval,
    summary_of_iterations,
)

# A runner's p95 is one of its iterations: with fewer it is the slowest, below the true p95.
LEAST_FOR_P95 = 20

_Groups = tuple[tuple[int, ...], ...]


def tail(spec: MetricSpec) -> Metric:
    """The metric of the statistic `spec.statistic`: mean, p90, p95 or p99."""
    return Metric(spec, lambda evidence: _measured(evidence, spec, spec.statistic))


def _measured(evidence: Evidence, spec: MetricSpec, which: str) -> Measurement:
    """The statistic over all iterations, each launch with the same weight; its interval comes from
    the hierarchical bootstrap over launches and their iterations. With too few iterations the
    percentile is absent; with too few launches, its interval."""
    groups = tuple(x.latency_ns for x in evidence.launches if x.latency_ns)
    if not groups:
        return _of_summaries(evidence, spec, which)
    summary, estimates = _statistics(groups)
    point = getattr(summary, which)
    if point is None:
        return absent(spec, summary.absent[which])
    return _with(point, spec, estimates.get(which), len(groups))


def _of_summaries(evidence: Evidence, spec: MetricSpec, which: str) -> Measurement:
    """The same if the runner reports summaries instead of single iterations. The mean follows from
    them. The p95 is that of a typical launch: the median of the launches' own p95. The p95 of all
    iterations cannot be known."""
    summaries = [x.latency_summary for x in evidence.launches if x.latency_summary is not None]
    if not summaries:
        return absent(spec, reason(evidence, "latency_ns") or "no launch observed it")
    if which == "p95":
        return _of_their_own(summaries, spec)
    latency = measure_summaries(summaries, spec.unit)
    point: float | None = getattr(latency, which)
    if point is None:
        return absent(spec, latency.absent.get(which, "the runner reports no mean"))
    means = tuple((s.mean_ns,) for s in summaries if s.mean_ns is not None)
    return _with(point, spec, bootstrap(means).get("mean"), len(summaries))


def _of_their_own(summaries: Sequence[LatencySummary], spec: MetricSpec) -> Measurement:
    own = [float(s.p95_ns) for s in summaries if s.p95_ns is not None]
    if len(own) < len(summaries):
        return absent(spec, "the runner reports no p95")
    fewest = min(s.count for s in summaries)
    if fewest < LEAST_FOR_P95:
        return absent(
            spec,
            f"a launch of {fewest} iterations is too short for a p95; {LEAST_FOR_P95} are enough",
        )
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
    return estimated(spec, msgspec.structs.replace(interval, point=point))


@lru_cache(maxsize=4)  # four metrics read the same launches in turn
def _statistics(groups: _Groups) -> tuple[Summary, dict[str, Estimate]]:
    return summary_of_iterations(groups), bootstrap(groups)
