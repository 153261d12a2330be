"""The verdict as renderers show it. Nothing else in the renderers knows its shape."""

from __future__ import annotations

from typing import NamedTuple

from harness.core.types import BudgetLine, BudgetOutcome, CaseReport, Report

OUTCOMES: tuple[BudgetOutcome, ...] = ("met", "missed", "undecided")


class VerdictView(NamedTuple):
    """The verdict as renderers show it. Variants are named as in the table; `headline` stands where
    the recommended one would."""

    headline: str
    recommended: str | None
    reason: str
    runner_up: str | None
    runner_up_reason: str
    pareto: tuple[str, ...]
    outcome: BudgetOutcome | None
    budgets: tuple[BudgetLine, ...]
    notes: tuple[str, ...]


def verdict_of(report: Report) -> VerdictView | None:
    """The one place that knows the verdict's shape."""
    verdict = report.verdict
    if verdict is None:
        return None
    nothing = "No variant fits" if verdict.outcome == "missed" else "No recommendation"
    return VerdictView(
        headline=verdict.recommended or nothing,
        recommended=verdict.recommended,
        reason=_without(verdict.recommended, verdict.reason),
        runner_up=verdict.runner_up,
        runner_up_reason=_without(verdict.runner_up, verdict.runner_up_reason),
        pareto=verdict.pareto,
        outcome=verdict.outcome,
        budgets=verdict.budgets,
        notes=verdict.notes,
    )


def _without(name: str | None, reason: str) -> str:
    """A reason is shown behind its name and need not repeat it."""
    return reason.removeprefix(f"{name}: ") if name else reason


def names_case(name: str | None, case: CaseReport) -> bool:
    """Whether a verdict that says `name`, a variant or a case id, means this case."""
    return name is not None and name in (case.variant, case.case.id)
