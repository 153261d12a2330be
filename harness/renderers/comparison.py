"""A comparison with a baseline as all renderers show it, regressions first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from harness.analysis.metric_specs import shown
from harness.core import units
from harness.core.base import Case
from harness.core.conclusions import CaseComparison, Comparison, MetricComparison, Outcome
from harness.core.text import count
from harness.core.types import Report
from harness.renderers.cases import emulated_among
from harness.renderers.doubts import Doubts, grouped
from harness.renderers.metrics import said as metric_said
from harness.renderers.metrics import title
from harness.renderers.words import some

ORDER: dict[Outcome, int] = {"regression": 0, "inconclusive": 1, "improvement": 2, "no change": 3}
SIGN: dict[Outcome, str] = {
    "regression": "✗",
    "inconclusive": "?",
    "improvement": "✓",
    "no change": "=",
}


class Line(NamedTuple):
    """One metric of one case. `ratio` is candidate over baseline, with its interval in `range`."""

    label: str
    metric: str
    baseline: str
    candidate: str
    ratio: str
    range: str
    outcome: Outcome
    note: str
    raw: MetricComparison

    @property
    def exact(self) -> dict[str, str]:
        """The same numbers with all their digits, for sorting."""
        numbers = {
            "baseline": self.raw.baseline,
            "candidate": self.raw.candidate,
            "ratio": self.raw.ratio,
            "ci_low": self.raw.ci_low,
        }
        return {k: "" if v is None else units.exact(v) for k, v in numbers.items()}


def lines_of(report: Report, labels: Mapping[str, str]) -> list[Line]:
    """All metrics compared: regressions first, then what is inconclusive, by ratio within."""
    comparison = report.comparison
    if comparison is None:
        return []
    named = _names(report, comparison, labels)
    lines = [line(named[id(case)], m) for case in comparison.cases for m in case.metrics]
    return sorted(lines, key=lambda x: (ORDER[x.outcome], -_distance(x.raw), x.label, x.metric))


def _names(report: Report, comparison: Comparison, labels: Mapping[str, str]) -> dict[int, str]:
    """A name per compared case; both sides' if they differ, as variants of one run do."""

    def label(case: CaseComparison) -> str:
        candidate = labels.get(case.candidate.id, units.name(case.candidate.variant))
        candidate += emulated_among(report, [case.candidate.device])
        if case.baseline.variant == case.candidate.variant:
            return candidate
        return f"{candidate} against {units.name(case.baseline.variant)}"

    return {id(case): label(case) for case in comparison.cases}


def line(label: str, m: MetricComparison) -> Line:
    """One metric compared, in words."""
    interval = "exact" if m.exact else ""
    if not m.exact and m.ci_low is not None and m.ci_high is not None:
        interval = f"{m.ci_low:.3f} to {m.ci_high:.3f}"
    if m.loss is not None:
        interval = f"may lose {units.points(max(0.0, m.loss.bound), up=True)}"
    note = m.note
    if m.more_launches:
        launches = count(m.more_launches, "more launch", "more launches")
        more = f"about {launches} of each would decide"
        note = f"{note}; {more}" if note else more
    return Line(
        label=label,
        metric=title(m.metric),
        baseline=shown(m.metric, m.baseline, m.unit),
        candidate=shown(m.metric, m.candidate, m.unit),
        ratio=_ratio(m),
        range=interval,
        outcome=m.outcome,
        note=units.printable(note),
        raw=m,
    )


def _ratio(m: MetricComparison) -> str:
    """Three decimals, and five where one thousandth is already beyond the threshold."""
    if m.ratio is None:
        return ""
    fine = m.exact and m.threshold is not None and m.threshold < 0.01
    return f"{m.ratio:.5f}" if fine else f"{m.ratio:.3f}"


def _distance(m: MetricComparison) -> float:
    return abs(m.ratio - 1) if m.ratio is not None else 0.0


def summary(comparison: Comparison, *, signs: bool = False) -> str:
    """`1 regression, 12 no change against run X (5 % allowed, 0.1 % for instructions)`; with
    `signs` it explains the signs of the table below."""
    said = []
    for outcome, sign in SIGN.items():
        n = len(comparison.with_outcome(outcome))
        counted = outcome in ("regression", "improvement")
        text = count(n, outcome) if counted else f"{n} {outcome}"
        said += [f"{sign} {text}" if signs else text] if n else []
    most, *others = allowed(comparison)
    shares = ", ".join([f"{most} allowed", *others])
    against = f"against {units.printable(comparison.baseline_run)} ({shares})"
    return f"{', '.join(said) or 'nothing compared'} {against}"


def threshold(comparison: Comparison, m: MetricComparison) -> float:
    """How much worse this metric may be; old reports have one threshold for all."""
    return comparison.max_regression if m.threshold is None else m.threshold


def allowed(comparison: Comparison) -> list[str]:
    """`5 %`, `0.1 % for instructions`: what most metrics may be worse, and the others."""
    found = [m for c in comparison.cases for m in c.metrics]
    lost = {metric_said(m.metric): threshold(comparison, m) for m in found if m.loss is not None}
    of_metric = {m.metric: threshold(comparison, m) for m in found if m.loss is None}
    own: dict[float, list[str]] = {}
    for name, share in of_metric.items():
        own.setdefault(share, []).append(title(name))
    return (
        [units.percent(comparison.max_regression)]
        + [
            f"{units.percent(share)} for {' and '.join(names)}"
            for share, names in sorted(own.items())
            if share != comparison.max_regression
        ]
        + [f"{units.points(share)} of {what}" for what, share in lost.items()]
    )


def doubts_of(report: Report, labels: Mapping[str, str]) -> list[Doubts]:
    """The findings about the comparison: objections to it, and what a reader should know."""
    comparison = report.comparison
    if comparison is None:
        return []
    named = _names(report, comparison, labels)
    found = [("", f) for f in comparison.findings]
    found += [(named[id(case)], f) for case in comparison.cases for f in case.findings]
    return grouped(found)


def unmatched(comparison: Comparison) -> list[str]:
    """A sentence for the cases that only one side has."""

    def said(cases: tuple[Case, ...], side: str) -> list[str]:
        names = [units.name(c.variant) for c in cases]
        return [f"only in the {side}: {some(list(dict.fromkeys(names)))}"] if names else []

    only = said(comparison.only_baseline, "baseline")
    return only + said(comparison.only_candidate, "candidate")
