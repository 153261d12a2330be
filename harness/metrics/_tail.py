"""The mean and the tail percentiles of latency, over the iterations of all launches."""

from __future__ import annotations

from functools import lru_cache

from harness.core.bootstrap import bootstrap
from harness.core.stats import MIN_LAUNCHES, Summary, measure_summaries, summary_of_iterations
from harness.core.types import Estimate, Evidence, Measurement, MetricSpec

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
        return Measurement(unit=spec.unit, point=None, absent_because=summary.absent[which])
    estimate = estimates.get(which)
    if estimate is None:
        count = f"{len(groups)} launch" + ("es give" if len(groups) > 1 else " gives")
        return Measurement(
            unit=spec.unit,
            point=point,
            n=len(groups),
            absent={"ci": f"{count} no interval; {MIN_LAUNCHES} do"},
        )
    return Measurement(
        unit=spec.unit,
        point=point,
        ci_low=estimate.ci_low,
        ci_high=estimate.ci_high,
        confidence=estimate.confidence,
        n=estimate.n,
    )


def _of_summaries(evidence: Evidence, spec: MetricSpec, which: str) -> Measurement:
    """The same where the runner tells no single iterations: what follows from its summaries."""
    summaries = [x.latency_summary for x in evidence.launches if x.latency_summary is not None]
    if not summaries:
        return Measurement(unit=spec.unit, point=None, absent_because="no launch observed it")
    latency = measure_summaries(summaries, spec.unit)
    why = latency.absent.get(which, "the runner tells no mean")
    point: float | None = getattr(latency, which)
    if point is None:
        return Measurement(unit=spec.unit, point=None, absent_because=why)
    absent = {"ci": "the runner tells no single iterations"}
    return Measurement(unit=spec.unit, point=point, n=len(summaries), absent=absent)


@lru_cache(maxsize=4)  # four metrics ask for the same launches in turn
def _statistics(groups: _Groups) -> tuple[Summary, dict[str, Estimate]]:
    return summary_of_iterations(groups), bootstrap(groups)
