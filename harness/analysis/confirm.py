"""A gate that measures again: a case that would fail is measured in further sessions, and fails
only if the difference is larger than sessions differ by chance.

The gate's own corrections cover the noise between launches. What affects a whole session (a busy
machine, a warm phone) affects all of its launches, so only several sessions show how far sessions
differ. A case that failed is measured again, in sessions of its own, until

- a session does not show it: then the doubt is withdrawn;
- there are three or five sessions that all show it, and a t test on their spread says that a
  typical session would be beyond the limit too. The baseline is a single session, and how far
  chance moved it cannot be seen, so it counts with the same spread (`stats/sessions.py`).

The tests of the two looks share 5 %, which is divided by the number of cases compared, so the gate
as a whole raises a false alarm in at most 5 % of its decisions, however far sessions differ. (The
metrics of one case share its session and are not corrected for.) The price is that a change at the
edge of what sessions can show is missed more often; `benchmarks/confirm.py` has both rates.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from harness.analysis.metric_specs import specs
from harness.core import units
from harness.core.text import count
from harness.core.types import (
    BudgetLine,
    BudgetOutcome,
    Case,
    CaseReport,
    Finding,
    MetricComparison,
    Report,
    Verdict,
)
from harness.stats.sessions import p_of_chance

# Number of sessions -> the p value that is small enough. The first look is for clear cases.
LOOKS = {3: 0.01, 5: 0.04}


class Doubt(NamedTuple):
    """One number with noise for which a gate says no: against a baseline, or against a `budget`."""

    case: Case
    metric: str
    budget: str = ""

    @property
    def name(self) -> str:
        """The beginning of a sentence: `latency of scratch is`."""
        return f"{self.budget or self.metric} of {units.name(self.case.variant)} is"


class _Seen(NamedTuple):
    """A doubt in one session: whether the gate says no to it there, the value over the baseline's
    or the limit, and the logarithm of how far that is beyond what is allowed."""

    failed: bool
    ratio: float
    beyond: float = 0.0


class _Answer(NamedTuple):
    """`no` is None as long as more sessions are needed."""

    no: bool | None
    why: str


def doubtful(sessions: Sequence[Report]) -> tuple[Case, ...]:
    """The cases to measure in another session: those that fail in the first one because of a noisy
    number, and that the other sessions have not decided yet. A size, a count or lost accuracy would
    be the same again."""
    open_ = (d.case for d, answer in _answers(sessions).items() if answer.no is None)
    return tuple(dict.fromkeys(open_))


def confirmed(sessions: Sequence[Report]) -> Report:
    """The first session's report after its doubtful cases were measured again; each session has
    been compared with the same baseline. A regression or a missed budget that the others do not
    confirm becomes inconclusive or undecided, and findings say why the gate says yes or no."""
    first = sessions[0]
    answers = _answers(sessions)
    taken_back = {d: answer.why for d, answer in answers.items() if not answer.no}
    kept = {d: answer.why for d, answer in answers.items() if answer.no}
    comparison, verdict = first.comparison, first.verdict
    if comparison is not None:
        cases = tuple(
            msgspec.structs.replace(
                case,
                metrics=tuple(
                    _inconclusive(m, taken_back.get(Doubt(case.candidate, m.metric)))
                    for m in case.metrics
                ),
            )
            for case in comparison.cases
        )
        comparison = msgspec.structs.replace(comparison, cases=cases)
    if verdict is not None and any(doubt.budget for doubt in taken_back):
        verdict = _reopened(first, verdict, taken_back)
    return msgspec.structs.replace(
        first,
        comparison=comparison,
        verdict=verdict,
        findings=(*first.findings, *_findings(sessions, kept, taken_back)),
    )


def _findings(
    sessions: Sequence[Report], kept: dict[Doubt, str], taken_back: dict[Doubt, str]
) -> list[Finding]:
    asked = len({doubt.case for doubt in (*kept, *taken_back)})
    runs = ", ".join(report.run_id for report in sessions[1:])
    said = f"{count(asked, 'case')} measured again in {runs}"
    found = []
    if kept:
        found.append(Finding(level="info", code="confirmed", message=f"{said}: {_told(kept)}"))
    if taken_back:
        found.append(
            Finding(
                level="warning",
                code="not-confirmed",
                message=f"{said}: {_told(taken_back)}",
                fix="measure both sides in one run, where what slows a session slows both: "
                "python -m harness ab",
            )
        )
    return found


def _told(answers: dict[Doubt, str]) -> str:
    return "; ".join(f"{doubt.name} {why}" for doubt, why in answers.items())


# --- what is measured again, and what the sessions show ---------------------------------------


def _answers(sessions: Sequence[Report]) -> dict[Doubt, _Answer]:
    """Each doubt of the first session with what all of them say about it."""
    first = sessions[0]
    cases = lines = 0
    if first.comparison is not None:
        cases = sum(any(map(_noisy, case.metrics)) for case in first.comparison.cases)
    if first.verdict is not None:
        lines = sum(_of_device(line.metric) for line in first.verdict.budgets)
    missed = first.verdict is not None and first.verdict.outcome == "missed"
    seen = [_seen(report) for report in sessions]
    return {
        doubt: _answer(
            [session.get(doubt) for session in seen],
            share=1 / (lines if doubt.budget else cases),
            one_baseline=not doubt.budget,
        )
        for doubt, one in seen[0].items()
        if one.failed and (missed or not doubt.budget)
    }


def _answer(sessions: Sequence[_Seen | None], *, share: float, one_baseline: bool) -> _Answer:
    """`share` is the part of the error rate that this doubt may use."""
    known: list[_Seen] = []
    of = "the baseline" if one_baseline else "the limit"

    def told(why: str) -> str:
        ratios = ", ".join(f"{units.ratio(seen.ratio)}x" for seen in known)
        return f"{ratios} {of} in {count(len(known), 'session')}: {why}"

    for seen in sessions:
        if seen is None:
            return _Answer(True, told("it could not be measured again"))
        known.append(seen)
        if not seen.failed:
            return _Answer(False, told("the last one does not show it"))
        allowed = LOOKS.get(len(known), 0.0) * share
        if allowed == 0:
            continue
        p = p_of_chance([s.beyond for s in known], one_baseline=one_baseline)
        chance = f"chance alone would do that with a probability of {_small(p)}"
        if p <= allowed:
            return _Answer(True, told(f"{chance}, less than the {_small(allowed)} allowed"))
        if len(known) == max(LOOKS):
            why = f"sessions differ so much that {chance}, more than the {_small(allowed)} allowed"
            return _Answer(False, told(why))
    return _Answer(None, "")


def _small(share: float) -> str:
    return units.percent(share) if share >= 1e-4 else "less than 0.01 %"


def _seen(report: Report) -> dict[Doubt, _Seen]:
    """Every number with noise that a gate judges in one session."""
    found = {}
    for pair in () if report.comparison is None else report.comparison.cases:
        for metric in filter(_noisy, pair.metrics):
            found[Doubt(pair.candidate, metric.metric)] = _of_metric(metric)
    if report.verdict is not None:
        for line in report.verdict.budgets:
            for case, outcome in _judged(report, line):
                point = case.metrics[line.metric].point or 0.0
                ratio = point / line.limit
                beyond = math.log(ratio) if ratio > 0 else 0.0
                higher = specs()[line.metric].direction == "higher"
                found[Doubt(case.case, line.metric, line.text)] = _Seen(
                    outcome == "missed", ratio, -beyond if higher else beyond
                )
    return found


def _of_metric(metric: MetricComparison) -> _Seen:
    ratio = metric.ratio or 0.0
    if metric.outcome != "regression" or ratio <= 0:
        return _Seen(False, ratio)
    worse = math.log(ratio) if metric.direction == "lower" else -math.log(ratio)
    return _Seen(True, ratio, worse - math.log(1 + (metric.threshold or 0.0)))


def _judged(report: Report, line: BudgetLine) -> Iterator[tuple[CaseReport, BudgetOutcome]]:
    """The cases whose number decided about the line; none if that has no noise."""
    if _of_device(line.metric):
        for case in report.cases:
            outcome = line.outcomes.get(case.case.id)
            if outcome is not None and case.case.id not in line.unknown:
                yield case, outcome


def _noisy(metric: MetricComparison) -> bool:
    return not metric.exact and metric.loss is None


def _of_device(metric: str) -> bool:
    spec = specs().get(metric)
    return spec is not None and not spec.exact and spec.quantity in ("time", "memory", "energy")


# --- what becomes of the report --------------------------------------------------------------


def _inconclusive(metric: MetricComparison, why: str | None) -> MetricComparison:
    if why is None:
        return metric
    note = f"a regression here, not confirmed: it is {why}"
    return msgspec.structs.replace(metric, outcome="inconclusive", note=note)


def _reopened(report: Report, verdict: Verdict, taken_back: Mapping[Doubt, str]) -> Verdict:
    """The verdict with the budgets undecided that were not missed again, and the devices on which
    some case may then keep every budget."""
    may_keep = _may_keep(report, verdict, taken_back)
    back = {(doubt.case.id, doubt.budget) for doubt in taken_back}
    lines = tuple(
        msgspec.structs.replace(
            line,
            outcomes={
                case: "undecided" if (case, line.text) in back else outcome
                for case, outcome in line.outcomes.items()
            },
        )
        for line in verdict.budgets
    )
    reopened = {
        device.device: msgspec.structs.replace(
            device,
            outcome="undecided",
            reason=f"not confirmed by further sessions: {device.reason}",
        )
        for device in verdict.devices
        if device.outcome == "missed" and may_keep[device.device]
    }
    devices = tuple(reopened.get(device.device, device) for device in verdict.devices)
    where = "on {}: " if len(devices) > 1 else ""
    said = {
        where.format(old.device) + old.reason: where.format(new.device) + new.reason
        for old, new in zip(verdict.devices, devices, strict=True)
    }
    return msgspec.structs.replace(
        verdict,
        outcome="undecided" if all(may_keep.values()) else verdict.outcome,
        reason=said.get(verdict.reason, verdict.reason),
        notes=tuple(said.get(note, note) for note in verdict.notes),
        budgets=lines,
        devices=devices,
    )


def _may_keep(report: Report, verdict: Verdict, taken_back: Mapping[Doubt, str]) -> dict[str, bool]:
    """For each device whether some case may keep every budget after all."""
    devices: dict[str, bool] = {}
    for case in report.cases:
        missed = [line for line in verdict.budgets if line.outcomes.get(case.case.id) == "missed"]
        may = case.status not in ("failed", "invalid") and all(
            Doubt(case.case, line.metric, line.text) in taken_back for line in missed
        )
        devices[case.case.device] = devices.get(case.case.device, False) or may
    return devices
