"""What a notebook shows of a report."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from harness import api
from harness.core.errors import UsageError
from harness.results import store
from tests import reports


def shown(which: str) -> str:
    return api._framed(reports.REPORTS[which]())._repr_html_()


class Elements(HTMLParser):
    """The elements in use, and whether each one that is opened is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.open.append(tag)
        assert {name for name, _ in attrs} <= {"scope"}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_every_report_is_plain_html_without_scripts(subtests: pytest.Subtests) -> None:
    for which in reports.REPORTS:
        with subtests.test(report=which):
            report: Any = api._framed(reports.REPORTS[which]())
            for part in (report, report.verdict, report.comparison, *report.cases):
                if part is None:
                    continue
                elements = Elements()
                elements.feed(part._repr_html_())
                assert not elements.open
                assert elements.seen <= {
                    "div",
                    "p",
                    "b",
                    "table",
                    "thead",
                    "tbody",
                    "tr",
                    "th",
                    "td",
                }


def test_the_verdict_and_every_case_are_shown() -> None:
    report = reports.REPORTS["with_verdict"]()
    text = shown("with_verdict")
    assert re.search(r"<p><b>[^<]+</b>: [^<]+</p>", text)
    assert all(case.variant in text for case in report.cases)


def test_a_case_alone_tells_its_numbers_and_why_others_are_absent() -> None:
    report: Any = api._framed(reports.REPORTS["some_failed"]())
    for case in report.cases:
        text = html.unescape(case._repr_html_())
        assert case.case.id in text
        assert all(m.absent_because in text for m in case.metrics.values() if m.absent_because)
        assert case.failure is None or case.failure.message in text


def test_a_verdict_and_a_comparison_alone() -> None:
    report: Any = api._framed(reports.REPORTS["with_verdict"]())
    text = html.unescape(report.verdict._repr_html_())
    assert report.verdict.recommended in text
    assert all(budget.text in text for budget in report.verdict.budgets)
    compared: Any = api._framed(reports.REPORTS["compared"]())
    assert "<b>regression</b>" in compared.comparison._repr_html_()


def test_what_compare_returns_is_shown() -> None:
    report = reports.REPORTS["with_verdict"]()
    found: Any = api.compare(report, report)
    assert report.run_id in found._repr_html_()


def test_a_framed_report_is_saved_as_before() -> None:
    for which in ("compared", "with_verdict"):
        report = reports.REPORTS[which]()
        assert store.encode(api._framed(report)) == store.encode(report)


def test_a_regression_is_shown() -> None:
    assert "<td>regression</td>" in shown("compared")


def test_plot_gives_the_first_figure_or_the_one_named() -> None:
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    report = api._framed(reports.REPORTS["with_verdict"]())
    assert isinstance(report.plot(), Figure)
    assert report.plot("memory").get_axes()
    with pytest.raises(UsageError, match="pareto"):
        report.plot("parreto")


def test_a_report_without_cases_has_nothing_to_plot() -> None:
    pytest.importorskip("matplotlib")
    with pytest.raises(UsageError, match="nothing to draw"):
        api._framed(reports.REPORTS["empty"]()).plot()
