"""The top of the page: the verdict, the key figures, the comparison, the findings."""

from __future__ import annotations

from typing import Any

from harness.analysis.metric_specs import shown
from harness.core import units
from harness.renderers import comparison as against
from harness.renderers import metrics
from harness.renderers import verdict as verdicts
from harness.renderers.cases import Row
from harness.renderers.doubts import Doubts
from harness.renderers.view import View
from harness.renderers.words import some


def verdict_of(view: View) -> dict[str, Any] | None:
    """What the template shows of the verdict; None where there is none."""
    verdict = view.verdict
    if verdict is None:
        return None
    labels = view.labels
    budgets = []
    for budget in verdict.budgets:
        groups = [
            (word, some([labels.get(i, units.name(i)) for i in ids]))
            for word, ids in verdicts.standings(budget).items()
        ]
        budgets.append(
            {
                "text": units.printable(budget.text),
                "groups": groups,
                "unknown": [units.printable(x) for x in verdicts.unknown(budget, labels)],
            }
        )
    return {
        "headline": units.name(verdict.headline),
        "recommended": units.name(verdict.recommended) if verdict.recommended else None,
        "candidate": units.name(verdict.candidate) if verdict.candidate else None,
        "reason": units.printable(verdict.reason),
        "runner_up": units.name(verdict.runner_up) if verdict.runner_up else None,
        "runner_up_reason": units.printable(verdict.runner_up_reason),
        "notes": [units.printable(n) for n in verdict.notes],
        "front": [units.printable(said) for said in verdict.front],
        "feasible": _feasible(view),
        "budgets": budgets,
        "by_case": _budgets_by_case(view, labels),
    }


def _feasible(view: View) -> list[dict[str, str]]:
    """What keeps every budget, device by device."""
    devices = view.report.verdict.devices if view.report.verdict and view.budgets else ()
    shown = []
    for own in devices:
        names = view.names_on(own.device)
        kept = some([names.get(i, units.name(i)) for i in own.feasible], 12)
        place = f" on {units.name(own.device)}" if len(devices) > 1 else ""
        shown.append({"place": place, "names": kept or "no case for certain"})
    return shown


def _budgets_by_case(view: View, labels: dict[str, str]) -> dict[str, Any] | None:
    """Whether each case keeps each budget, in the order of the report."""
    budgets = view.budgets
    if not budgets:
        return None
    return {
        "heads": [units.printable(b.text) for b in budgets],
        "lines": [
            {
                "name": labels[case.case.id],
                "outcomes": [verdicts.standing(b, case.case.id) for b in budgets],
            }
            for case in view.report.cases
        ],
    }


def tiles_of(view: View, rows: list[Row]) -> list[dict[str, str]]:
    """The figures of the recommended case; without one, of the run."""
    chosen = next((r for r in rows if r.mark == "recommended"), None)
    if chosen is None:
        groups = [*view.findings, *view.comparison_doubts]
        doubts = sum(len(g.doubts) for g in groups)
        launches = sum(len(c.launches) for c in view.report.cases)
        worst = view.report.stopped.worst_half_width if view.report.stopped else None
        tiles = [("cases", str(len(rows)), ""), ("launches", str(launches), "")]
        tiles += [("widest interval", f"±{units.percent(worst)}", "")] if worst is not None else []
        return [
            {"name": n, "value": v, "note": w}
            for n, v, w in [*tiles, ("findings", str(doubts), "")]
        ]
    reference = view.reference
    gained = {
        "size": f"{units.times(chosen.smaller)} smaller than {reference}" if chosen.smaller else "",
        "latency": f"{units.times(chosen.faster)} faster than {reference}" if chosen.faster else "",
    }
    tiles = []
    for metric in metrics.key_figures():
        m = metrics.measured(chosen.case, metric)
        if m is None:
            continue
        spread = interval(metric, m.unit, m.ci_low, m.ci_high)
        note = gained.get(metric) or (f"interval {spread}" if spread else "")
        tiles.append((metrics.title(metric), shown(metric, m.point, m.unit), note))
    return [{"name": n, "value": v, "note": units.printable(w)} for n, v, w in tiles]


def interval(metric: str, unit: str, low: float | None, high: float | None) -> str:
    """The ends of an interval in the unit of its metric; empty where there is none."""
    if low is None or high is None:
        return ""
    return f"{shown(metric, low, unit)} to {shown(metric, high, unit)}"


# --- the baseline ----------------------------------------------------------------------------


def compared(view: View) -> dict[str, Any] | None:
    """What the template shows of the comparison with a baseline; None without one."""
    comparison = view.report.comparison
    if comparison is None:
        return None
    return {
        "outcome": comparison.outcome,
        "summary": against.summary(comparison),
        "lines": view.changes,
        "doubts": grouped(view.comparison_doubts),
        "unmatched": against.unmatched(comparison),
    }


# --- doubts ----------------------------------------------------------------------------------


def failures_of(view: View) -> list[dict[str, str]]:
    """Each case that failed, with stage, message and how to fix it."""
    return [
        {
            "names": some(names),
            "stage": units.printable(failure.stage),
            "message": units.printable(failure.message),
            "fix": units.printable(failure.fix),
        }
        for failure, names in view.failures
    ]


def grouped(groups: list[Doubts]) -> list[dict[str, Any]]:
    """Findings grouped for the template."""
    return [
        {
            "level": group.level,
            "code": units.printable(group.code),
            "doubts": [
                {
                    "about": some(doubt.about),
                    "message": units.printable(doubt.message),
                    "fix": units.printable(doubt.fix),
                }
                for doubt in group.doubts
            ],
        }
        for group in groups
    ]
