"""The verdict as renderers show it. Nothing else in the renderers knows its shape."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from harness.core.types import CaseReport, Report

OUTCOMES = ("met", "missed", "undecided")


class BudgetLine(NamedTuple):
    """One budget and how each case stands to it: case id -> "met", "missed", "undecided"."""

    text: str
    metric: str
    limit: float | None
    outcomes: dict[str, str]


class VerdictView(NamedTuple):
    """The verdict as renderers show it. Variants are named as in the table."""

    recommended: str | None
    reason: str
    runner_up: str | None
    runner_up_reason: str
    pareto: tuple[str, ...]
    budgets: tuple[BudgetLine, ...]
    notes: tuple[str, ...]


def verdict_of(report: Report) -> VerdictView | None:
    """The one place that knows the verdict's shape."""
    if report.verdict is None:
        return None
    raw: dict[str, Any] = msgspec.to_builtins(report.verdict)

    def text(key: str) -> str | None:
        value = raw.get(key)
        return None if value in (None, "") else str(value)

    budgets = tuple(
        BudgetLine(
            text=str(b.get("text", b.get("metric", "?"))),
            metric=str(b.get("metric", "")),
            limit=b.get("limit"),
            outcomes={str(k): str(v) for k, v in dict(b.get("outcomes", {})).items()},
        )
        for b in raw.get("budgets") or ()
    )
    return VerdictView(
        recommended=text("recommended"),
        reason=_without(text("recommended"), text("reason") or ""),
        runner_up=text("runner_up"),
        runner_up_reason=_without(text("runner_up"), text("runner_up_reason") or ""),
        pareto=tuple(map(str, raw.get("pareto") or ())),
        budgets=budgets,
        notes=tuple(map(str, raw.get("notes") or ())),
    )


def _without(name: str | None, reason: str) -> str:
    """A reason is shown behind its name and need not repeat it."""
    return reason.removeprefix(f"{name}: ") if name else reason


def names_case(name: str | None, case: CaseReport) -> bool:
    """Whether a verdict that says `name`, a variant or a case id, means this case."""
    return name is not None and name in (case.variant, case.case.id)
