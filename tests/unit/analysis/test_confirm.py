"""A gate that asks twice: what is measured again, and when the gate still says no."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from harness.analysis import confirm, gate
from harness.core.errors import EXIT_GATE, EXIT_OK
from harness.core.types import (
    BudgetLine,
    Comparison,
    DeviceVerdict,
    MetricComparison,
    Report,
    Verdict,
)
from tests import reports

SCRATCH = "scratch@host/litert/cpu/t1"


def run(name: str, slower: float = 1.0, size: int = 0) -> Report:
    shape = reports.VARIANTS["scratch"]
    shape = shape._replace(latency=round(shape.latency * slower), size=shape.size + size)
    variants = {"scratch": shape, "pruned": reports.VARIANTS["pruned"]}
    return replace(reports.make(variants, seed=len(name), iterations=3), run_id=name, verdict=None)


def compared(report: Report) -> Report:
    return gate.compared(report, run("before"), None)


def only(report: Report, variant: str) -> Report:
    return replace(report, cases=tuple(c for c in report.cases if c.variant == variant))


def sessions(*slower: float) -> list[Report]:
    """One session of all, and of the doubtful case the others, each so much slower."""
    runs = [compared(run(f"now-{i}", slower=x)) for i, x in enumerate(slower)]
    return [runs[0], *(only(r, "scratch") for r in runs[1:])]


def latency(report: Report) -> MetricComparison:
    assert report.comparison is not None
    metrics = [m for c in report.comparison.cases for m in c.metrics]
    return next(m for m in metrics if m.metric == "latency" and m.note)


def test_only_the_case_that_failed_is_measured_again() -> None:
    assert [case.id for case in confirm.doubtful(sessions(1.4))] == [SCRATCH]
    assert confirm.doubtful(sessions(1.0)) == ()


def test_a_larger_file_is_larger_again_and_not_measured() -> None:
    report = compared(run("now", size=4_000_000))
    assert gate.exit_code(report, strict=False) == EXIT_GATE
    assert confirm.doubtful([report]) == ()


def test_two_sessions_do_not_tell_how_far_sessions_differ() -> None:
    assert [case.id for case in confirm.doubtful(sessions(1.4, 1.4))] == [SCRATCH]


def test_what_three_like_sessions_show_stays_a_regression() -> None:
    seen = sessions(1.4, 1.42, 1.38)
    assert confirm.doubtful(seen) == ()
    told = confirm.confirmed(seen)
    assert gate.exit_code(told, strict=False) == EXIT_GATE
    assert told.findings[-1].code == "confirmed"
    message = told.findings[-1].message
    assert message.startswith("1 case measured again in now-1, now-2: ")
    assert "latency of scratch is 1.401x, 1.421x, 1.381x the baseline in 3 sessions" in message
    assert message.endswith("with a probability of 0.16 %, less than the 0.50 % allowed")


def test_sessions_that_differ_are_asked_for_more_and_then_do_not_confirm() -> None:
    seen = sessions(1.15, 1.3, 1.6, 1.2, 1.15)
    assert confirm.doubtful(seen[:3]) == confirm.doubtful(seen[:4]) != ()
    assert confirm.doubtful(seen) == ()
    told = confirm.confirmed(seen)
    assert gate.exit_code(told, strict=False) == EXIT_OK
    assert "sessions differ so much that chance" in latency(told).note


def test_five_sessions_show_what_three_could_not() -> None:
    seen = sessions(1.25, 1.35, 1.3, 1.25, 1.35)
    assert confirm.doubtful(seen[:3]) != ()
    assert gate.exit_code(confirm.confirmed(seen), strict=False) == EXIT_GATE


def test_what_one_session_does_not_show_is_inconclusive() -> None:
    seen = sessions(1.4, 1.0)
    assert confirm.doubtful(seen) == ()
    told = confirm.confirmed(seen)
    assert gate.exit_code(told, strict=False) == EXIT_OK
    assert told.findings[-1].code == "not-confirmed"
    assert "latency of scratch" in told.findings[-1].message
    assert "1.001x the baseline in 2 sessions: the last one does not show it" in latency(told).note


def test_the_error_rate_is_shared_by_all_cases_compared() -> None:
    seen = sessions(1.4, 1.42, 1.38)
    report = replace(seen[0], comparison=many(seen[0].comparison, 50))
    assert [case.id for case in confirm.doubtful([report, *seen[1:]])] == [SCRATCH]


def many(comparison: Comparison | None, times: int) -> Comparison:
    """As if there had been so many cases that did not regress."""
    assert comparison is not None
    (other,) = (c for c in comparison.cases if c.candidate.variant == "pruned")
    return replace(comparison, cases=(*comparison.cases, *[other] * times))


def test_what_could_not_be_measured_again_stays_a_regression() -> None:
    seen = [compared(run("now", slower=1.4)), replace(run("again"), cases=())]
    assert confirm.doubtful(seen) == ()
    told = confirm.confirmed(seen)
    assert gate.exit_code(told, strict=False) == EXIT_GATE
    assert "could not be measured again" in told.findings[-1].message


def budgeted(report: Report, outcome: str, metric: str = "latency") -> Report:
    line = BudgetLine(text="latency<=1ms", metric=metric, limit=1e6, outcomes={SCRATCH: outcome})  # type: ignore[dict-item]
    said: dict[str, Any] = {"reason": "none keeps it", "outcome": outcome}
    devices = (DeviceVerdict(device="host", **said),)
    verdict = Verdict(**said, budgets=(line,), devices=devices)
    return replace(only(report, "scratch"), verdict=verdict)


def test_a_budget_is_missed_only_if_every_session_misses_it() -> None:
    seen = [budgeted(run(name), "missed") for name in ("now", "again", "thrice")]
    assert [case.id for case in confirm.doubtful(seen[:1])] == [SCRATCH]
    thrice = confirm.confirmed(seen)
    assert gate.verdict_exit_code(thrice, strict=False) == EXIT_GATE
    assert (
        "latency<=1ms of scratch is 5.187x, 5.200x, 5.285x the limit" in thrice.findings[-1].message
    )
    once = confirm.confirmed([seen[0], budgeted(run("again"), "met")])
    assert gate.verdict_exit_code(once, strict=False) == EXIT_OK
    assert once.findings[-1].code == "not-confirmed"
    verdict = once.verdict
    assert verdict is not None
    assert verdict.reason == "not confirmed by further sessions: none keeps it"
    assert verdict.budgets[0].outcomes == {SCRATCH: "undecided"}
    assert [(d.outcome, d.reason) for d in verdict.devices] == [("undecided", verdict.reason)]


def test_a_budget_on_the_size_is_not_asked_twice() -> None:
    assert confirm.doubtful([budgeted(run("now"), "missed", metric="size")]) == ()


def test_a_missed_budget_is_not_asked_again_where_another_variant_keeps_it() -> None:
    report = budgeted(run("now"), "missed")
    assert report.verdict is not None
    assert confirm.doubtful([replace(report, verdict=replace(report.verdict, outcome="met"))]) == ()
