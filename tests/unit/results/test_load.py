"""A run that was cut off is shown as far as it got."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.errors import UsageError
from harness.core.types import Plan, Report
from harness.renderers.view import View
from harness.results import load, store
from harness.system import plugins
from tests.fakes import FakeTarget, artifact, case, header

A, B = case("a"), case("b")
PLAN = Plan(cases=(A, B))


def cut_off(out: Path, launches: int) -> store.RunFolder:
    """A run folder without a report, with so many launches of the first case."""
    folder = store.create(out, header(PLAN, "20260101-000000-aaaa"))
    fake = FakeTarget("host", lambda c, i: [10_000, 11_000, 12_000])
    folder.append(store.Entry(device=fake.facts()))
    for index in range(launches):
        launch = fake.launch(A, artifact("a"), PLAN.timing, index)
        folder.append(store.Entry(launch=launch))
    folder.close()
    return folder


@pytest.mark.parametrize("launches", [0, 1, 6])
def test_what_was_saved_is_there_and_that_it_is_not_all(tmp_path: Path, launches: int) -> None:
    folder = cut_off(tmp_path, launches)
    report = load.read("latest", tmp_path)
    assert [len(c.launches) for c in report.cases] == [launches, 0]
    assert report.finished_at is None
    unfinished = report.findings[0]
    assert f"of the {launches} launch" in unfinished.message
    assert unfinished.fix.endswith(f"--resume {folder.path}")
    for name in plugins.names("harness.renderers.formats"):
        assert plugins.load("harness.renderers.formats", name).render(View(report))
    assert not (folder.path / store.REPORT).exists(), "reading it changes nothing"


def test_a_case_that_was_never_launched_is_not_ok(tmp_path: Path) -> None:
    cut_off(tmp_path, 3)
    launched, waiting = load.read("latest", tmp_path).cases
    assert launched.failure is None
    assert waiting.status == "failed"
    assert waiting.failure is not None
    assert waiting.failure.message == "the run ended before its first launch"


def test_a_torn_last_line_does_not_hinder(tmp_path: Path) -> None:
    folder = cut_off(tmp_path, 3)
    journal = folder.path / store.JOURNAL
    journal.write_bytes(journal.read_bytes()[:-20])
    assert len(load.read("latest", tmp_path).cases[0].launches) == 2


def test_a_finished_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    folder = cut_off(tmp_path, 6)
    whole: Report = header(PLAN, "20260101-000000-aaaa")
    store.write_report(folder.path, whole)
    assert load.read("latest", tmp_path) == whole


def test_a_folder_that_is_no_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"does not exist|is not a run"):
        load.read(str(tmp_path), tmp_path)
