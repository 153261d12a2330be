"""The gate: pass or fail of a report, by a baseline or by budgets, and the exit status for it."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from harness.analysis import metric_specs
from harness.analysis.compare import compare
from harness.analysis.losses import ACCURACY, check_class, parse_protect
from harness.core import units
from harness.core.errors import (
    EXIT_GATE,
    EXIT_OK,
    EXIT_UNDECIDED,
    GateError,
    UndecidedError,
    UsageError,
)
from harness.core.types import Case, Comparison, MetricComparison, MetricSpec, Report


def specs() -> dict[str, MetricSpec]:
    """The spec of each metric that is compared with a baseline, by name."""
    return {name: spec for name, spec in metric_specs.specs().items() if spec.gated}


def compared(
    candidate: Report,
    baseline: Report,
    max_regression: float | None,
    max_accuracy_loss: float | None = None,
    protect: str | None = None,
) -> Report:
    """The candidate's report with the comparison in it. Raises UsageError for a class to protect
    that its images do not have."""
    classes = next((e.classes for e in candidate.evaluations if e.failure is None), ())
    if protect is not None:
        check_class(parse_protect(protect), classes)
    comparison = compare(
        baseline,
        candidate,
        specs=specs(),
        max_regression=max_regression,
        max_accuracy_loss=max_accuracy_loss,
        protect=protect,
    )
    return msgspec.structs.replace(candidate, comparison=comparison)


def refuse_if_nothing_in_common(baseline: Report, cases: Iterable[Case]) -> None:
    """Raise UsageError, before anything is measured, if the baseline has none of the cases to be
    measured."""
    if not {case.case for case in baseline.cases} & set(cases):
        raise UsageError(
            "the baseline has no case in common with this run, so nothing can be compared",
            "make a baseline with the same variants and device",
        )


def exit_code(report: Report, *, strict: bool, renew: str | None = None) -> int:
    """1 for a regression, 4 for undecided if `strict`, else 0. `renew` is the command that makes a
    new baseline; with it, an exact metric that became better fails the gate as well (GateError).

    A gate that compared nothing must not pass. Raises UsageError if nothing could be compared, or
    if a case whose instructions are counted could not; with `strict`, raises UndecidedError if a
    counted case is on one side only.
    """
    comparison = report.comparison
    if comparison is None:
        return EXIT_OK
    if renew is not None and (changed := _changed_exactly(comparison)):
        raise GateError(
            f"{changed} not what the baseline says", f"if the change is intended: {renew}"
        )
    if comparison.outcome == "regression":
        return EXIT_GATE
    if not any(case.metrics for case in comparison.cases):
        why = comparison.refusals
        raise UsageError(
            "nothing in the baseline could be compared"
            + (f": {why[0].message}" if why else ", it has no case in common with this run"),
            why[0].fix if why else "make a baseline with the same variants and device",
        )
    if why := comparison.uncounted:
        raise UsageError(f"a counted case could not be compared: {why[0].message}", why[0].fix)
    if strict and (alone := comparison.unpartnered):
        names = ", ".join(dict.fromkeys(units.name(case.variant) for case in alone))
        raise UndecidedError(
            f"the baseline and this run do not have the same cases: {names}",
            "measure the cases of the baseline, or make a new one",
        )
    if strict and comparison.outcome == "inconclusive":
        return EXIT_UNDECIDED
    return EXIT_OK


def _changed_exactly(comparison: Comparison) -> str:
    """`instructions and size of scratch-int8 are`: exact metrics beyond their thresholds."""
    beyond = [
        (case.candidate.variant, metric.metric)
        for case in comparison.cases
        for metric in case.metrics
        if metric.exact and metric.outcome in ("regression", "improvement")
    ]
    variants = ", ".join(dict.fromkeys(units.name(variant) for variant, _ in beyond))
    metrics = ", ".join(dict.fromkeys(metric for _, metric in beyond))
    return f"{metrics} of {variants} {'are' if len(beyond) > 1 else 'is'}" if beyond else ""


def counted(report: Report, a: str, b: str, threshold: float | None) -> MetricComparison | None:
    """Instructions of variant `b` compared with those of `a` in one run; None if one of them was
    not counted."""
    spec = {"instructions": specs()["instructions"]}
    comparison = compare(report, report, specs=spec, max_regression=threshold, variants={a: b})
    return next((metric for case in comparison.cases for metric in case.metrics), None)


def accuracy_between(report: Report, a: str, b: str) -> MetricComparison | None:
    """Accuracy of variant `b`, or what else is protected, compared with that of `a` in one run;
    None if one is not known."""
    spec = {ACCURACY: specs()[ACCURACY]}
    comparison = compare(report, report, specs=spec, variants={a: b})
    return next((metric for case in comparison.cases for metric in case.metrics), None)


def verdict_exit_code(report: Report, *, strict: bool) -> int:
    """1 if on some device no case keeps every budget. If `strict`, also 1 if every case that does
    loses more accuracy than it may, and 4 if that is undecided. Else 0."""
    verdict = report.verdict
    if verdict is None:
        return EXIT_OK
    decisions = {device.decision for device in verdict.devices}
    if verdict.outcome == "missed" or (strict and "refused" in decisions):
        return EXIT_GATE
    undecided = verdict.outcome == "undecided" or "undecided" in decisions
    return EXIT_UNDECIDED if strict and undecided else EXIT_OK
