"""What a notebook shows of a report."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from harness import api
from harness.core.errors import UsageError
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
            elements = Elements()
            elements.feed(shown(which))
            assert not elements.open
            assert elements.seen <= {"div", "p", "b", "table", "thead", "tbody", "tr", "th", "td"}


def test_the_verdict_and_every_case_are_shown() -> None:
    report = reports.REPORTS["with_verdict"]()
    text = shown("with_verdict")
    assert re.search(r"<p><b>[^<]+</b>: [^<]+</p>", text)
    assert all(case.variant in text for case in report.cases)


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
