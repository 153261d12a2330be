"""Yes or no to a report, from a baseline or from budgets, and the exit status it stands for."""

from __future__ import annotations

import msgspec

from harness import catalog
from harness.core.compare import compare
from harness.core.errors import EXIT_GATE, EXIT_OK, EXIT_UNDECIDED, UsageError
from harness.core.types import MetricSpec, Report


def specs() -> dict[str, MetricSpec]:
    """What each metric is that a baseline is compared on, by name."""
    return {name: spec for name, spec in catalog.specs().items() if spec.gated}


def compared(candidate: Report, baseline: Report, max_regression: float) -> Report:
    """The candidate's report with the comparison in it."""
    comparison = compare(baseline, candidate, specs=specs(), max_regression=max_regression)
    return msgspec.structs.replace(candidate, comparison=comparison)


def exit_code(report: Report, *, strict: bool) -> int:
    """1 for a regression, 4 for undecided if `strict`, else 0. A baseline of which nothing could
    be compared is a UsageError: a gate that looked at nothing must not be green."""
    comparison = report.comparison
    if comparison is None:
        return EXIT_OK
    if comparison.outcome == "regression":
        return EXIT_GATE
    if not any(case.metrics for case in comparison.cases):
        why = comparison.refusals
        raise UsageError(
            "nothing of the baseline could be compared"
            + (f": {why[0].message}" if why else ", it has no case in common with this run"),
            why[0].mend if why else "make a baseline with the same variants and device",
        )
    if strict and comparison.outcome == "inconclusive":
        return EXIT_UNDECIDED
    return EXIT_OK


def budget_exit_code(report: Report, *, strict: bool) -> int:
    """1 if no case of some device keeps every budget, 4 for undecided if `strict`, else 0."""
    outcome = report.verdict.outcome if report.verdict else None
    if outcome == "missed":
        return EXIT_GATE
    return EXIT_UNDECIDED if strict and outcome == "undecided" else EXIT_OK
