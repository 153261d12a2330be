"""How much slower or faster a model is inside an app than in the shell, on the same phone."""

from __future__ import annotations

from harness.analysis.metrics import Metric, absent, estimated
from harness.core.types import Evidence, Measurement, MetricSpec
from harness.stats.ratio import paired
from harness.stats.summaries import MIN_LAUNCHES, launch_median

SHELL, APP = "benchmark_model", "benchmark_app"

# Latency in the benchmark app over latency in the shell.
APP_OVER_SHELL = MetricSpec(
    name="app_over_shell",
    unit="1",
    direction="lower",
    title="latency in an app / in the shell",
    gated=False,
    optional=True,
    head="app / shell",
    place=56,
    importance=4,
    headline=True,
)


def _ratio(evidence: Evidence) -> Measurement:
    """The typical ratio of a round, paired: both launches are made in random order in each."""
    if evidence.case.runtime != APP:
        return absent(APP_OVER_SHELL, "only a case of the benchmark app has it")
    same = (p for p in evidence.peers if _beside(p) == _beside(evidence))
    shell = next((p for p in same if p.case.runtime == SHELL), None)
    times = {x.index: launch_median(x) for x in shell.launches} if shell else {}
    rounds = [
        (of_shell, of_app)
        for x in evidence.launches
        if (of_shell := times.get(x.index)) and (of_app := launch_median(x))
    ]
    ratio = paired(rounds)
    if ratio is None:
        return absent(
            APP_OVER_SHELL,
            f"{len(rounds)} rounds have both launches, and it takes {MIN_LAUNCHES}",
        )
    return estimated(APP_OVER_SHELL, ratio.estimate())


def _beside(evidence: Evidence) -> tuple[object, ...]:
    """The same for both sides of a comparison."""
    case = evidence.case
    return (case.variant, case.device, case.delegate, case.threads, case.affinity)


METRICS = (Metric(APP_OVER_SHELL, _ratio),)
