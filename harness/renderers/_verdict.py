"""The verdict as renderers show it. Nothing else in the renderers knows its shape."""

from __future__ import annotations

from typing import NamedTuple

from harness.core.conclusions import BudgetLine, BudgetOutcome
from harness.core.types import CaseReport, Report

OUTCOMES: tuple[BudgetOutcome, ...] = ("met", "undecided", "missed")


class VerdictView(NamedTuple):
    """`recommended` and `runner_up` are named as rows are; a reason need not repeat its name.
    `headline` stands where the recommended one would."""

    headline: str
    recommended: str | None
    reason: str
    runner_up: str | None
    runner_up_reason: str
    outcome: BudgetOutcome | None
    budgets: tuple[BudgetLine, ...]
    notes: tuple[str, ...]


def verdict_of(report: Report, labels: dict[str, str]) -> VerdictView | None:
    """The verdict with case ids replaced by their `labels`; None if there is none."""
    verdict = report.verdict
    if verdict is None:
        return None

    def named(name: str | None) -> str | None:
        return None if name is None else labels.get(name, name)

    nothing = "No variant fits" if verdict.outcome == "missed" else "No recommendation"
    return VerdictView(
        headline=named(verdict.recommended) or nothing,
        recommended=named(verdict.recommended),
        reason=_without(verdict.recommended, verdict.reason),
        runner_up=named(verdict.runner_up),
        runner_up_reason=_without(verdict.runner_up, verdict.runner_up_reason),
        outcome=verdict.outcome,
        budgets=verdict.budgets,
        notes=verdict.notes,
    )


def unknown(budget: BudgetLine, labels: dict[str, str]) -> list[str]:
    """Why it is not known of some cases: `pruned: it failed`."""
    return [f"{labels.get(i, i)}: {why}" for i, why in budget.unknown.items()]


class Front(NamedTuple):
    """What one device's verdict says of its cases, by their ids: those that nothing `beats`,
    and those that keep every budget (None without budgets)."""

    device: str
    beats: tuple[str, ...]
    feasible: tuple[str, ...] | None


def fronts(report: Report) -> list[Front]:
    """Per device of the verdict."""
    verdict = report.verdict
    if verdict is None:
        return []
    return [
        Front(d.device, d.pareto, d.feasible if verdict.budgets else None) for d in verdict.devices
    ]


def front_of(report: Report, device: str) -> tuple[str, ...]:
    """The ids of the cases on the device that nothing beats."""
    verdict = report.verdict
    if verdict is None:
        return ()
    own = next((d.pareto for d in verdict.devices if d.device == device), verdict.pareto)
    there = {c.case.id for c in report.cases if c.device == device}
    return tuple(i for i in own if i in there)


def counts_of(report: Report) -> list[str]:
    """The metrics that the front weighs, as far as any case has them."""
    known = {name for c in report.cases for name, m in c.metrics.items() if m.point is not None}
    cost = "latency" if "latency" in known else "instructions"
    return [m for m in ("size", cost, "peak_rss", "accuracy") if m in known]


def budgets_by_case(report: Report) -> dict[str, BudgetOutcome]:
    """Case id -> all its budgets together; empty without budgets."""
    found: dict[str, BudgetOutcome] = {}
    worst_last: tuple[BudgetOutcome, ...] = ("met", "undecided", "missed")
    for budget in report.verdict.budgets if report.verdict else ():
        for case, outcome in budget.outcomes.items():
            found[case] = max(found.get(case, "met"), outcome, key=worst_last.index)
    return found


def mark(report: Report, case: CaseReport) -> str:
    """What the verdict says of a case: recommended (on its device), runner-up, pareto, or ""."""
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
    if (own or verdict).runner_up in names:
        return "runner-up"
    return "pareto" if case.case.id in (own or verdict).pareto else ""


def _without(name: str | None, reason: str) -> str:
    return reason.removeprefix(f"{name}: ") if name else reason
