"""Reports for tests: the ordinary one and every kind that has ever broken a renderer. `REPORTS`
names them all. A process makes each once: nobody changes a report."""

from __future__ import annotations

from collections.abc import Callable

from harness.core.types import Report
from tests.reports._factory import HOSTILE_NAMES, VARIANTS, host, make
from tests.reports._fixed import empty, fixed, no_budgets, odd, zero_budget
from tests.reports._kinds import (
    all_failed,
    compared,
    counted,
    emulated,
    evaluated,
    hostile,
    hundred_cases,
    interrupted,
    no_accuracy,
    no_intervals,
    normal,
    one_case,
    one_launch,
    some_failed,
    summarized,
    sustained,
    with_verdict,
)
from tests.reports._loaded import loaded

__all__ = [
    "HOSTILE_NAMES",
    "REPORTS",
    "VARIANTS",
    "all_failed",
    "compared",
    "counted",
    "empty",
    "emulated",
    "evaluated",
    "fixed",
    "host",
    "hostile",
    "hundred_cases",
    "interrupted",
    "loaded",
    "make",
    "no_accuracy",
    "no_budgets",
    "no_intervals",
    "normal",
    "odd",
    "one_case",
    "one_launch",
    "some_failed",
    "summarized",
    "sustained",
    "with_verdict",
    "zero_budget",
]

REPORTS: dict[str, Callable[[], Report]] = {
    f.__name__: f
    for f in (
        normal,
        with_verdict,
        compared,
        fixed,
        one_case,
        hundred_cases,
        all_failed,
        some_failed,
        hostile,
        no_accuracy,
        no_intervals,
        one_launch,
        emulated,
        counted,
        summarized,
        evaluated,
        sustained,
        loaded,
        interrupted,
        zero_budget,
        no_budgets,
        odd,
        empty,
    )
}
