"""Baseline against candidate: the ratio, its interval and the outcome for every metric that both
have.

The rule is that of `stats/thresholds.py`. `comparable.py` makes sure that like is compared with
like, and `machine_changed.py` that a change of the machine between two runs is not blamed on the
model.

**Many comparisons.** One interval in forty is too high by chance, so forty comparisons are expected
to give one false alarm. So a regression also needs a one-sided p value against "at most 1 + t" that
survives Holm's correction (Scandinavian Journal of Statistics 6, 1979) over all metrics of all
cases of the comparison: whatever the truth, the gate as a whole raises a false alarm in at most 5 %
of comparisons. Improvements are corrected among themselves in the same way. *No change* is not
corrected: it is what a single interval says. Sizes and other exact metrics have no sampling error;
they are compared as they are, and do not count among the tests that are corrected.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from harness.analysis import comparable, lost_accuracy, machine_changed
from harness.analysis.losses import ACCURACY, Protected, parse_protect
from harness.analysis.lost_accuracy import LostAccuracy
from harness.core import units
from harness.core.text import count
from harness.core.types import (
    Case,
    CaseComparison,
    CaseReport,
    Comparison,
    Estimate,
    Evaluation,
    Finding,
    Measurement,
    MetricComparison,
    MetricSpec,
    Outcome,
    Report,
    Value,
)
from harness.stats.ratio import IntervalRatio, Ratio, from_intervals, paired, unpaired
from harness.stats.summaries import CONFIDENCE, MIN_LAUNCHES, observed
from harness.stats.thresholds import Gate, holm

DEFAULT_THRESHOLD = 0.05
_NOT_POSITIVE = "a value is not positive, so there is no ratio"


def compare(
    baseline: Report,
    candidate: Report,
    *,
    specs: Mapping[str, MetricSpec],
    max_regression: float | None = None,
    confidence: float = CONFIDENCE,
    variants: Mapping[str, str] | None = None,
    max_accuracy_loss: float | None = None,
    protect: str | None = None,
) -> Comparison:
    """Compare two reports case by case, on every metric of `specs` that both have.

    Cases match by variant, device, runtime, delegate and threads. `variants` maps a baseline's
    variant to the candidate's instead, and then only those are compared: that is how two variants
    of one report are compared. Rounds are paired if both sides are of the same run.
    `max_regression` is how much worse every metric may be; without it DEFAULT_THRESHOLD, or what
    the metric's spec says. Accuracy, or what `protect` names instead, may lose `max_accuracy_loss`
    (a share): the question is whether a larger loss is excluded. None means what the candidate's
    run was given.
    """
    if max_regression is not None and not 0 <= max_regression < math.inf:
        raise ValueError(f"max_regression must not be negative, but is {max_regression}")
    allowed = DEFAULT_THRESHOLD if max_regression is None else max_regression
    if max_regression is not None:
        specs = {n: msgspec.structs.replace(s, max_regression=None) for n, s in specs.items()}
    gate = Gate(threshold=allowed, confidence=confidence)
    margin = max_accuracy_loss or candidate.plan.max_accuracy_loss
    protected = parse_protect(protect or candidate.plan.protect)
    pairs, only_baseline, only_candidate = _match(baseline, candidate, variants)
    findings = [] if baseline is candidate else comparable.between_reports(baseline, candidate)
    for case in only_baseline:
        finding = comparable.without_partner(case, only_candidate)
        findings += [finding] if finding else []
    cases: list[CaseComparison] = []
    evidence: list[list[_Metric]] = []
    macs: list[tuple[int | None, int | None]] = []
    unlike = any(f.level == "invalid" for f in findings if f.code == "schema-differs")
    for before, after in [] if unlike else pairs:
        differs = comparable.between_cases(baseline, candidate, before, after)
        refused = any(f.level == "invalid" for f in differs)
        unusable = {before.status, after.status} & {"invalid", "failed"}
        same_run = baseline.run_id == candidate.run_id
        differs += [] if unusable else comparable.of_metrics(before, after, specs)
        metrics = [] if unusable else list(_metrics(before, after, specs, same_run))
        sides = _Sides(baseline, candidate, before, after)
        if ACCURACY in specs and not unusable:
            metrics, missing = _with_loss(metrics, sides, protected, margin)
            differs += missing
        evidence.append([m for m in metrics if not (refused and m.of_device)])
        macs.append((_macs(baseline, before.variant), _macs(candidate, after.variant)))
        cases.append(
            CaseComparison(baseline=before.case, candidate=after.case, findings=tuple(differs))
        )
    judged, tests = _judge(evidence, gate, margin)
    result = Comparison(
        baseline_run=baseline.run_id,
        candidate_run=candidate.run_id,
        max_regression=allowed,
        confidence=confidence,
        tests=tests,
        exact_devices=tuple(
            dict.fromkeys((*baseline.plan.exact_devices, *candidate.plan.exact_devices))
        ),
        cases=tuple(
            msgspec.structs.replace(case, metrics=tuple(_with_macs_note(m, *own) for m in metrics))
            for case, metrics, own in zip(cases, judged, macs, strict=True)
        ),
        only_baseline=tuple(only_baseline),
        only_candidate=tuple(only_candidate),
        findings=tuple(findings),
    )
    return machine_changed.withhold(result)


def _match(
    baseline: Report, candidate: Report, variants: Mapping[str, str] | None
) -> tuple[list[tuple[CaseReport, CaseReport]], list[Case], list[Case]]:
    """(matched pairs, cases of the baseline alone, cases of the candidate alone)."""
    after = {c.case: c for c in candidate.cases}
    pairs, alone = [], []
    for before in baseline.cases:
        if variants is not None and before.variant not in variants:
            continue
        name = (variants or {}).get(before.variant, before.variant)
        partner = after.pop(msgspec.structs.replace(before.case, variant=name), None)
        if partner is None:
            alone.append(before.case)
        else:
            pairs.append((before, partner))
    wanted = None if variants is None else set(variants.values())
    return pairs, alone, [case for case in after if wanted is None or case.variant in wanted]


class _Metric(Value, frozen=True):
    """What is known of one metric before it is judged."""

    spec: MetricSpec
    baseline: float
    candidate: float
    of_device: bool
    ratio: Ratio | IntervalRatio | None = None
    why_not: str = ""
    missing: int | None = None
    paired: bool = False
    lost: LostAccuracy | None = None

    @property
    def p_values(self) -> tuple[Callable[[Gate], float], Callable[[Gate], float]] | None:
        """One-sided p of "not larger" and of "not smaller", beyond what is allowed; None for a
        metric that is not tested."""
        lost, ratio = self.lost, self.ratio
        if lost is not None:
            return (lambda _: lost.p_gained), (lambda _: lost.p_lost)
        if ratio is not None:
            return (lambda gate: ratio.p_above(gate.above)), (
                lambda gate: ratio.p_below(gate.below)
            )
        return None


def _metrics(
    before: CaseReport, after: CaseReport, specs: Mapping[str, MetricSpec], same_run: bool
) -> Iterable[_Metric]:
    for name, spec in specs.items():
        old, new = before.metrics.get(name), after.metrics.get(name)
        if old is not None and new is not None and old.point is not None and new.point is not None:
            yield _metric(spec, (old, old.point, before), (new, new.point, after), same_run)


def _metric(
    spec: MetricSpec,
    before: tuple[Measurement, float, CaseReport],
    after: tuple[Measurement, float, CaseReport],
    same_run: bool,
) -> _Metric:
    (old, old_point, old_case), (new, new_point, new_case) = before, after
    series = [
        {k.index: v for k in case.launches if (v := observed(k, spec)) is not None}
        for case in (old_case, new_case)
    ]
    known = _Metric(spec=spec, baseline=old_point, candidate=new_point, of_device=any(series))
    replace = msgspec.structs.replace
    if spec.exact:
        return known
    if not all(series):
        estimates = old.estimate, new.estimate
        if estimates[0] is None or estimates[1] is None:
            return replace(known, why_not="there is no interval")
        ratio = from_intervals(estimates[0], estimates[1])
        return replace(known, ratio=ratio, why_not="" if ratio else "the intervals do not combine")
    rounds = [(series[0][k], series[1][k]) for k in sorted(series[0].keys() & series[1].keys())]
    if same_run and len(rounds) >= MIN_LAUNCHES:
        pairs = paired(rounds)
        return replace(known, ratio=pairs, paired=True, why_not="" if pairs else _NOT_POSITIVE)
    sides = zip(map(len, series), (len(old_case.launches), len(new_case.launches)), strict=True)
    fewest, made = min(sides)
    if fewest < MIN_LAUNCHES:
        return replace(known, **_too_few(fewest, made))
    apart = unpaired(list(series[0].values()), list(series[1].values()))
    return replace(known, ratio=apart, why_not="" if apart else _NOT_POSITIVE)


def _too_few(observed_by: int, made: int) -> dict[str, Any]:
    """What is known where so many of a side's launches are too few for an interval."""
    if observed_by < made:  # not every launch observes a phone's memory, so more may not either
        why = f"{observed_by} of {made} launches of one side observed it, too few for an interval"
        return {"why_not": why}
    launches = count(observed_by, "launch gives", "launches give")
    return {
        "why_not": f"{launches} no interval on one side; {MIN_LAUNCHES} do",
        "missing": MIN_LAUNCHES - observed_by,
    }


# --- judging ---------------------------------------------------------------------------------


def _judge(
    evidence: Sequence[Sequence[_Metric]], gate: Gate, margin: float
) -> tuple[list[list[MetricComparison]], int]:
    """Outcomes in the shape of `evidence`, and the number of tests corrected for."""
    tested = [m.p_values for case in evidence for m in case if m.p_values is not None]
    above = iter(holm([larger(gate) for larger, _ in tested]))
    below = iter(holm([smaller(gate) for _, smaller in tested]))
    judged = []
    for case in evidence:
        row = []
        for m in case:
            if m.lost is not None:
                p_values = (next(above), next(below))
                row.append(_of_accuracy(m, m.lost, gate, p_values, margin))
            elif m.ratio is None:
                row.append(_without_interval(m, gate))
            else:
                row.append(
                    _with_interval(m, m.ratio, gate, (next(above), next(below)), len(tested))
                )
        judged.append(row)
    return judged, len(tested)


class _Sides(NamedTuple):
    """One case of two reports."""

    baseline: Report
    candidate: Report
    before: CaseReport
    after: CaseReport

    @property
    def answers(self) -> tuple[Evaluation | None, Evaluation | None]:
        """What either side answered to the test images."""
        sides = ((self.baseline, self.before), (self.candidate, self.after))
        old, new = (
            next((e for e in report.evaluations if e.variant == case.variant), None)
            for report, case in sides
        )
        return old, new


def _with_loss(
    metrics: Sequence[_Metric], sides: _Sides, protected: Protected, margin: float
) -> tuple[list[_Metric], list[Finding]]:
    """The metrics, with what is protected in place of accuracy: it is judged by how much of it may
    be lost, not by a ratio. Also the reason if that was not possible."""
    old, new = sides.answers
    lost = lost_accuracy.paired(old, new, margin, protected=protected)
    estimates = (
        lost_accuracy.estimate_of(sides.before, old, protected),
        lost_accuracy.estimate_of(sides.after, new, protected),
    )
    lost = lost or lost_accuracy.unpaired(*estimates, margin)
    if lost is None or estimates[0] is None or estimates[1] is None:
        if protected.what == ACCURACY:
            return list(metrics), []  # for every metric, say what one side lacks
        return [m for m in metrics if m.spec.name != ACCURACY], _not_known(estimates, protected)
    spec = MetricSpec(name=protected.metric, unit="1", direction="higher", title=protected.said)
    judged = _Metric(
        spec=spec,
        baseline=estimates[0].point,
        candidate=estimates[1].point,
        of_device=False,
        lost=lost,
    )
    names = [m.spec.name for m in metrics]
    place = names.index(ACCURACY) if ACCURACY in names else len(names)
    return [*metrics[:place], judged, *metrics[place + 1 :]], []


def _not_known(
    estimates: tuple[Estimate | None, Estimate | None], protected: Protected
) -> list[Finding]:
    sides = [s for s, e in zip(("baseline", "candidate"), estimates, strict=True) if e is None]
    if len(sides) == 2:
        return []
    return [
        Finding(
            level="warning",
            code="metric-absent",
            message=f"{protected.said} was not compared: the {side} has none",
            fix=f"measure the {side} again, on images of the same classes",
        )
        for side in sides
    ]


def _of_accuracy(
    m: _Metric, lost: LostAccuracy, gate: Gate, p_values: tuple[float, float], margin: float
) -> MetricComparison:
    """The outcome for accuracy: a loss beyond the margin is excluded, shown, or neither."""
    error, note = 1 - gate.confidence, ""
    gained, worse = p_values
    if worse <= error:
        outcome: Outcome = "regression"
    elif lost.loss.bound <= margin:
        outcome = "improvement" if gained <= error else "no change"
    else:
        outcome = "inconclusive"
        note = (
            f"may have lost up to {units.points(lost.loss.bound, up=True)}, more than the "
            f"{units.points(margin)} allowed; more test images would decide"
        )
    return _row(
        m,
        msgspec.structs.replace(gate, threshold=margin),
        outcome,
        ratio=m.candidate / m.baseline if m.baseline else None,
        confidence=gate.confidence,
        n=lost.loss.n,
        paired=lost.paired,
        p_regression=worse,
        p_improvement=gained,
        loss=lost.loss,
        note=note,
    )


def _with_interval(
    m: _Metric,
    ratio: Ratio | IntervalRatio,
    gate: Gate,
    p_values: tuple[float, float],
    tests: int,
) -> MetricComparison:
    estimate = ratio.estimate(gate.confidence)
    side, note, more = gate.side(estimate), "", None
    error = 1 - gate.confidence
    if (side == "above" and p_values[0] > error) or (side == "below" and p_values[1] > error):
        side = "undecided"
        note = f"beyond the threshold by itself, but not after correction for {tests} comparisons"
    elif side == "undecided":
        note = f"the interval crosses the threshold of {units.percent(gate.threshold)}"
    if side == "undecided" and isinstance(ratio, Ratio):
        more = gate.more(estimate, tests)
        if more is not None and not gate.below <= estimate.point <= gate.above:
            more = max(more, ratio.least_n(error / tests) - estimate.n)
    worse, better = p_values if m.spec.direction == "lower" else p_values[::-1]
    return _row(
        m,
        gate,
        gate.named(side, m.spec.direction),
        ratio=estimate.point,
        ci_low=estimate.ci_low,
        ci_high=estimate.ci_high,
        confidence=estimate.confidence,
        n=estimate.n,
        paired=m.paired,
        p_regression=worse,
        p_improvement=better,
        more_launches=more,
        note=note,
    )


def _without_interval(m: _Metric, gate: Gate) -> MetricComparison:
    """Exact metrics are compared as they are; any other metric without an interval is
    inconclusive."""
    ratio = m.candidate / m.baseline if m.baseline > 0 and m.candidate > 0 else None
    if not m.spec.exact:
        return _row(m, gate, "inconclusive", ratio=ratio, more_launches=m.missing, note=m.why_not)
    if m.spec.max_regression is not None:
        gate = msgspec.structs.replace(gate, threshold=m.spec.max_regression)
    if ratio is None:
        same = m.candidate == m.baseline
        better = (m.candidate < m.baseline) == (m.spec.direction == "lower")
        outcome: Outcome = "no change" if same else "improvement" if better else "regression"
        return _row(m, gate, outcome, exact=True, note="" if same else _NOT_POSITIVE)
    exactly = Estimate(point=ratio, ci_low=ratio, ci_high=ratio, confidence=1.0, n=1)
    return _row(
        m,
        gate,
        gate.named(gate.side(exactly), m.spec.direction),
        ratio=ratio,
        ci_low=ratio,
        ci_high=ratio,
        confidence=1.0,
        n=1,
        exact=True,
    )


def _macs(report: Report, variant: str) -> int | None:
    return next((a.macs for a in report.artifacts if a.variant == variant), None)


def _with_macs_note(m: MetricComparison, before: int | None, after: int | None) -> MetricComparison:
    """The comparison with a note on a changed count: more instructions may mean more work or slower
    kernels, so the note says how the multiply-accumulates changed."""
    if m.metric != "instructions" or m.outcome == "no change" or not (m.ratio and before and after):
        return m
    work = (
        "the same multiply-accumulates: other kernels, or other work beside them"
        if before == after
        else f"{_amount(after / before)} multiply-accumulates"
    )
    return msgspec.structs.replace(m, note=f"{_amount(m.ratio)} instructions for {work}")


def _amount(ratio: float) -> str:
    """1.0093 -> '0.93 % more', 0.7 -> '30 % fewer', 15.2 -> '15x as many'."""
    if ratio >= 2:
        return f"{units.times(ratio)} as many"
    return f"{units.percent(abs(ratio - 1))} {'more' if ratio > 1 else 'fewer'}"


def _row(m: _Metric, gate: Gate, outcome: Outcome, **known: Any) -> MetricComparison:
    return MetricComparison(
        metric=m.spec.name,
        unit=m.spec.unit,
        direction=m.spec.direction,
        baseline=m.baseline,
        candidate=m.candidate,
        outcome=outcome,
        threshold=gate.threshold,
        **known,
    )
