"""A gate that asks twice: what it would say no to is measured again, apart, and it says no only if
both measurements do.

The second measurement can only take alarms back. So false alarms are at most as frequent as of the
gate alone, whose corrections hold for the noise between launches; what moves a whole session (a
busy machine, a warm phone) is what the second one is for. The price is that a change at the edge of
what one session can show is more often missed; `benchmarks/confirm.py` has both rates.
"""

from __future__ import annotations

import msgspec

from harness.analysis.metric_specs import specs
from harness.core import units
from harness.core.text import count
from harness.core.types import Case, Comparison, Finding, MetricComparison, Report


def doubtful(report: Report) -> tuple[Case, ...]:
    """The cases that the gate says no to because of numbers with noise: another measurement may
    come out otherwise. A size, a count or lost accuracy would be the same again."""
    found: dict[Case, None] = {}
    if report.comparison is not None:
        for case in report.comparison.cases:
            if any(_regressed(metric) for metric in case.metrics):
                found[case.candidate] = None
    verdict = report.verdict
    if verdict is not None and verdict.outcome == "missed":
        known = {case.case.id: case for case in report.cases}
        noisy = [line for line in verdict.budgets if _noisy(line.metric)]
        for line in noisy:
            for id_, outcome in line.outcomes.items():
                if outcome == "missed" and id_ not in line.unknown and id_ in known:
                    found[known[id_].case] = None
    return tuple(found)


def _regressed(metric: MetricComparison) -> bool:
    return metric.outcome == "regression" and not metric.exact and metric.loss is None


def _noisy(metric: str) -> bool:
    spec = specs().get(metric)
    return spec is not None and not spec.exact and spec.quantity in ("time", "memory", "energy")


def confirmed(report: Report, again: Report, compared: Comparison | None) -> Report:
    """The report after its doubtful cases were measured `again`; `compared` is the comparison of
    that run with the same baseline. A regression or a missed budget that the second run does not
    show becomes inconclusive or undecided, and a finding says what was asked twice."""
    comparison, verdict = report.comparison, report.verdict
    taken_back: list[str] = []
    if comparison is not None and compared is not None:
        second = {(c.candidate, m.metric): m for c in compared.cases for m in c.metrics}
        cases = []
        for case in comparison.cases:
            metrics = []
            for metric in case.metrics:
                other = second.get((case.candidate, metric.metric))
                if _regressed(metric) and other is not None and other.outcome != "regression":
                    taken_back.append(f"{metric.metric} of {units.name(case.candidate.variant)}")
                    metrics.append(_not_confirmed(metric, other, again.run_id))
                else:
                    metrics.append(metric)
            cases.append(msgspec.structs.replace(case, metrics=tuple(metrics)))
        comparison = msgspec.structs.replace(comparison, cases=tuple(cases))
    if verdict is not None and verdict.outcome == "missed" and again.verdict is not None:
        kept = again.verdict.outcome
        if kept != "missed" and kept is not None:
            taken_back.append("the missed budget")
            verdict = msgspec.structs.replace(verdict, outcome="undecided")
    asked = count(len(doubtful(report)), "case")
    said = f"{asked} measured again in run {again.run_id}"
    if taken_back:
        finding = Finding(
            level="warning",
            code="not-confirmed",
            message=f"{said}, which does not confirm {', '.join(taken_back)}",
            fix="measure longer, or look for what else the machine was doing",
        )
    else:
        finding = Finding(
            level="info", code="confirmed", message=f"{said}, which confirms what the gate says"
        )
    return msgspec.structs.replace(
        report, comparison=comparison, verdict=verdict, findings=(*report.findings, finding)
    )


def _not_confirmed(metric: MetricComparison, other: MetricComparison, run: str) -> MetricComparison:
    ratio = "" if other.ratio is None else f", where it is {units.ratio(other.ratio)}x"
    note = f"a regression here, not confirmed in run {run}{ratio}"
    return msgspec.structs.replace(metric, outcome="inconclusive", note=note)
