"""A gate that asks twice: what is measured again, and when the gate still says no."""

from __future__ import annotations

from msgspec.structs import replace

from harness.analysis import confirm, gate
from harness.core.errors import EXIT_GATE, EXIT_OK
from harness.core.types import BudgetLine, Report, Verdict
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


def test_only_the_case_that_failed_is_measured_again() -> None:
    asked = confirm.doubtful(compared(run("now", slower=1.4)))
    assert [case.id for case in asked] == [SCRATCH]
    assert confirm.doubtful(compared(run("now"))) == ()


def test_a_larger_file_is_larger_again_and_not_measured() -> None:
    report = compared(run("now", size=4_000_000))
    assert gate.exit_code(report, strict=False) == EXIT_GATE
    assert confirm.doubtful(report) == ()


def test_what_both_runs_show_stays_a_regression() -> None:
    report = compared(run("now", slower=1.4))
    again = only(run("again", slower=1.4), "scratch")
    told = confirm.confirmed(report, again, compared(again).comparison)
    assert gate.exit_code(told, strict=False) == EXIT_GATE
    assert told.findings[-1].code == "confirmed"
    assert "1 case measured again in run again" in told.findings[-1].message


def test_what_the_second_run_does_not_show_is_inconclusive() -> None:
    report = compared(run("now", slower=1.4))
    again = only(run("again"), "scratch")
    told = confirm.confirmed(report, again, compared(again).comparison)
    assert gate.exit_code(told, strict=False) == EXIT_OK
    assert told.findings[-1].code == "not-confirmed"
    assert "latency of scratch" in told.findings[-1].message
    assert told.comparison is not None
    notes = [m.note for c in told.comparison.cases for m in c.metrics if m.metric == "latency"]
    assert any("not confirmed in run again" in note for note in notes)


def test_what_could_not_be_measured_again_stays_a_regression() -> None:
    report = compared(run("now", slower=1.4))
    again = replace(run("again"), cases=())
    told = confirm.confirmed(report, again, compared(again).comparison)
    assert gate.exit_code(told, strict=False) == EXIT_GATE


def budgeted(report: Report, outcome: str, metric: str = "latency") -> Report:
    line = BudgetLine(text="latency<=1ms", metric=metric, limit=1e6, outcomes={SCRATCH: outcome})  # type: ignore[dict-item]
    verdict = Verdict(reason="", outcome=outcome, budgets=(line,))  # type: ignore[arg-type]
    return replace(report, verdict=verdict)


def test_a_budget_is_missed_only_if_it_is_missed_twice() -> None:
    report = budgeted(run("now"), "missed")
    assert [case.id for case in confirm.doubtful(report)] == [SCRATCH]
    twice = confirm.confirmed(report, budgeted(run("again"), "missed"), None)
    assert gate.verdict_exit_code(twice, strict=False) == EXIT_GATE
    once = confirm.confirmed(report, budgeted(run("again"), "met"), None)
    assert gate.verdict_exit_code(once, strict=False) == EXIT_OK
    assert once.findings[-1].code == "not-confirmed"


def test_a_budget_on_the_size_is_not_asked_twice() -> None:
    assert confirm.doubtful(budgeted(run("now"), "missed", metric="size")) == ()
