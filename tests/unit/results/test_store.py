from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

from harness.core.errors import StorageError, UsageError
from harness.core.types import Plan
from harness.results import store
from tests.fakes import CRASH, FakeTarget, artifact, case, header

A = case("a")
PLAN = Plan(cases=(A,))


def _launch(index: int) -> store.Entry:
    fake = FakeTarget("host", lambda c, i: [10, 11, 12])
    return store.Entry(launch=fake.launch(A, artifact("a"), PLAN.timing, index))


def test_what_was_appended_is_read_back(tmp_path: Path) -> None:
    folder = store.create(tmp_path, header(PLAN))
    folder.append(store.Entry(device=FakeTarget("host", lambda c, i: []).facts()))
    folder.append(_launch(0))
    folder.append(store.Entry(failed=store.CaseFailure(case=A.id, failure=CRASH)))
    folder.close()
    journal = store.read_journal(folder.path / store.JOURNAL)
    assert [x.latency_ns for x in journal.launches] == [(10, 11, 12)]
    assert journal.failures == {A.id: CRASH}
    assert journal.devices["host"].identity == "fake"


@pytest.mark.parametrize("kept", [1, 40, -2])
def test_a_line_cut_short_by_a_crash_is_dropped_and_only_that(tmp_path: Path, kept: int) -> None:
    folder = store.create(tmp_path, header(PLAN))
    for index in range(3):
        folder.append(_launch(index))
    folder.close()
    journal = folder.path / store.JOURNAL
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(lines[0] + lines[1] + lines[2][:kept])

    again = store.reopen(folder.path)
    assert [x.index for x in again.saved.launches] == [0, 1]
    again.append(_launch(2))
    again.close()
    assert [x.index for x in store.read_journal(journal).launches] == [0, 1, 2]


def check_many_times(out: Path, failed: Any) -> None:
    try:
        for _ in range(100):
            store.check_writable(out)
    except UsageError as error:
        failed.put(str(error))


def test_runs_that_begin_at_once_do_not_refuse_each_other(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    failed = fork.Queue()
    out = tmp_path / "deep/er/reports"
    processes = [fork.Process(target=check_many_times, args=(out, failed)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert failed.empty(), failed.get()
    store.check_writable(out)
    assert not list(tmp_path.rglob(".probe*"))


def test_a_folder_that_another_run_removes_before_it_is_tried_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe = tempfile.NamedTemporaryFile
    removed: list[Path] = []

    def after_another_run(*, prefix: str, dir: Path) -> Any:
        if not removed:
            dir.rmdir()
            removed.append(dir)
        return probe(prefix=prefix, dir=dir)

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", after_another_run)
    store.check_writable(tmp_path / "reports")
    assert removed == [tmp_path / "reports"]


def test_checking_leaves_nothing_behind(tmp_path: Path) -> None:
    store.check_writable(tmp_path / "a/b")
    assert list(tmp_path.iterdir()) == []


def test_what_a_full_disk_cut_short_is_cut_off_again(tmp_path: Path) -> None:
    """A shorter line that does fit afterwards must not be glued to it."""
    import resource

    folder = store.create(tmp_path, header(PLAN))
    folder.append(_launch(0))
    size = (folder.path / store.JOURNAL).stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, before[1]))
    try:
        with pytest.raises(StorageError, match=r"cannot save in .*; free some space, then python"):
            folder.append(_launch(1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (folder.path / store.JOURNAL).stat().st_size == size
    folder.append(_launch(1))
    folder.close()
    assert [x.index for x in folder.read().launches] == [0, 1]


def test_a_damaged_line_in_the_middle_is_named_and_not_skipped(tmp_path: Path) -> None:
    folder = store.create(tmp_path, header(PLAN))
    folder.append(_launch(0))
    folder.close()
    journal = folder.path / store.JOURNAL
    journal.write_bytes(b"{broken\n" + journal.read_bytes())
    with pytest.raises(UsageError, match="line 1, is damaged"):
        store.read_journal(journal)


def test_two_processes_cannot_measure_one_run(tmp_path: Path) -> None:
    folder = store.create(tmp_path, header(PLAN))
    with pytest.raises(UsageError, match="another process is measuring"):
        store.reopen(folder.path)
    folder.close()


def test_a_report_survives_the_round_trip(tmp_path: Path) -> None:
    report = header(PLAN)
    assert store.decode(store.encode(report), tmp_path) == report


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is not a report"),
        ("[]", "is not a report"),
        ('{"schema_version": 99}', "schema version 99"),
        ('{"schema_version": 1}', "not a valid report"),
        ("\x00\xff", "is not a report"),
    ],
)
def test_what_is_no_report_is_said_in_one_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=says) as error:
        store.read_report(path)
    assert "\n" not in str(error.value)


def test_an_old_schema_is_upgraded_step_by_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = json.loads(store.encode(header(PLAN)))
    raw["schema_version"] = -1
    raw["id"] = raw.pop("run_id")

    def first(old: dict[str, object]) -> dict[str, object]:
        return {**old, "schema_version": 0}

    def second(old: dict[str, object]) -> dict[str, object]:
        new = {**old, "schema_version": 1, "run_id": old["id"]}
        del new["id"]
        return new

    monkeypatch.setattr(store, "UPGRADES", {-1: first, 0: second})
    assert store.decode(json.dumps(raw).encode(), tmp_path) == header(PLAN)


def test_runs_are_found_by_id_start_and_latest(tmp_path: Path) -> None:
    for run_id in ("20260101-000000-aaaa", "20260102-000000-bbbb"):
        store.create(tmp_path, header(PLAN, run_id)).close()
    assert store.find("20260101", tmp_path).name == "20260101-000000-aaaa"
    assert store.find("latest", tmp_path).name == "20260102-000000-bbbb"
    with pytest.raises(UsageError, match="start of 2 run ids"):
        store.find("2026", tmp_path)
    with pytest.raises(UsageError, match="no run or file"):
        store.find("1999", tmp_path)


def test_the_latest_run_is_the_one_written_last_whatever_the_clock_said(tmp_path: Path) -> None:
    wrong, first, second = "20990101-000000-aaaa", "20260101-000000-bbbb", "20260102-000000-cccc"
    for run_id in (wrong, first, second):
        store.create(tmp_path, header(PLAN, run_id)).close()
    assert store.find("latest", tmp_path).name == second
    store.reopen(tmp_path / first).close()
    assert store.find("latest", tmp_path).name == first
    shutil.rmtree(tmp_path / first)
    assert store.find("latest", tmp_path).name == second
    (tmp_path / wrong).rename(tmp_path / "20990101-000000-dddd")
    assert store.find("latest", tmp_path).name == second


def test_a_run_that_was_copied_here_can_be_the_latest(tmp_path: Path) -> None:
    store.create(tmp_path, header(PLAN, "20260101-000000-aaaa")).close()
    copied = store.create(tmp_path / "elsewhere", header(PLAN, "20260102-000000-bbbb"))
    copied.close()
    later = (copied.path / store.HEADER).stat().st_mtime_ns + 10**9
    os.utime(copied.path / store.HEADER, ns=(later, later))
    copied.path.rename(tmp_path / copied.path.name)
    assert store.find("latest", tmp_path).name == copied.path.name


def test_an_unwritable_folder_is_found_out_before_anything_is_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write"):
        store.check_writable(tmp_path / "file" / "reports")
    store.check_writable(tmp_path / "new" / "reports")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file"]
