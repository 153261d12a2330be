"""The verdict as renderers show it. Only this module of the renderers reads the Verdict itself."""

from __future__ import annotations

from typing import NamedTuple

from harness.analysis.metric_specs import title
from harness.core.conclusions import (
    BudgetLine,
    BudgetOutcome,
    Decision,
    DeviceVerdict,
    Verdict,
)
from harness.core.text import listed
from harness.core.types import CaseReport, Report

OUTCOMES: tuple[BudgetOutcome, ...] = ("met", "undecided", "missed")
NOT_JUDGED = "not judged"  # the metric is not known, so the budget is neither kept nor missed

# What the signs beside names mean.
MEANING = {
    "recommended": "recommended",
    "candidate": "candidate, not shown to keep the accuracy",
    "runner-up": "runner-up",
    "pareto": "beaten by none",
}


class VerdictView(NamedTuple):
    """`recommended`, `candidate` and `runner_up` are named as rows are; a reason need not repeat
    its name. `headline` stands where the recommended one would; `front` has a sentence per
    device. `why_outcome` and `why_decision` are the reasons of the devices that decide about the
    run's: of several, `reason` is that of the most hopeful one."""

    headline: str
    decision: Decision
    recommended: str | None
    candidate: str | None
    reason: str
    runner_up: str | None
    runner_up_reason: str
    outcome: BudgetOutcome | None
    budgets: tuple[BudgetLine, ...]
    notes: tuple[str, ...]
    front: tuple[str, ...]
    why_outcome: str
    why_decision: str


def verdict_of(report: Report, labels: dict[str, str]) -> VerdictView | None:
    """The verdict with case ids replaced by their `labels`; None if there is none."""
    verdict = report.verdict
    if verdict is None:
        return None

    def named(name: str | None) -> str | None:
        return None if name is None else labels.get(name, name)

    fits_none = verdict.outcome == "missed" and not any(map(_judged_for_no_case, verdict.budgets))
    nothing = "No variant fits" if fits_none else "No recommendation"
    candidate = verdict.candidate if verdict.recommended is None else None
    if candidate is not None:
        nothing = f"Undecided; candidate {named(candidate)}"
    return VerdictView(
        headline=named(verdict.recommended) or nothing,
        decision=verdict.decision,
        recommended=named(verdict.recommended),
        candidate=named(candidate),
        reason=_without(verdict.recommended or candidate, verdict.reason),
        runner_up=named(verdict.runner_up),
        runner_up_reason=_without(verdict.runner_up, verdict.runner_up_reason),
        outcome=verdict.outcome,
        budgets=verdict.budgets,
        notes=verdict.notes,
        front=tuple(front_of(report, labels)),
        why_outcome=_why(verdict, [d for d in verdict.devices if d.outcome == verdict.outcome]),
        why_decision=_why(verdict, [d for d in verdict.devices if d.decision == verdict.decision]),
    )


def _why(verdict: Verdict, decisive: list[DeviceVerdict]) -> str:
    if len(verdict.devices) < 2 or not decisive:
        return verdict.reason
    return "; ".join(f"on {d.device}: {d.reason}" for d in decisive)


def front_of(report: Report, labels: dict[str, str]) -> list[str]:
    """Who is on the Pareto front, a sentence per device: `nothing beats a and b on size, latency,
    peak RSS and accuracy`."""
    verdict = report.verdict
    if verdict is None:
        return []
    devices = verdict.devices or (DeviceVerdict(device="", reason="", pareto=verdict.pareto),)
    said = []
    for own in devices:
        if not own.pareto:
            continue
        names = [labels.get(i, i) for i in own.pareto]
        counts = listed([title(metric) for metric in own.pareto_on] or ["every count together"])
        where = f"on {own.device}: " if len(devices) > 1 else ""
        said.append(f"{where}nothing beats {listed(_some(names))} on {counts}")
    return said


def _some(names: list[str], most: int = 6) -> list[str]:
    return names if len(names) <= most else [*names[:most], f"{len(names) - most} more"]


def _judged_for_no_case(budget: BudgetLine) -> bool:
    return bool(budget.outcomes) and budget.outcomes.keys() <= budget.unknown.keys()


def standing(budget: BudgetLine, case: str) -> str:
    """The outcome of the budget for the case, or NOT_JUDGED; '' if the budget does not know it."""
    return NOT_JUDGED if case in budget.unknown else budget.outcomes.get(case, "")


def standings(budget: BudgetLine) -> dict[str, list[str]]:
    """The ids of the cases by how they stand to the budget, as far as there are any."""
    found = {
        word: [i for i in budget.outcomes if standing(budget, i) == word]
        for word in (*OUTCOMES, NOT_JUDGED)
    }
    return {word: ids for word, ids in found.items() if ids}


def counted(budget: BudgetLine) -> str:
    """`size<=10MB: 2 met, 1 not judged (it failed)`."""
    said = ", ".join(f"{len(ids)} {word}" for word, ids in standings(budget).items())
    return f"{budget.text}: {said}{why_not_judged(budget)}"


def why_not_judged(budget: BudgetLine) -> str:
    """` (emulated core: instructions are not time)`; '' where all is known."""
    return f" ({'; '.join(dict.fromkeys(budget.unknown.values()))})" if budget.unknown else ""


def unknown(budget: BudgetLine, labels: dict[str, str]) -> list[str]:
    """Why it is not known of some cases: the reason, or of several `pruned, scratch: it failed`."""
    alike: dict[str, list[str]] = {}
    for case, why in budget.unknown.items():
        alike.setdefault(why, []).append(labels.get(case, case))
    if len(alike) == 1:
        return list(alike)
    return [f"{', '.join(_some(names))}: {why}" for why, names in alike.items()]


def on_front(report: Report, device: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The ids of the cases on the device that nothing beats, and on which metrics."""
    verdict = report.verdict
    if verdict is None:
        return (), ()
    own = next((d for d in verdict.devices if d.device == device), None)
    there = {c.case.id for c in report.cases if c.device == device}
    ids = own.pareto if own else verdict.pareto
    return tuple(i for i in ids if i in there), own.pareto_on if own else ()


def budgets_by_case(report: Report) -> dict[str, BudgetOutcome]:
    """Case id -> all its budgets together; empty without budgets. A budget that cannot be judged
    counts as undecided."""
    found: dict[str, BudgetOutcome] = {}
    worst_last: tuple[BudgetOutcome, ...] = ("met", "undecided", "missed")
    for budget in report.verdict.budgets if report.verdict else ():
        for case, outcome in budget.outcomes.items():
            own: BudgetOutcome = "undecided" if case in budget.unknown else outcome
            found[case] = max(found.get(case, "met"), own, key=worst_last.index)
    return found


def mark(report: Report, case: CaseReport) -> str:
    """How the verdict marks a case: recommended or candidate (on its device), runner-up, pareto, or
    ""."""
    verdict = report.verdict
    if verdict is None:
        return ""
    names = (case.variant, case.case.id)
    own = next((d for d in verdict.devices if d.device == case.device), None)
    if own is not None and own.recommended_case is not None:
        recommended = own.recommended_case == case.case.id
    else:
        recommended = (own or verdict).recommended in names
    if recommended:
        return "recommended"
    if own is not None and own.candidate_case == case.case.id:
        return "candidate"
    if (own or verdict).runner_up in names:
        return "runner-up"
    return "pareto" if case.case.id in (own or verdict).pareto else ""


def misses(report: Report, case: CaseReport) -> bool:
    """Whether the case certainly misses some budget."""
    budgets = report.verdict.budgets if report.verdict else ()
    return any(standing(budget, case.case.id) == "missed" for budget in budgets)


def _without(name: str | None, reason: str) -> str:
    return reason.removeprefix(f"{name}: ") if name else reason
