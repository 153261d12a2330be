"""Inferences that take longer than the cadence that was asked for."""

from __future__ import annotations

from statistics import median

from harness.core import units
from harness.core.types import Evidence, Finding


def findings(evidence: Evidence) -> list[Finding]:
    """The runner begins an inference once per cadence and never skips one: if inferences take
    longer than that, they run back to back. An occasional slow one only delays the next.

    Source: tflite/tools/benchmark/benchmark_model.cc, BenchmarkModel::Run (run_frequency).
    """
    wanted = evidence.plan.timing.cadence_ns
    summaries = [x.latency_summary for x in evidence.launches if x.latency_summary]
    if not wanted or not summaries:
        return []
    typical = median(s.mean_ns or s.median_ns for s in summaries)
    if typical > wanted:
        return [_not_kept(typical, wanted)]
    tails = [s.p95_ns for s in summaries if s.p95_ns is not None]
    late = sum(tail > wanted for tail in tails)
    return [_late_now_and_then(late, len(summaries), wanted)] if late else []


def _not_kept(typical: float, wanted: int) -> Finding:
    return Finding(
        level="serious",
        code="cadence-not-kept",
        message=f"an inference takes {units.duration(typical)}, so none can begin every "
        f"{units.duration(wanted)}: they ran back to back",
        fix="ask for a longer --cadence, or leave it out",
    )


def _late_now_and_then(late: int, launches: int, wanted: int) -> Finding:
    return Finding(
        level="warning",
        code="cadence-not-kept",
        message=f"in {late} of {launches} launches, one inference in twenty or more took longer "
        f"than the {units.duration(wanted)} of the cadence, so the next one began late",
        fix="ask for a longer --cadence, or expect late answers in the app",
    )
